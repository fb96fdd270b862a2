#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/intrusive_list.h"
#include "base/time.h"

namespace weir {

class Timer;

class TimerHandler {
 public:
  // Called by TimerWheel::advance() once the deadline has passed. The timer is disarmed and may be armed again, and any
  // timer may be disarmed or destroyed from here.
  virtual void on_timer(Timer& timer) = 0;

 protected:
  ~TimerHandler() = default;
};

struct TimerTag;

// One deadline of its owner. Disarms itself when destroyed. One thread.
class Timer : private ListNode<TimerTag> {
 public:
  explicit Timer(TimerHandler& handler) : handler_(&handler) {}

  bool armed() const { return deadline_ != kNever; }
  TimePoint deadline() const { return deadline_; }

 private:
  friend class TimerWheel;
  friend class IntrusiveList<Timer, TimerTag>;

  TimerHandler* handler_;
  TimePoint deadline_ = kNever;
  std::uint64_t due_tick_ = 0;  // when the wheel will look at it: at most the deadline's tick
};

// A hierarchical wheel of 1 ms ticks. arm() and disarm() are O(1). Re-arming to a later deadline only writes the
// deadline: the wheel puts the timer in its new place when it comes past the old one. Never fires early; fires at most
// one tick late after advance(). One thread.
class TimerWheel {
 public:
  explicit TimerWheel(TimePoint start);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // kNever disarms.
  void arm(Timer& timer, TimePoint deadline);
  // Lazy: leaves the node in its slot, where it costs nothing.
  void disarm(Timer& timer) { timer.deadline_ = kNever; }

  // Fires what is due at `now`, which never goes back.
  void advance(TimePoint now);

  // No timer fires before this; kNever if the wheel is empty. It may be earlier than the first deadline.
  TimePoint next_wakeup() const;

 private:
  static constexpr std::size_t kLevels = 5;
  static constexpr std::size_t kSlots = 64;
  using Slot = IntrusiveList<Timer, TimerTag>;

  struct Place {
    std::size_t level;
    std::uint64_t tick;
  };

  std::uint64_t tick_of(TimePoint deadline) const;
  // The next slot that may hold timers, and the tick at which it has to be looked at. level == kLevels: none.
  Place next_filled() const;
  void place(Timer& timer, std::uint64_t tick);
  void visit(Slot& slot);

  TimePoint start_;
  std::uint64_t tick_ = 0;                       // the tick that advance() has reached
  std::array<std::uint64_t, kLevels> filled_{};  // a bit per slot that may hold timers
  std::array<std::array<Slot, kSlots>, kLevels> slots_;
};

}  // namespace weir
