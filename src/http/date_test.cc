#include "http/date.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::http {
namespace {

WallTime at(std::int64_t second, std::int64_t ns = 0) {
  return WallTime(std::chrono::seconds(second) + std::chrono::nanoseconds(ns));
}

std::string rfc3339(WallTime time) {
  char text[TimestampCache::kSize];
  return std::string(text, format_rfc3339_us(time, text));
}

TEST(DateCache, FormatsAsHttpWantsIt) {
  DateCache cache;
  EXPECT_EQ(cache.at(at(784111777)), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(cache.at(at(784111777, 999'999'999)), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(cache.at(at(784111778)), "Sun, 06 Nov 1994 08:49:38 GMT");
  EXPECT_EQ(cache.at(at(951782400)), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(cache.at(at(-1)), "Wed, 31 Dec 1969 23:59:59 GMT");
}

TEST(Timestamp, HasMicroseconds) {
  EXPECT_EQ(rfc3339(at(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(rfc3339(at(1795252141, 123'456'789)), "2026-11-21T09:09:01.123456Z");
  EXPECT_EQ(rfc3339(at(-1, 1'000)), "1969-12-31T23:59:59.000001Z");
}

TEST(Timestamp, CacheGivesWhatTheFormatterGives) {
  TimestampCache cache;
  for (std::int64_t i = 0; i < 400; ++i) {
    const WallTime time = at(1795252141 + i / 3 * 7919, i * 2'718'281);
    char text[TimestampCache::kSize];
    cache.write(time, text);
    EXPECT_EQ(std::string(text, sizeof text), rfc3339(time));
  }
}

}  // namespace
}  // namespace weir::http
