-- For wrk: what it found, as one line of JSON with percentiles that its own summary leaves out.
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'lab {"requests": %d, "bytes": %d, "duration_us": %d, "errors": {"connect": %d, "read": %d, "write": %d, ' ..
      '"status": %d, "timeout": %d}, "latency_us": {"p50": %d, "p75": %d, "p90": %d, "p99": %d, "p99.9": %d, ' ..
      '"p99.99": %d, "max": %d, "mean": %.1f}}\n',
    summary.requests, summary.bytes, summary.duration, e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(75), latency:percentile(90), latency:percentile(99),
    latency:percentile(99.9), latency:percentile(99.99), latency.max, latency.mean))
end
