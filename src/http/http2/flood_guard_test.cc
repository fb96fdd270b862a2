#include "http/http2/flood_guard.h"

#include <gtest/gtest.h>

namespace weir::http2 {
namespace {

const SessionLimits kLimits = [] {
  SessionLimits limits;
  limits.resets_per_window = 5;
  limits.control_frames_per_window = 10;
  return limits;
}();

int allowed(FloodGuard& guard, Abuse kind, TimePoint now) {
  int count = 0;
  while (count < 1000 && guard.count(kind, now, kLimits)) ++count;
  return count;
}

TEST(FloodGuard, EachKindHasItsOwnCount) {
  FloodGuard guard;
  EXPECT_EQ(allowed(guard, Abuse::ping, TimePoint{}), 10);
  EXPECT_EQ(allowed(guard, Abuse::settings, TimePoint{}), 10);
  EXPECT_EQ(allowed(guard, Abuse::rapid_reset, TimePoint{}), 5);
  EXPECT_EQ(allowed(guard, Abuse::ping, TimePoint{}), 0);
}

TEST(FloodGuard, AWindowOfTimeEnds) {
  FloodGuard guard;
  const TimePoint start{100s};
  EXPECT_EQ(allowed(guard, Abuse::settings, start), 10);
  EXPECT_FALSE(guard.count(Abuse::settings, start + 9s, kLimits));
  EXPECT_TRUE(guard.count(Abuse::settings, start + 10s, kLimits));
}

TEST(FloodGuard, AnswersMakeUpForResets) {
  FloodGuard guard;
  ASSERT_TRUE(guard.count(Abuse::rapid_reset, TimePoint{100s}, kLimits));
  for (int i = 0; i < 7; ++i) guard.served();
  EXPECT_EQ(allowed(guard, Abuse::rapid_reset, TimePoint{100s}), 5 + 7 - 1);
  // Those of an earlier window don't.
  EXPECT_EQ(allowed(guard, Abuse::rapid_reset, TimePoint{200s}), 5);
}

TEST(FloodGuard, StreamsThatWeOpenMayGetTheirFramesLate) {
  FloodGuard guard;
  ASSERT_TRUE(guard.count(Abuse::reset, TimePoint{100s}, kLimits));
  for (int i = 0; i < 7; ++i) guard.opened();
  EXPECT_EQ(allowed(guard, Abuse::reset, TimePoint{100s}), 10 + 3 * 7 - 1);
  EXPECT_EQ(allowed(guard, Abuse::rapid_reset, TimePoint{100s}), 5);
  // In the next window too, but not for ever.
  EXPECT_EQ(allowed(guard, Abuse::reset, TimePoint{110s}), 10 + 3 * 7);
  EXPECT_EQ(allowed(guard, Abuse::reset, TimePoint{120s}), 10);
}

TEST(FloodGuard, WhoGetsFramesMayAcknowledgeThem) {
  FloodGuard guard;
  ASSERT_TRUE(guard.count(Abuse::window_update, TimePoint{100s}, kLimits));
  for (int i = 0; i < 20; ++i) guard.sent();
  EXPECT_EQ(allowed(guard, Abuse::window_update, TimePoint{100s}), 10 + 40 - 1);
  EXPECT_EQ(allowed(guard, Abuse::settings, TimePoint{100s}), 10);
}

TEST(FloodGuard, EachKindHasAName) {
  for (int kind = 0; kind < static_cast<int>(Abuse::count_); ++kind) {
    EXPECT_FALSE(to_string(static_cast<Abuse>(kind)).empty());
  }
  EXPECT_EQ(to_string(Abuse::unread_output), "unread_output");
}

}  // namespace
}  // namespace weir::http2
