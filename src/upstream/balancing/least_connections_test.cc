#include "upstream/balancing/least_connections.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace weir::balancing {
namespace {

bool may_take(const BackendLoad& load) {
  return load.usable && load.weight != 0;
}

bool contains(const std::vector<std::uint32_t>& list, std::uint32_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// By the definition: every backend is looked at. Those that may be picked, in order.
std::vector<std::uint32_t> scan(const std::vector<BackendLoad>& backends, const std::vector<std::uint32_t>& avoid) {
  std::vector<std::uint32_t> least;
  for (std::uint32_t i = 0; i < backends.size(); ++i) {
    if (!may_take(backends[i]) || contains(avoid, i)) continue;
    if (!least.empty()) {
      const BackendLoad& best = backends[least.front()];
      const std::uint64_t here = std::uint64_t{backends[i].active} * best.weight;
      const std::uint64_t there = std::uint64_t{best.active} * backends[i].weight;
      if (here > there) continue;
      if (here < there) least.clear();
    }
    least.push_back(i);
  }
  if (least.empty() && !avoid.empty()) return scan(backends, {});
  return least;
}

BackendLoad any_load() {
  return {*rc::gen::weightedOneOf<std::uint32_t>({{6, rc::gen::element<std::uint32_t>(0, 1, 2, 3, 4, 6)},
                                                  {1, rc::gen::element<std::uint32_t>(70'000, 0xffffffff)}}),
          *rc::gen::weightedOneOf<std::uint32_t>({{9, rc::gen::inRange<std::uint32_t>(0, 6)},
                                                  {1, rc::gen::element<std::uint32_t>(0xfffffffe, 0xffffffff)}}),
          *rc::gen::weightedElement<bool>({{4, true}, {1, false}})};
}

// Whatever happened before, a pick is one of those that the plain scan finds.
RC_GTEST_PROP(LeastConnections, PicksWhatTheScanFinds, (std::uint64_t seed)) {
  LeastConnections balancer;
  std::vector<BackendLoad> backends;
  Rng rng(seed);
  const auto steps = *rc::gen::inRange(1, 60);
  for (int step = 0; step < steps; ++step) {
    if (step == 0 || *rc::gen::inRange(0, 10) == 0) {
      backends.resize(*rc::gen::inRange<std::size_t>(0, 20));
      for (BackendLoad& load : backends) load = any_load();
      balancer.rebuild(backends);
    } else if (!backends.empty()) {
      const auto changed = *rc::gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(backends.size()));
      backends[changed].active = any_load().active;
      balancer.active_changed(changed, backends[changed].active);
    }
    auto avoid = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 25));
    if (*rc::gen::inRange(0, 2) == 0) avoid.clear();
    const std::uint32_t picked = balancer.pick({backends, rng, avoid, 0});
    const auto expected = scan(backends, avoid);
    if (expected.empty()) {
      RC_ASSERT(picked == kNoBackend);
    } else {
      RC_ASSERT(contains(expected, picked));
    }
  }
}

// Of those that are equally low each gets the share of its weight, wherever they lie in the tree.
TEST(LeastConnections, TiesFallByWeight) {
  for (const std::uint32_t count : {2U, 3U, 5U, 7U, 8U, 13U, 37U}) {
    LeastConnections balancer;
    std::vector<BackendLoad> backends;
    for (std::uint32_t i = 0; i < count; ++i) backends.push_back({1 + i % 3, 2 * (1 + i % 3), true});
    balancer.rebuild(backends);
    for (std::uint32_t i = 0; i < count; i += 4) {  // a part of them is busier
      backends[i].active += 1;
      balancer.active_changed(i, backends[i].active);
    }
    double sum = 0;
    const auto expected = scan(backends, {});
    for (const std::uint32_t i : expected) sum += backends[i].weight;
    std::vector<int> counts(count);
    Rng rng(5);
    constexpr int kPicks = 20'000;
    for (int i = 0; i < kPicks; ++i) ++counts[balancer.pick({backends, rng, {}, 0})];
    for (std::uint32_t i = 0; i < count; ++i) {
      const double mean = contains(expected, i) ? kPicks * backends[i].weight / sum : 0;
      EXPECT_NEAR(counts[i], mean, 6 * std::sqrt(mean)) << count << " backends, number " << i;
    }
  }
}

// Taking the tried out and putting them back leaves no trace.
TEST(LeastConnections, AvoidingForgetsNothing) {
  LeastConnections balancer;
  const std::vector<BackendLoad> backends = {{1, 0, true}, {1, 1, true}, {1, 2, true}, {1, 0, false}, {0, 0, true}};
  balancer.rebuild(backends);
  Rng rng(5);
  const std::vector<std::uint32_t> one = {0, 0, 3, 99};
  const std::vector<std::uint32_t> all = {2, 1, 0};
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(balancer.pick({backends, rng, one, 0}), 1U);
    EXPECT_EQ(balancer.pick({backends, rng, all, 0}), 0U);
    EXPECT_EQ(balancer.pick({backends, rng, {}, 0}), 0U);
  }
}

}  // namespace
}  // namespace weir::balancing
