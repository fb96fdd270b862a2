#include "upstream/balancing/balancer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>

#include "upstream/balancing/weighted_draw.h"

namespace weir::balancing {
namespace {

constexpr Policy kPolicies[] = {Policy::round_robin, Policy::random, Policy::least_connections, Policy::power_of_two};

std::vector<BackendLoad> with_weights(const std::vector<std::uint32_t>& weights) {
  std::vector<BackendLoad> backends;
  for (const std::uint32_t weight : weights) backends.push_back({weight, 0, true});
  return backends;
}

std::vector<double> shares(Balancer& balancer, const std::vector<BackendLoad>& backends, int count,
                           std::span<const std::uint32_t> avoid = {}) {
  Rng rng(11);
  std::vector<double> result(backends.size());
  for (int i = 0; i < count; ++i) result.at(balancer.pick({backends, rng, avoid, 0})) += 1.0 / count;
  return result;
}

TEST(Balancer, NamesArePoliciesAsConfigured) {
  EXPECT_EQ(to_string(Policy::round_robin), "round_robin");
  EXPECT_EQ(to_string(Policy::random), "random");
  EXPECT_EQ(to_string(Policy::least_connections), "least_connections");
  EXPECT_EQ(to_string(Policy::power_of_two), "power_of_two");
}

// What every policy promises, whatever the set.
RC_GTEST_PROP(Balancer, PicksAUsableOneAndAvoidsTheTried, (std::uint64_t seed)) {
  const auto policy = *rc::gen::elementOf(std::vector<Policy>(std::begin(kPolicies), std::end(kPolicies)));
  auto backends = *rc::gen::container<std::vector<BackendLoad>>(rc::gen::construct<BackendLoad>(
      rc::gen::element<std::uint32_t>(0, 1, 2, 5, 70'000), rc::gen::inRange<std::uint32_t>(0, 4),
      rc::gen::weightedElement<bool>({{3, true}, {1, false}})));
  const auto avoid = *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::inRange<std::uint32_t>(0, 25));
  auto may_take = [&](std::uint32_t i) { return backends[i].usable && backends[i].weight != 0; };
  auto tried = [&](std::uint32_t i) { return std::find(avoid.begin(), avoid.end(), i) != avoid.end(); };
  bool any = false;
  bool other = false;
  for (std::uint32_t i = 0; i < backends.size(); ++i) {
    any = any || may_take(i);
    other = other || (may_take(i) && !tried(i));
  }
  const auto balancer = make_balancer(policy, seed);
  balancer->rebuild(backends);
  Rng rng(seed);
  for (int i = 0; i < 20; ++i) {
    const std::uint32_t pick = balancer->pick({backends, rng, avoid, 0});
    if (!any) {
      RC_ASSERT(pick == kNoBackend);
      continue;
    }
    RC_ASSERT(pick < backends.size());
    RC_ASSERT(may_take(pick));
    if (other) RC_ASSERT(!tried(pick));
  }
}

TEST(Balancer, IdleBackendsGetTheirWeights) {
  const auto backends = with_weights({6, 3, 0, 1});
  for (const Policy policy : {Policy::round_robin, Policy::random, Policy::least_connections}) {
    const auto balancer = make_balancer(policy, 1);
    balancer->rebuild(backends);
    const auto result = shares(*balancer, backends, 20'000);
    EXPECT_NEAR(result[0], 0.6, 0.015) << to_string(policy);
    EXPECT_NEAR(result[1], 0.3, 0.015) << to_string(policy);
    EXPECT_EQ(result[2], 0) << to_string(policy);
    EXPECT_NEAR(result[3], 0.1, 0.015) << to_string(policy);
  }
}

TEST(Balancer, RetriesGoToTheOthersByWeight) {
  const auto backends = with_weights({6, 3, 2, 1});
  const std::vector<std::uint32_t> avoid = {1};
  for (const Policy policy : {Policy::round_robin, Policy::random, Policy::least_connections}) {
    const auto balancer = make_balancer(policy, 1);
    balancer->rebuild(backends);
    const auto result = shares(*balancer, backends, 20'000, avoid);
    EXPECT_NEAR(result[0], 6.0 / 9, 0.015) << to_string(policy);
    EXPECT_EQ(result[1], 0) << to_string(policy);
    EXPECT_NEAR(result[2], 2.0 / 9, 0.015) << to_string(policy);
    EXPECT_NEAR(result[3], 1.0 / 9, 0.015) << to_string(policy);
  }
}

TEST(LeastConnections, TakesTheLeastActivePerWeight) {
  std::vector<BackendLoad> backends = {{1, 3, true}, {2, 5, true}, {4, 9, true}, {1, 0, false}, {0, 0, true}};
  const auto balancer = make_balancer(Policy::least_connections, 1);
  balancer->rebuild(backends);
  EXPECT_DOUBLE_EQ(shares(*balancer, backends, 10)[2], 1);  // 3, 2.5, 2.25
  const auto change = [&](std::uint32_t backend, std::uint32_t active) {
    backends[backend].active = active;
    balancer->active_changed(backend, active);
  };
  change(2, 10);  // 2.5 as the second: shared 2 to 4
  EXPECT_NEAR(shares(*balancer, backends, 20'000)[2], 2.0 / 3, 0.015);
  change(0, 2);
  EXPECT_DOUBLE_EQ(shares(*balancer, backends, 10)[0], 1);
}

TEST(LeastConnections, KeepsTheActiveAtTheWeights) {
  auto backends = with_weights({4, 2, 1});
  const auto balancer = make_balancer(Policy::least_connections, 1);
  balancer->rebuild(backends);
  Rng rng(3);
  for (int i = 0; i < 700; ++i) {
    const std::uint32_t picked = balancer->pick({backends, rng, {}, 0});
    balancer->active_changed(picked, ++backends[picked].active);
  }
  EXPECT_EQ(backends[0].active, 400U);
  EXPECT_EQ(backends[1].active, 200U);
  EXPECT_EQ(backends[2].active, 100U);
}

TEST(PowerOfTwo, NeverTakesTheBusiestOfThree) {
  const std::vector<BackendLoad> backends = {{1, 9, true}, {1, 1, true}, {1, 5, true}};
  const auto balancer = make_balancer(Policy::power_of_two, 1);
  balancer->rebuild(backends);
  const auto result = shares(*balancer, backends, 20'000);
  EXPECT_EQ(result[0], 0);
  EXPECT_NEAR(result[1], 2.0 / 3, 0.015);
  EXPECT_NEAR(result[2], 1.0 / 3, 0.015);
}

TEST(PowerOfTwo, ComparesLoadPerWeight) {
  const std::vector<BackendLoad> backends = {{10, 19, true}, {1, 2, true}};  // 1.9 and 2, two different ones are drawn
  const auto balancer = make_balancer(Policy::power_of_two, 1);
  balancer->rebuild(backends);
  EXPECT_DOUBLE_EQ(shares(*balancer, backends, 100)[0], 1);
}

TEST(PowerOfTwo, SpreadsBetterThanChance) {
  const auto busiest = [](Policy policy) {
    auto backends = with_weights(std::vector<std::uint32_t>(100, 3));
    const auto balancer = make_balancer(policy, 1);
    balancer->rebuild(backends);
    Rng rng(3);
    for (int i = 0; i < 10'000; ++i) ++backends[balancer->pick({backends, rng, {}, 0})].active;
    std::uint32_t most = 0;
    for (const auto& backend : backends) most = std::max(most, backend.active);
    return most;
  };
  EXPECT_LE(busiest(Policy::power_of_two), 105U);
  EXPECT_GE(busiest(Policy::random), 115U);
}

TEST(WeightedDraw, DrawsByWeightWithAndWithoutSomeExcluded) {
  std::vector<std::uint32_t> weights;
  for (std::uint32_t i = 0; i < 40; ++i) weights.push_back(i % 7);
  auto backends = with_weights(weights);
  backends[5].usable = false;
  WeightedDraw draw;
  draw.build(backends);
  Rng rng(8);
  for (const std::size_t avoided : {0, 3, 16, 17, 30}) {  // from 17 on in one pass
    std::vector<std::uint32_t> avoid;
    for (std::uint32_t i = 0; i < avoided; ++i) avoid.push_back((i * 11) % 40);
    double sum = 0;
    std::vector<double> expected(40);
    for (std::uint32_t i = 0; i < 40; ++i) {
      const bool out = i == 5 || std::find(avoid.begin(), avoid.end(), i) != avoid.end();
      sum += expected[i] = out ? 0 : weights[i];
    }
    std::vector<int> counts(40);
    constexpr int kDraws = 40'000;
    for (int i = 0; i < kDraws; ++i) ++counts[draw.draw_other(rng, avoid)];
    for (std::size_t i = 0; i < 40; ++i) {
      const double mean = kDraws * expected[i] / sum;
      EXPECT_NEAR(counts[i], mean, 6 * std::sqrt(mean)) << avoided << " avoided, backend " << i;
    }
  }
}

}  // namespace
}  // namespace weir::balancing
