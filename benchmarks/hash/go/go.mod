module weir.example/hash

go 1.21
