#include <benchmark/benchmark.h>

#include "observe/exposition.h"

namespace weir::observe {
namespace {

void fill(MetricStore& store, int backends) {
  for (int i = 0; i < backends; ++i) {
    const std::string name = "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ":8080";
    store.counter(Family::kBackendRequests, {"app", name, "200"})->add();
    store.histogram(Family::kBackendRequestDuration, {"app", name})->observe(1'000'000);
    store.gauge(Family::kBackendHealthStatus, {"app", name})->set(1);
    store.gauge(Family::kPoolConnections, {"app", name, "http1", "idle"})->set(1);
  }
}

void render_backends(benchmark::State& state) {
  MetricStore first("0"), second("1");
  fill(first, static_cast<int>(state.range(0)));
  fill(second, static_cast<int>(state.range(0)));
  const MetricStore* stores[] = {&first, &second};
  std::string out;
  for (auto _ : state) {
    out.clear();
    render(stores, nullptr, {}, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["bytes"] = static_cast<double>(out.size());
}
BENCHMARK(render_backends)->Arg(100)->Arg(10'000)->Unit(benchmark::kMillisecond);

void observe_duration(benchmark::State& state) {
  MetricStore store;
  const HistogramRef histogram = store.histogram(Family::kRequestDuration, {"web", "api"});
  std::uint64_t value = 90'000;
  for (auto _ : state) {
    histogram->observe(value);
    value = value * 3 % 20'000'000;
  }
}
BENCHMARK(observe_duration);

void find_series(benchmark::State& state) {
  MetricStore store;
  fill(store, 1000);
  for (auto _ : state) {
    benchmark::DoNotOptimize(store.counter(Family::kBackendRequests, {"app", "10.0.1.7:8080", "200"}));
  }
}
BENCHMARK(find_series);

}  // namespace
}  // namespace weir::observe
