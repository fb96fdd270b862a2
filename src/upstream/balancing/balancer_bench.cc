#include <benchmark/benchmark.h>

#include <vector>

#include "upstream/balancing/balancer.h"

namespace {

using namespace weir::balancing;

std::vector<BackendLoad> make_backends(std::int64_t count, bool large_weights) {
  std::vector<BackendLoad> backends;
  weir::Rng rng(1);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto weight = static_cast<std::uint32_t>(rng.between(1, large_weights ? 65'535 : 1));
    backends.push_back({weight, static_cast<std::uint32_t>(rng.below(50)), true});
  }
  return backends;
}

void pick(benchmark::State& state, Policy policy, bool large_weights) {
  const auto backends = make_backends(state.range(0), large_weights);
  const auto balancer = make_balancer(policy, 1);
  balancer->rebuild(backends);
  weir::Rng rng(1);
  for (auto _ : state) benchmark::DoNotOptimize(balancer->pick({backends, rng, {}, 0}));
}

// One request as a policy sees it: picked, begun, and another one ended.
void turn(benchmark::State& state, Policy policy) {
  auto backends = make_backends(state.range(0), false);
  const auto balancer = make_balancer(policy, 1);
  balancer->rebuild(backends);
  weir::Rng rng(1);
  for (auto _ : state) {
    const std::uint32_t begun = balancer->pick({backends, rng, {}, 0});
    balancer->active_changed(begun, ++backends[begun].active);
    const auto ended = static_cast<std::uint32_t>(rng.below(backends.size()));
    if (backends[ended].active > 0) balancer->active_changed(ended, --backends[ended].active);
  }
}

void rebuild(benchmark::State& state, Policy policy, bool large_weights) {
  const auto backends = make_backends(state.range(0), large_weights);
  const auto balancer = make_balancer(policy, 1);
  for (auto _ : state) balancer->rebuild(backends);
}

BENCHMARK_CAPTURE(pick, round_robin, Policy::round_robin, false)->Arg(1)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(pick, round_robin_large_weights, Policy::round_robin, true)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(pick, random_large_weights, Policy::random, true)->Arg(1)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(pick, power_of_two, Policy::power_of_two, false)->Arg(1)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(pick, power_of_two_large_weights, Policy::power_of_two, true)->Arg(1)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(pick, least_connections, Policy::least_connections, true)->Arg(1)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(pick, least_connections_all_equal, Policy::least_connections, false)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(turn, least_connections, Policy::least_connections)->Arg(3)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(turn, power_of_two, Policy::power_of_two)->Arg(3)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(rebuild, least_connections, Policy::least_connections, true)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(rebuild, round_robin, Policy::round_robin, false)->Arg(10)->Arg(10'000);
BENCHMARK_CAPTURE(rebuild, round_robin_large_weights, Policy::round_robin, true)->Arg(10)->Arg(10'000);

}  // namespace
