-- For wrk: a new connection for every request, because each asks for its own to be closed.
local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
dofile(here .. "/report.lua")
wrk.headers["Connection"] = "close"
