"""The benchmark lab: measures Weir beside other proxies. docs/benchmarks.md explains the method."""
