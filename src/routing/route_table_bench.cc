#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "routing/route_table.h"

namespace {

using namespace weir;
using namespace weir::routing;

std::vector<RouteMatch> make_routes(std::int64_t hosts, int prefixes) {
  std::vector<RouteMatch> routes;
  for (std::int64_t host = 0; host < hosts; ++host) {
    for (int prefix = 0; prefix < prefixes; ++prefix) {
      const std::string name = "service-" + std::to_string(host) + ".example.com";
      routes.push_back({name, {}, "/api/v" + std::to_string(prefix), {}, {}});
    }
  }
  routes.push_back({"*.example.com", {}, "/static", {}, {}});
  routes.push_back({"", "/health", {}, {"GET"}, {}});
  return routes;
}

void build(benchmark::State& state) {
  const auto routes = make_routes(state.range(0), 10);
  for (auto _ : state) benchmark::DoNotOptimize(RouteTable::build(routes));
  state.counters["routes"] = static_cast<double>(routes.size());
  state.counters["bytes"] = static_cast<double>(RouteTable::build(routes).memory_bytes());
}
BENCHMARK(build)->Arg(1000)->Unit(benchmark::kMillisecond);

// A different host and path each time, so that caches help no more than they would in traffic.
void find(benchmark::State& state) {
  const auto routes = make_routes(state.range(0), 10);
  const RouteTable table = RouteTable::build(routes);
  BufferPool pool;
  Arena arena(pool);
  http::FieldList fields(arena);
  Rng rng(1);
  std::vector<std::pair<std::string, std::string>> requests;
  for (int i = 0; i < 4096; ++i) {
    const RouteMatch& route = routes[rng.below(routes.size() - 2)];
    requests.emplace_back(route.host, *route.path_prefix + "/customers/1234567/orders");
  }
  std::size_t next = 0;
  for (auto _ : state) {
    const auto& [host, path] = requests[next++ % requests.size()];
    benchmark::DoNotOptimize(table.find({host, path, "GET", fields}));
  }
}
BENCHMARK(find)->Arg(1)->Arg(1000);

void find_in_one_route(benchmark::State& state) {
  const std::vector<RouteMatch> routes(1);
  const RouteTable table = RouteTable::build(routes);
  BufferPool pool;
  Arena arena(pool);
  http::FieldList fields(arena);
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.find({"service-1.example.com", "/api/v1/customers/1234567/orders", "GET", fields}));
  }
}
BENCHMARK(find_in_one_route);

}  // namespace
