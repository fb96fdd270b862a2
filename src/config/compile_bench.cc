#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "config/compile.h"

namespace weir::config {
namespace {

std::shared_ptr<const Spec> many_routes(std::size_t count) {
  auto spec = std::make_shared<Spec>();
  spec->clusters.emplace_back().name = "app";
  for (std::size_t i = 0; i < count; ++i) {
    RouteSpec route;
    route.name = fmt::format("route-{}", i + 1);
    route.match.host = fmt::format("host-{}.example.com", i % 100);
    route.match.path_prefix = fmt::format("/service/{}", i);
    route.action = ToCluster{"app"};
    spec->routes.push_back(std::move(route));
  }
  return spec;
}

void compile_10000_routes(benchmark::State& state) {
  const auto spec = many_routes(10'000);
  for (auto _ : state) benchmark::DoNotOptimize(compile(spec, nullptr));
}
BENCHMARK(compile_10000_routes)->Unit(benchmark::kMillisecond);

void recompile_10000_equal_routes(benchmark::State& state) {
  const auto spec = many_routes(10'000);
  const auto first = compile(spec, nullptr);
  for (auto _ : state) benchmark::DoNotOptimize(compile(spec, first->get()));
}
BENCHMARK(recompile_10000_equal_routes)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace weir::config
