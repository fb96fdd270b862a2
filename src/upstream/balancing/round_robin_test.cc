#include "upstream/balancing/round_robin.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace weir::balancing {
namespace {

std::vector<BackendLoad> with_weights(const std::vector<std::uint32_t>& weights) {
  std::vector<BackendLoad> backends;
  for (const std::uint32_t weight : weights) backends.push_back({weight, 0, true});
  return backends;
}

std::uint64_t usable_weight(const std::vector<BackendLoad>& backends) {
  std::uint64_t sum = 0;
  for (const auto& backend : backends) sum += backend.usable ? backend.weight : 0;
  return sum;
}

std::vector<std::uint32_t> picks(Balancer& balancer, const std::vector<BackendLoad>& backends, std::size_t count) {
  Rng rng(1);
  std::vector<std::uint32_t> result;
  for (std::size_t i = 0; i < count; ++i) result.push_back(balancer.pick({backends, rng, {}, 0}));
  return result;
}

// Every window of `usable weight` picks has each backend exactly as often as its weight says.
void check_windows(const std::vector<std::uint32_t>& sequence, const std::vector<BackendLoad>& backends) {
  const std::uint64_t window = usable_weight(backends);
  std::vector<std::int64_t> missing(backends.size());
  for (std::size_t i = 0; i < backends.size(); ++i) missing[i] = backends[i].usable ? backends[i].weight : 0;
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    RC_ASSERT(sequence[i] < backends.size());
    --missing[sequence[i]];
    if (i >= window) ++missing[sequence[i - window]];
    if (i + 1 < window) continue;
    RC_ASSERT(std::all_of(missing.begin(), missing.end(), [](std::int64_t n) { return n == 0; }));
  }
}

TEST(RoundRobin, SpreadsTheTurnsOfAHeavyBackend) {
  const auto backends = with_weights({2, 1, 1});
  RoundRobin balancer(3);
  balancer.rebuild(backends);
  const auto sequence = picks(balancer, backends, 12);
  for (std::size_t i = 0; i + 1 < sequence.size(); ++i) EXPECT_FALSE(sequence[i] == 0 && sequence[i + 1] == 0);
}

TEST(RoundRobin, IsNeverATurnAheadOrBehind) {
  const auto backends = with_weights({5, 1, 1, 9, 3});
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    RoundRobin balancer(seed);
    balancer.rebuild(backends);
    std::vector<double> counts(5);
    double total = 0;
    for (const std::uint32_t pick : picks(balancer, backends, 100)) {
      ++counts[pick];
      ++total;
      // From any start: ahead by less than one at one end and behind by less than one at the other.
      for (std::size_t i = 0; i < 5; ++i) ASSERT_LT(std::abs(counts[i] - total * backends[i].weight / 19.0), 2.0);
    }
  }
}

TEST(RoundRobin, HeavyAmongManyLightOnesIsSpreadInTheHeapToo) {
  std::vector<std::uint32_t> weights(101, 100);
  weights[0] = 10001;
  const auto backends = with_weights(weights);
  RoundRobin balancer(1);
  balancer.rebuild(backends);
  std::uint32_t run = 0;
  for (const std::uint32_t pick : picks(balancer, backends, 40'000)) {
    run = pick == 0 ? run + 1 : 0;
    ASSERT_LE(run, 3);
  }
}

RC_GTEST_PROP(RoundRobin, AnyWindowHasExactlyTheWeights, (std::uint64_t seed)) {
  const auto weights = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 40));
  auto backends = with_weights(weights);
  for (auto& backend : backends) backend.usable = *rc::gen::weightedElement<bool>({{4, true}, {1, false}});
  RoundRobin balancer(seed);
  balancer.rebuild(backends);
  const std::uint64_t window = usable_weight(backends);
  if (window == 0) {
    RC_ASSERT(picks(balancer, backends, 1)[0] == kNoBackend);
  } else {
    check_windows(picks(balancer, backends, 3 * window), backends);
  }
}

