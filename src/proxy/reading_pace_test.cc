#include "proxy/reading_pace.h"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

constexpr std::size_t kUnread = ReadingPace::kUnreadBytes;
constexpr std::size_t kTimes = ReadingPace::kTimes;
constexpr Duration kTime = ReadingPace::kTime;
const TimePoint kStart = TimePoint{} + 10s;

TEST(ReadingPace, WhatASocketTakesUnreadAllowsNothing) {
  ReadingPace pace;
  EXPECT_EQ(pace.allowance(kStart), 0U);
  pace.note(kUnread, kStart);
  EXPECT_EQ(pace.allowance(kStart), 0U);
  pace.note(1, kStart);
  EXPECT_EQ(pace.allowance(kStart), kTimes);
}

TEST(ReadingPace, WhatWasTakenInTheTimeBeforeStillCounts) {
  ReadingPace pace;
  pace.note(kUnread, kStart);
  pace.note(1000, kStart + kTime - 1ms);
  pace.note(500, kStart + kTime);
  EXPECT_EQ(pace.allowance(kStart + kTime), 1500 * kTimes);
  // The next time begins: the first one is forgotten.
  pace.note(kUnread, kStart + 2 * kTime);
  EXPECT_EQ(pace.allowance(kStart + 2 * kTime), 500 * kTimes);
}

TEST(ReadingPace, WhoStopsReadingIsAllowedNothingAfterTwiceTheTime) {
  ReadingPace pace;
  pace.note(kUnread + 1000, kStart);
  EXPECT_EQ(pace.allowance(kStart + 2 * kTime - 1ms), 1000 * kTimes);
  EXPECT_EQ(pace.allowance(kStart + 2 * kTime), 0U);
  // And it begins anew.
  pace.note(kUnread + 1, kStart + 2 * kTime);
  EXPECT_EQ(pace.allowance(kStart + 2 * kTime), kTimes);
}

}  // namespace
}  // namespace weir::proxy
