#include "runtime/timer_wheel.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace weir {
namespace {

constexpr TimePoint kStart = TimePoint(Duration(5'000'000'123));

struct Recorder final : TimerHandler {
  explicit Recorder(std::function<void(Timer&)> action = {}) : action_(std::move(action)), timer(*this) {}

  void on_timer(Timer& fired) override {
    ++count;
    if (action_) action_(fired);
  }

  std::function<void(Timer&)> action_;
  Timer timer;
  int count = 0;
};

TEST(TimerWheel, FiresOnceAtItsTick) {
  TimerWheel wheel(kStart);
  Recorder recorder;
  wheel.arm(recorder.timer, kStart + 10ms);
  EXPECT_TRUE(recorder.timer.armed());
  EXPECT_EQ(wheel.next_wakeup(), kStart + 10ms);
  wheel.advance(kStart + 10ms - 1ns);
  EXPECT_EQ(recorder.count, 0);
  wheel.advance(kStart + 10ms);
  EXPECT_EQ(recorder.count, 1);
  EXPECT_FALSE(recorder.timer.armed());
  EXPECT_EQ(wheel.next_wakeup(), kNever);
  wheel.advance(kStart + 10s);
  EXPECT_EQ(recorder.count, 1);
}

TEST(TimerWheel, OverdueFiresAtTheNextTick) {
  TimerWheel wheel(kStart);
  wheel.advance(kStart + 100ms);
  Recorder recorder;
  wheel.arm(recorder.timer, kStart);
  EXPECT_EQ(wheel.next_wakeup(), kStart + 101ms);
  wheel.advance(kStart + 101ms);
  EXPECT_EQ(recorder.count, 1);
}

TEST(TimerWheel, RearmingLaterMovesNothingUntilTheOldPlace) {
  TimerWheel wheel(kStart);
  Recorder recorder;
  wheel.arm(recorder.timer, kStart + 5ms);
  wheel.arm(recorder.timer, kStart + 50ms);
  EXPECT_EQ(wheel.next_wakeup(), kStart + 5ms);
  wheel.advance(kStart + 6ms);
  EXPECT_EQ(recorder.count, 0);
  EXPECT_EQ(wheel.next_wakeup(), kStart + 50ms);
  wheel.arm(recorder.timer, kStart + 20ms);
  EXPECT_EQ(wheel.next_wakeup(), kStart + 20ms);
  wheel.advance(kStart + 20ms);
  EXPECT_EQ(recorder.count, 1);
}

TEST(TimerWheel, DisarmedNeverFires) {
  TimerWheel wheel(kStart);
  Recorder recorder;
  wheel.arm(recorder.timer, kStart + 5ms);
  wheel.disarm(recorder.timer);
  EXPECT_FALSE(recorder.timer.armed());
  wheel.arm(recorder.timer, kNever);
  wheel.advance(kStart + 1s);
  EXPECT_EQ(recorder.count, 0);
  EXPECT_EQ(wheel.next_wakeup(), kNever);
}

TEST(TimerWheel, FarDeadlinesBeyondTheTopLevel) {
  TimerWheel wheel(kStart);
  Recorder recorder;
  const TimePoint deadline = kStart + std::chrono::hours(24 * 100) + 7ms;
  wheel.arm(recorder.timer, deadline);
  int turns = 0;
  while (recorder.count == 0) {
    const TimePoint next = wheel.next_wakeup();
    ASSERT_LE(next, deadline);
    wheel.advance(next);
    ASSERT_LT(++turns, 100);
  }
  EXPECT_EQ(wheel.next_wakeup(), kNever);
}

TEST(TimerWheel, HandlersMayRearmDisarmAndDestroyAnyTimer) {
  TimerWheel wheel(kStart);
  auto destroyed = std::make_unique<Recorder>();
  Recorder disarmed;
  Recorder moved;
  Recorder actor([&](Timer& self) {
    destroyed.reset();
    wheel.disarm(disarmed.timer);
    wheel.arm(moved.timer, kStart + 30ms);
    if (self.deadline() == kNever) wheel.arm(self, kStart);  // overdue at once, yet advance() ends
  });
  wheel.arm(actor.timer, kStart + 10ms);
  wheel.arm(destroyed->timer, kStart + 10ms);
  wheel.arm(disarmed.timer, kStart + 10ms);
  wheel.arm(moved.timer, kStart + 10ms);
  wheel.advance(kStart + 10ms);
  EXPECT_EQ(actor.count, 1);
  EXPECT_EQ(destroyed, nullptr);
  EXPECT_EQ(disarmed.count, 0);
  EXPECT_EQ(moved.count, 0);
  wheel.advance(kStart + 30ms);
  EXPECT_GE(actor.count, 2);
  EXPECT_EQ(moved.count, 1);
}

TEST(TimerWheel, HandlerMayDestroyItsOwnTimer) {
  TimerWheel wheel(kStart);
  std::unique_ptr<Recorder> recorder;
  bool fired = false;
  recorder = std::make_unique<Recorder>([&](Timer&) {
    fired = true;
    auto gone = std::move(recorder);  // dies with this scope, after the last use of the captures
  });
  auto* timer = &recorder->timer;
  wheel.arm(*timer, kStart + 1ms);
  wheel.advance(kStart + 2ms);
  EXPECT_TRUE(fired);
  EXPECT_EQ(recorder, nullptr);
}

// Against a sorted map: whatever is armed, re-armed, disarmed and destroyed in whatever order, nothing fires early, all
// that is a tick overdue has fired, and next_wakeup() is never later than what it should wake for.
RC_GTEST_PROP(TimerWheel, AgreesWithASortedMap, ()) {
  struct Model final : TimerHandler {
    TimerWheel wheel{kStart};
    TimePoint now = kStart;
    std::vector<std::unique_ptr<Timer>> timers;
    std::map<const Timer*, TimePoint> armed;
    std::map<const Timer*, TimePoint> due;  // the deadline, or when it was armed if that was later
    Duration rearm_after{0};

    void on_timer(Timer& timer) override {
      RC_ASSERT(armed.contains(&timer));
      RC_ASSERT(armed[&timer] <= now);
      armed.erase(&timer);
      if (rearm_after > 0ns) arm(timer, now + rearm_after);
    }
    void arm(Timer& timer, TimePoint deadline) {
      wheel.arm(timer, deadline);
      armed[&timer] = deadline;
      due[&timer] = std::max(deadline, now);
    }
  } model;
  for (int i = 0; i < 8; ++i) model.timers.push_back(std::make_unique<Timer>(model));

  const auto steps = *rc::gen::inRange(1, 80);
  for (int step = 0; step < steps; ++step) {
    auto& timer = model.timers[*rc::gen::inRange<std::size_t>(0, model.timers.size())];
    const auto magnitude = *rc::gen::inRange(0, 42);
    const auto amount = Duration(*rc::gen::inRange<std::int64_t>(0, (std::int64_t{1} << magnitude) + 1));
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
      case 1:
        model.arm(*timer, model.now + amount - 2ms);
        break;
      case 2:
        model.wheel.disarm(*timer);
        model.armed.erase(timer.get());
        break;
      case 3:
        model.armed.erase(timer.get());
        timer = std::make_unique<Timer>(model);
        break;
      default:
        model.rearm_after = *rc::gen::element<Duration>(0ns, 700us, 90ms, 6s);
        model.now += amount;
        model.wheel.advance(model.now);
        for (const auto& [armed, deadline] : model.armed) RC_ASSERT((model.due[armed] + 1ms > model.now));
        break;
    }
    for (const auto& armed : model.timers) RC_ASSERT(armed->armed() == model.armed.contains(armed.get()));
    for (const auto& [armed, deadline] : model.armed) RC_ASSERT((model.wheel.next_wakeup() <= model.due[armed] + 1ms));
  }
}

}  // namespace
}  // namespace weir