RC_GTEST_PROP(RoundRobin, AnyWindowHasExactlyTheWeightsWhenTheyAreLarge, (std::uint64_t seed)) {
  const auto size = *rc::gen::inRange<std::size_t>(2, 7);
  const auto weights =
      *rc::gen::container<std::vector<std::uint32_t>>(size, rc::gen::inRange<std::uint32_t>(1, 20'000));
  const auto backends = with_weights(weights);
  TurnHeap heap;
  std::vector<TurnTable::Entry> entries;
  for (std::uint32_t i = 0; i < size; ++i) entries.push_back({i, weights[i]});
  heap.build(entries, Rng(seed).next());
  std::vector<std::uint32_t> sequence;
  for (std::uint64_t i = 0; i < 2 * usable_weight(backends); ++i) sequence.push_back(heap.pick());
  check_windows(sequence, backends);
}

RC_GTEST_PROP(RoundRobin, WindowsHoldAfterEachBackendThatLeavesOrReturns, (std::uint64_t seed)) {
  const auto size = *rc::gen::inRange<std::size_t>(1, 8);
  auto backends =
      with_weights(*rc::gen::container<std::vector<std::uint32_t>>(size, rc::gen::inRange<std::uint32_t>(1, 9)));
  RoundRobin balancer(seed);
  for (int change = 0; change < 10; ++change) {
    backends[*rc::gen::inRange<std::size_t>(0, size)].usable ^= true;
    balancer.rebuild(backends);
    const std::uint64_t window = usable_weight(backends);
    if (window == 0) continue;
    check_windows(picks(balancer, backends, window + *rc::gen::inRange<std::size_t>(0, 30)), backends);
  }
}

RC_GTEST_PROP(RoundRobin, ARebuildWithoutChangeKeepsThePosition, (std::uint64_t seed)) {
  const auto scale = *rc::gen::element<std::uint32_t>(1, 1000);
  const auto backends = with_weights({3 * scale + 1, 2 * scale, scale, 7});
  RoundRobin plain(seed);
  RoundRobin rebuilt(seed);
  plain.rebuild(backends);
  rebuilt.rebuild(backends);
  for (int i = 0; i < 50; ++i) {
    rebuilt.rebuild(backends);
    RC_ASSERT(picks(plain, backends, 1) == picks(rebuilt, backends, 1));
  }
}

TEST(RoundRobin, HoldsPositionWhileNothingIsUsable) {
  auto backends = with_weights({1, 1, 1, 1, 1, 1, 1, 1});
  RoundRobin balancer(9);
  balancer.rebuild(backends);
  const auto before = picks(balancer, backends, 3);
  const auto none = std::vector<BackendLoad>(8, BackendLoad{1, 0, false});
  balancer.rebuild(none);
  EXPECT_EQ(picks(balancer, none, 1)[0], kNoBackend);
  balancer.rebuild(backends);
  EXPECT_EQ(picks(balancer, backends, 1)[0], (before.back() + 1) % 8);
}

TEST(RoundRobin, AvoidedPicksLeaveTheWindowsOfTheOthersAlone) {
  const auto backends = with_weights({2, 1, 1});
  RoundRobin plain(5);
  RoundRobin retried(5);
  plain.rebuild(backends);
  retried.rebuild(backends);
  Rng rng(2);
  std::vector<std::uint32_t> retries(3);
  for (int i = 0; i < 1000; ++i) {
    const auto expected = picks(plain, backends, 1);
    ASSERT_EQ(picks(retried, backends, 1), expected);
    if (expected[0] == 0) ++retries[retried.pick({backends, rng, expected, 0})];
  }
  EXPECT_EQ(retries[0], 0U);
  EXPECT_NEAR(retries[1], 250, 60);
  EXPECT_NEAR(retries[2], 250, 60);
}

TEST(RoundRobin, AvoidedOnesAreTakenWhenThereIsNoOther) {
  auto backends = with_weights({1, 1, 0, 5});
  backends[3].usable = false;
  RoundRobin balancer(5);
  balancer.rebuild(backends);
  Rng rng(2);
  const std::vector<std::uint32_t> one = {0, 0};
  const std::vector<std::uint32_t> both = {0, 1};
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(balancer.pick({backends, rng, one, 0}), 1U);
    EXPECT_LT(balancer.pick({backends, rng, both, 0}), 2U);
  }
}

// 4,000 requests that land on 16 workers at random.
std::vector<double> shares_of_workers(std::vector<std::unique_ptr<Balancer>>& workers,
                                      const std::vector<BackendLoad>& backends, Rng& rng) {
  std::vector<double> shares(backends.size());
  for (int i = 0; i < 4000; ++i) {
    shares[workers[rng.below(workers.size())]->pick({backends, rng, {}, 0})] += 1.0 / 4000;
  }
  return shares;
}

void check_shares(const std::vector<double>& shares, const std::vector<BackendLoad>& backends) {
  const auto sum = static_cast<double>(usable_weight(backends));
  for (std::size_t i = 0; i < shares.size(); ++i) {
    EXPECT_NEAR(shares[i], backends[i].usable ? backends[i].weight / sum : 0, 0.02) << i;
  }
}

TEST(RoundRobin, SixteenWorkersStayWithinTheWeights) {
  const std::vector<std::vector<std::uint32_t>> cases = {{2, 1, 1},
                                                         {1, 1},
                                                         {1, 1, 1, 1, 1, 1, 1},
                                                         {65535, 30000, 1},
                                                         {1'000'000, 999'999, 500'001, 7},
                                                         {100, 1, 1, 1},
                                                         std::vector<std::uint32_t>(300, 1)};
  for (const auto& weights : cases) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      Rng rng(seed);
      auto backends = with_weights(weights);
      std::vector<std::unique_ptr<Balancer>> workers;
      for (int i = 0; i < 16; ++i) workers.push_back(make_balancer(Policy::round_robin, rng.next()));
      for (auto& worker : workers) worker->rebuild(backends);
      check_shares(shares_of_workers(workers, backends, rng), backends);
      backends[0].usable = false;
      for (auto& worker : workers) worker->rebuild(backends);
      check_shares(shares_of_workers(workers, backends, rng), backends);
      backends[0].usable = true;
      for (auto& worker : workers) worker->rebuild(backends);
      check_shares(shares_of_workers(workers, backends, rng), backends);
    }
  }
}

TEST(RoundRobin, WorkersDoNotStartAtTheSameBackend) {
  auto backends = with_weights(std::vector<std::uint32_t>(16, 1));
  std::map<std::uint32_t, int> first;
  std::map<std::uint32_t, int> first_after_return;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    RoundRobin worker(seed);
    worker.rebuild(backends);
    ++first[picks(worker, backends, 1)[0]];
    backends[3].usable = false;
    worker.rebuild(backends);
    backends[3].usable = true;
    worker.rebuild(backends);
    ++first_after_return[picks(worker, backends, 1)[0]];
  }
  EXPECT_GE(first.size(), 12U);
  EXPECT_GE(first_after_return.size(), 12U);
}

// A backend that comes and goes with every request must not starve the others or be favoured itself.
TEST(RoundRobin, SharesHoldUnderConstantChange) {
  auto backends = with_weights({1, 1, 1, 1});
  RoundRobin balancer(4);
  std::vector<int> counts(4);
  for (int i = 0; i < 7000; ++i) {
    backends[3].usable = i % 2 == 0;
    balancer.rebuild(backends);
    ++counts[picks(balancer, backends, 1)[0]];
  }
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(counts[i], 2041, 300) << i;
}

}  // namespace
}  // namespace weir::balancing
