#include "base/rng.h"

#include <gtest/gtest.h>

#include <array>

namespace weir {
namespace {

TEST(Rng, TheSameSeedGivesTheSameSequence) {
  Rng a(42);
  Rng b(42);
  Rng c(43);
  int same_as_other_seed = 0;
  for (int i = 0; i < 100; ++i) {
    const auto value = a.next();
    EXPECT_EQ(value, b.next());
    same_as_other_seed += value == c.next() ? 1 : 0;
  }
  EXPECT_EQ(same_as_other_seed, 0);
}

TEST(Rng, StaysWithinItsBoundsEvenly) {
  Rng rng(1);
  std::array<int, 10> counts{};
  for (int i = 0; i < 10'000; ++i) ++counts.at(rng.below(10));
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    const auto value = rng.between(5, 7);
    EXPECT_TRUE(value >= 5 && value <= 7);
    low = low || value == 5;
    high = high || value == 7;
    const double unit = rng.unit();
    EXPECT_TRUE(unit >= 0 && unit < 1);
  }
  EXPECT_TRUE(low && high);
  EXPECT_FALSE(rng.chance(0));
  EXPECT_TRUE(rng.chance(1));
}

TEST(Rng, AForkDoesNotShiftItsParent) {
  Rng a(9);
  Rng b(9);
  Rng fork = a.fork();
  b.fork();
  for (int i = 0; i < 10; ++i) fork.next();
  EXPECT_EQ(a.next(), b.next());
}

}  // namespace
}  // namespace weir
