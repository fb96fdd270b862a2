#include "histogram.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace weir::lab {
namespace {

TEST(Histogram, AnEmptyOneHasNoTimes) {
  const auto times = std::make_unique<Histogram>();
  EXPECT_EQ(times->total(), 0U);
  EXPECT_EQ(times->quantile_ns(0.5), 0U);
  EXPECT_EQ(times->mean_ns(), 0.0);
}

TEST(Histogram, SmallValuesAreExact) {
  const auto times = std::make_unique<Histogram>();
  for (std::uint64_t i = 1; i <= 100; ++i) times->record(i);
  EXPECT_EQ(times->quantile_ns(0.5), 50U);
  EXPECT_EQ(times->quantile_ns(0.99), 99U);
  EXPECT_EQ(times->quantile_ns(1), 100U);
  EXPECT_DOUBLE_EQ(times->mean_ns(), 50.5);
}

TEST(Histogram, ValuesBeyondItsRangeCountAsTheLargest) {
  const auto times = std::make_unique<Histogram>();
  times->record(~std::uint64_t{0});
  EXPECT_EQ(times->total(), 1U);
  EXPECT_EQ(times->max_ns(), ~std::uint64_t{0});
}

RC_GTEST_PROP(Histogram, AQuantileIsWithinOnePercentOfTheSortedValues, ()) {
  const auto values = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(1, 60'000'000'000)));
  const double share = *rc::gen::element(0.5, 0.9, 0.99, 1.0);
  const auto first = std::make_unique<Histogram>();
  const auto second = std::make_unique<Histogram>();
  for (std::size_t i = 0; i < values.size(); ++i) (i % 2 == 0 ? first : second)->record(values[i]);
  first->add(*second);
  auto sorted = values;
  std::ranges::sort(sorted);
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(sorted.size()) + 0.999999);
  const auto exact = static_cast<double>(sorted[std::max<std::size_t>(rank, 1) - 1]);
  const auto found = static_cast<double>(first->quantile_ns(share));
  RC_ASSERT(found >= exact);
  RC_ASSERT(found <= exact * 1.008 + 1);
}

}  // namespace
}  // namespace weir::lab
