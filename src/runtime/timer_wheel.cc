#include "runtime/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace weir {
namespace {

constexpr std::int64_t kTickNanoseconds = 1'000'000;
constexpr unsigned kSlotBits = 6;
constexpr std::uint64_t kSlotMask = 63;

constexpr unsigned shift_of(std::size_t level) {
  return kSlotBits * static_cast<unsigned>(level);
}

}  // namespace

TimerWheel::TimerWheel(TimePoint start) : start_(start) {}

// Rounded up, so that a timer never fires early.
std::uint64_t TimerWheel::tick_of(TimePoint deadline) const {
  const std::int64_t nanoseconds = (deadline - start_).count();
  if (nanoseconds <= 0) return 0;
  return static_cast<std::uint64_t>(nanoseconds - 1) / kTickNanoseconds + 1;
}

void TimerWheel::arm(Timer& timer, TimePoint deadline) {
  timer.deadline_ = deadline;
  if (deadline == kNever) return;
  // What is overdue fires at the next tick, not at once: a timer that re-arms itself must not keep advance() going.
  const std::uint64_t tick = std::max(tick_of(deadline), tick_ + 1);
  if (timer.linked()) {
    if (timer.due_tick_ <= tick) return;
    timer.unlink();
  }
  place(timer, tick);
}

// A timer lies on the level of the highest group of six bits in which its tick differs from the present one. So every
// level below the top holds only what comes later within the present round of the level above, and nothing wraps but
// the top.
void TimerWheel::place(Timer& timer, std::uint64_t tick) {
  WEIR_ASSERT(tick > tick_);
  auto level = static_cast<std::size_t>((std::bit_width(tick ^ tick_) - 1) / static_cast<int>(kSlotBits));
  if (level >= kLevels - 1) {
    level = kLevels - 1;
    tick = std::min(tick, tick_ + (kSlotMask << shift_of(level)));  // farther ones are looked at on the way
  }
  const std::uint64_t slot = tick >> shift_of(level);
  timer.due_tick_ = slot << shift_of(level);
  slots_[level][slot & kSlotMask].push_back(timer);
  filled_[level] |= std::uint64_t{1} << (slot & kSlotMask);
}

TimerWheel::Place TimerWheel::next_filled() const {
  for (std::size_t level = 0; level < kLevels; ++level) {
    if (filled_[level] == 0) continue;
    const std::uint64_t present = tick_ >> shift_of(level);
    const auto turned = std::rotr(filled_[level], static_cast<int>((present + 1) & kSlotMask));
    const std::uint64_t distance = static_cast<std::uint64_t>(std::countr_zero(turned)) + 1;
    return {level, (present + distance) << shift_of(level)};
  }
  return {kLevels, 0};
}

void TimerWheel::advance(TimePoint now) {
  const std::int64_t nanoseconds = (now - start_).count();
  const std::uint64_t target = nanoseconds <= 0 ? 0 : static_cast<std::uint64_t>(nanoseconds) / kTickNanoseconds;
  while (tick_ < target) {
    const Place next = next_filled();
    if (next.level == kLevels || next.tick > target) break;
    tick_ = next.tick;
    const std::uint64_t slot = (tick_ >> shift_of(next.level)) & kSlotMask;
    filled_[next.level] &= ~(std::uint64_t{1} << slot);
    visit(slots_[next.level][slot]);
  }
  tick_ = std::max(tick_, target);
}

// Nothing can be placed into the slot meanwhile: it is that of the present tick.
void TimerWheel::visit(Slot& slot) {
  while (Timer* timer = slot.pop_front()) {
    if (!timer->armed()) continue;
    const std::uint64_t tick = tick_of(timer->deadline_);
    if (tick > tick_) {
      place(*timer, tick);
      continue;
    }
    timer->deadline_ = kNever;
    timer->handler_->on_timer(*timer);
  }
}

TimePoint TimerWheel::next_wakeup() const {
  const Place next = next_filled();
  if (next.level == kLevels) return kNever;
  return start_ + Duration(static_cast<std::int64_t>(next.tick) * kTickNanoseconds);
}

}  // namespace weir
