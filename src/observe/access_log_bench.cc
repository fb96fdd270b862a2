#include <benchmark/benchmark.h>

#include "observe/access_record.h"
#include "observe/record_ring.h"

namespace weir::observe {
namespace {

AccessRecord example() {
  return {.time = WallTime(1'795'251'600s),
          .listener = "web",
          .route = "api",
          .cluster = "app",
          .backend = "backend-8001",
          .client = "192.0.2.7",
          .method = "GET",
          .host = "example.com",
          .path = "/some/path?with=query",
          .protocol = "HTTP/1.1",
          .request_id = "0123456789abcdef0123456789abcdef",
          .user_agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
          .referer = "https://example.com/",
          .response_bytes = 64,
          .duration_us = 300,
          .upstream_us = 250,
          .attempts = 1,
          .status = 200};
}

// What a request costs the worker; the draining is not counted.
void push_record(benchmark::State& state) {
  auto ring = *RecordRing::create(1024 * 1024);
  const AccessRecord record = example();
  for (auto _ : state) {
    if (!ring->push(nullptr, record)) {
      state.PauseTiming();
      ring->drain([](void*, const AccessRecord&) {});
      state.ResumeTiming();
    }
  }
}
BENCHMARK(push_record);

void format_record(benchmark::State& state) {
  const AccessRecord record = example();
  std::string out;
  for (auto _ : state) {
    out.clear();
    format_access(state.range(0) == 0 ? AccessLogFormat::kJson : AccessLogFormat::kCombined, record, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(format_record)->Arg(0)->Arg(1);

}  // namespace
}  // namespace weir::observe
