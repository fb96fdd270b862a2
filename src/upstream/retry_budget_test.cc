#include "upstream/retry_budget.h"

#include <gtest/gtest.h>

#include <limits>

namespace weir {
namespace {

constexpr TimePoint kBegin = TimePoint(1000s);

int take_all(RetryBudget& budget, TimePoint now, double share) {
  int taken = 0;
  while (budget.take(now, share)) ++taken;
  return taken;
}

TEST(RetryBudget, HasAFloorWithoutRequests) {
  RetryBudget budget;
  EXPECT_EQ(take_all(budget, kBegin, 0.2), 100);
  EXPECT_FALSE(budget.take(kBegin + 9s, 0.2));
}

TEST(RetryBudget, IsAShareOfTheLastTenSeconds) {
  RetryBudget budget;
  for (int second = 0; second < 10; ++second) {
    for (int i = 0; i < 1000; ++i) budget.count_request(kBegin + second * 1s);
  }
  EXPECT_EQ(take_all(budget, kBegin + 9s, 0.2), 2000);
  // A second later the oldest thousand requests no longer count, and nor does any retry of before.
  EXPECT_EQ(take_all(budget, kBegin + 10s, 0.2), 0);
  EXPECT_EQ(take_all(budget, kBegin + 19s, 0.2), 100);
}

// Case: `budget: none` is an infinite share.
TEST(RetryBudget, CanBeSwitchedOff) {
  RetryBudget budget;
  budget.count_request(kBegin);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(budget.take(kBegin, std::numeric_limits<double>::infinity()));
}

TEST(RetryBudget, RetriesComeBackAfterTenSeconds) {
  RetryBudget budget;
  EXPECT_EQ(take_all(budget, kBegin, 0.0), 100);
  EXPECT_EQ(take_all(budget, kBegin + 9s, 0.0), 0);
  EXPECT_EQ(take_all(budget, kBegin + 10s, 0.0), 100);
  EXPECT_EQ(take_all(budget, kBegin + 1h, 0.0), 100);
}

}  // namespace
}  // namespace weir
