#include <benchmark/benchmark.h>

#include <string>

#include "answer.h"

namespace weir::backend {
namespace {

// What 100 rounds of SHA-256 cost alone.
void rounds(benchmark::State& state) {
  std::string input = "weir";
  for (auto _ : state) {
    const std::string hash = hash_rounds(input);
    benchmark::DoNotOptimize(hash.data());
  }
}
BENCHMARK(rounds);

// The whole answer to /hash, from the request's target to the body, without the network.
void answer_to_hash(benchmark::State& state) {
  WallTime now{1'795'251'600s};
  for (auto _ : state) {
    const Wish wish = parse_wish("/hash?input=weir");
    const std::string body = hash_json(wish.input, now);
    benchmark::DoNotOptimize(body.data());
    now += 1ms;
  }
}
BENCHMARK(answer_to_hash);

}  // namespace
}  // namespace weir::backend
