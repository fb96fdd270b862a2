#include "net/event_loop.h"

#include <algorithm>
#include <utility>

namespace weir {
namespace {

// Objects that a flush made dirty are flushed in the same turn, but two that keep waking each other must not stop the
// loop.
constexpr int kFlushRoundsMax = 4;

constexpr Duration kIdleAfter = 1s;

// What a load needs at once is looked at over so long.
constexpr Duration kBufferWindow = 10s;

}  // namespace

EventLoop::EventLoop(Engine& engine, std::uint64_t seed) : engine_(engine), timers_(engine.now()), rng_(seed) {}

EventLoop::~EventLoop() {
  destroy_retired();
}

void EventLoop::post(Mail mail) {
  bool first = false;
  {
    const std::lock_guard lock(mail_mutex_);
    first = mail_.empty();
    mail_.push_back(std::move(mail));
    has_mail_.store(true, std::memory_order_release);
  }
  if (first) engine_.wake();
}

void EventLoop::run_turn(bool may_wait) {
  const TimePoint before = engine_.now();
  TimePoint until = TimePoint::min();
  if (may_wait && !work_left()) {
    until = timers_.next_wakeup();
    // Wakes once to give the free slices back: an idle loop holds none.
    if (buffers_.kept() > 0) until = std::min(until, before + kIdleAfter + 1ms);
  }
  resuming_.splice_back(ready_);
  engine_.poll(until);
  while (Resumable* object = resuming_.pop_front()) object->resume();
  read_mail();
  flush_dirty();
  timers_.advance(engine_.now());
  flush_dirty();
  destroy_retired();
  give_memory_back(before);
}

void EventLoop::give_memory_back(TimePoint before) {
  const TimePoint now = engine_.now();
  if (now - before > kIdleAfter) {
    buffers_.trim();
    if (on_idle_) on_idle_();
  }
  if (now - window_began_ > kBufferWindow) {
    window_began_ = now;
    buffers_.begin_window();
  }
}

TimePoint EventLoop::next_wakeup() const {
  return work_left() ? engine_.now() : timers_.next_wakeup();
}

void EventLoop::read_mail() {
  if (!has_mail_.load(std::memory_order_acquire)) return;
  {
    const std::lock_guard lock(mail_mutex_);
    mail_reading_.swap(mail_);
    has_mail_.store(false, std::memory_order_relaxed);
  }
  for (Mail& mail : mail_reading_) mail();
  mail_reading_.clear();
}

void EventLoop::flush_dirty() {
  IntrusiveList<Flushable, DirtyTag> flushing;
  for (int round = 0; round < kFlushRoundsMax && !dirty_.empty(); ++round) {
    flushing.splice_back(dirty_);
    while (Flushable* object = flushing.pop_front()) object->flush();
  }
}

void EventLoop::destroy_retired() {
  while (Retired* object = retired_.pop_front()) object->destroy();
}

}  // namespace weir
