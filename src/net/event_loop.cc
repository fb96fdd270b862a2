#include "net/event_loop.h"

#include <algorithm>
#include <utility>

namespace weir {
namespace {

// Objects that a flush made dirty are flushed in the same turn, but two that keep waking each other must not stop the
// loop.
constexpr int kFlushRoundsMax = 4;

// How often a turn looks again for what has come, and how often of that without having written anything before that
// could have brought an answer. With more, a write carries hardly more, and its receivers wait.
constexpr int kLooksMax = 4;
constexpr int kUnaskedLooksMax = 2;

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
  ++turn_;
  const TimePoint before = engine_.now();
  TimePoint until = TimePoint::min();
  if (may_wait && !work_left()) {
    until = timers_.next_wakeup();
    // Wakes once to give the free slices back: an idle loop holds none.
    if (buffers_.kept() > 0) until = std::min(until, before + kIdleAfter + 1ms);
  }
  resuming_.splice_back(ready_);
  const std::size_t events = engine_.poll(until);
  while (Resumable* object = resuming_.pop_front()) object->resume();
  read_mail();
  gather(events);
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

// A write to a connection with many messages under way costs the same for one as for twenty. While the others are
// written, their peers answer: where that brings more for it, it waits. Nothing is waited for that is not there yet.
void EventLoop::gather(std::size_t events) {
  std::size_t news = events;
  int unasked = 0;
  for (int look = 0; look < kLooksMax && news > 0 && events < Engine::kEventsPerPoll && !dirty_last_.empty(); ++look) {
    if (dirty_.empty() && ++unasked > kUnaskedLooksMax) return;
    IntrusiveList<Flushable, DirtyTag> flushing;
    flushing.splice_back(dirty_);
    while (Flushable* object = flushing.pop_front()) object->flush();
    news = engine_.poll(TimePoint::min());
    events += news;
  }
}

void EventLoop::flush_dirty() {
  IntrusiveList<Flushable, DirtyTag> flushing;
  for (int round = 0; round < kFlushRoundsMax && dirty(); ++round) {
    flushing.splice_back(dirty_);
    flushing.splice_back(dirty_last_);
    while (Flushable* object = flushing.pop_front()) object->flush();
  }
}

void EventLoop::destroy_retired() {
  while (Retired* object = retired_.pop_front()) object->destroy();
}

}  // namespace weir
