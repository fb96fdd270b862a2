-- For wrk: counts the answers by the backend that they name, beside what report.lua prints.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  names = {}
end

function response(status, headers, body)
  local name = headers["x-backend-name"] or headers["X-Backend-Name"] or "none"
  names[name] = (names[name] or 0) + 1
end

local here = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$")
dofile(here .. "/report.lua")
local report = done

function done(summary, latency, requests)
  report(summary, latency, requests)
  for _, thread in ipairs(threads) do
    for name, count in pairs(thread:get("names")) do
      io.write(string.format("name %s %d\n", name, count))
    end
  end
end
