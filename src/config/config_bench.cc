#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "config/load.h"

namespace weir::config {
namespace {

std::string make_config(std::int64_t routes) {
  std::string text =
      "listeners:\n  - address: 127.0.0.1:8080\nclusters:\n  - name: app\n    backends: [{url: "
      "\"http://127.0.0.1:8001\"}]\n"
      "routes:\n";
  for (std::int64_t i = 0; i < routes; ++i) {
    text += fmt::format(
        "  - name: r{0}\n    match: {{host: h{0}.example.com, path_prefix: /api/{0}, methods: [GET, POST], headers: "
        "{{x-team: blue}}}}\n    cluster: app\n    timeouts: {{request: 5s}}\n",
        i);
  }
  return text;
}

// 10,000 routes are to be read and checked in less than 120 ms.
void read_routes(benchmark::State& state) {
  const std::string text = make_config(state.range(0));
  for (auto _ : state) {
    const Parsed parsed = parse(text, "c.yaml", {});
    if (!parsed.spec) state.SkipWithError("the configuration was refused");
    benchmark::DoNotOptimize(parsed.spec->routes.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(read_routes)->Arg(1)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weir::config
