#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "base/buffer.h"
#include "base/intrusive_list.h"
#include "base/rng.h"
#include "net/engine.h"
#include "runtime/timer_wheel.h"

namespace weir {

struct DirtyTag;
struct ReadyTag;
struct RetiredTag;

// Has output that the loop asks it to write, as a rule once per turn.
class Flushable : public ListNode<DirtyTag> {
 public:
  enum class Order : std::uint8_t {
    first,
    last,  // behind the others, with what came while they were written: for what carries many messages at a time
  };

  virtual void flush() = 0;
  virtual Order order() const { return Order::first; }  // always the same

 protected:
  ~Flushable() = default;
};

// Has input it could not finish in its share of a turn, or that became possible to go on with.
class Resumable : public ListNode<ReadyTag> {
 public:
  virtual void resume() = 0;

 protected:
  ~Resumable() = default;
};

// Is finished and waits for the end of the turn to be destroyed, when nothing of it is on the stack.
class Retired : public ListNode<RetiredTag> {
 public:
  // Gives the object back to where it came from; `this` is gone afterwards.
  virtual void destroy() = 0;

 protected:
  ~Retired() = default;
};

// One thread's loop. A turn: wait, read the clock, hand out readiness, resume what was left over, read the mail, write
// what is dirty, fire timers (and write what they made dirty), destroy what retired. Between those that are written
// first and those that are written last it looks, without waiting, for what has come meanwhile, and hands that out too.
// Everything but post() belongs to the owning thread.
class EventLoop {
 public:
  using Mail = std::move_only_function<void()>;

  EventLoop(Engine& engine, std::uint64_t seed);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  Engine& engine() { return engine_; }
  TimePoint now() const { return engine_.now(); }
  WallTime wall_now() const { return engine_.wall_now(); }
  TimerWheel& timers() { return timers_; }
  BufferPool& buffers() { return buffers_; }
  Rng& rng() { return rng_; }

  // Idempotent: an object is in each list at most once.
  void mark_dirty(Flushable& object) {
    if (object.ListNode<DirtyTag>::linked()) return;
    (object.order() == Flushable::Order::first ? dirty_ : dirty_last_).push_back(object);
  }
  // resume() is called in the next turn, which then does not wait.
  void mark_ready(Resumable& object) {
    if (!object.ListNode<ReadyTag>::linked()) ready_.push_back(object);
  }
  void retire(Retired& object) {
    if (!object.ListNode<RetiredTag>::linked()) retired_.push_back(object);
  }

  // Runs `mail` in this loop's thread in one of its next turns, in the order posted. From any thread. Mail that is
  // never read is destroyed with the loop.
  void post(Mail mail);

  // Called when the loop wakes from more than a second without anything to do, to give memory back.
  void on_idle(std::function<void()> trim) { on_idle_ = std::move(trim); }

  // How many turns there have been, the one under way included. now() does not tell them apart: a turn may read the
  // clock several times.
  std::uint64_t turn() const { return turn_; }

  // One turn. With `may_wait` false, or with something left to do, it does not wait.
  void run_turn(bool may_wait);

  // What the end of a turn does; for an owner that takes its objects apart outside of one.
  void destroy_retired();

  // When this loop next has to run if nothing comes from outside: now() if something is left to do, else the next
  // timer.
  TimePoint next_wakeup() const;

 private:
  void flush_dirty();
  void gather(std::size_t events);
  void read_mail();
  void give_memory_back(TimePoint before);
  bool dirty() const { return !dirty_.empty() || !dirty_last_.empty(); }
  bool work_left() const { return !ready_.empty() || dirty() || has_mail_.load(std::memory_order_acquire); }

  Engine& engine_;
  BufferPool buffers_;
  TimerWheel timers_;
  Rng rng_;
  IntrusiveList<Flushable, DirtyTag> dirty_;  // to be written first
  IntrusiveList<Flushable, DirtyTag> dirty_last_;
  IntrusiveList<Resumable, ReadyTag> ready_;
  IntrusiveList<Retired, RetiredTag> retired_;
  IntrusiveList<Resumable, ReadyTag> resuming_;

  std::uint64_t turn_ = 0;
  std::function<void()> on_idle_;
  TimePoint window_began_{};  // of buffers_

  std::atomic<bool> has_mail_ = false;
  std::mutex mail_mutex_;
  std::vector<Mail> mail_;          // guarded by mail_mutex_
  std::vector<Mail> mail_reading_;  // keeps its capacity from turn to turn
};

}  // namespace weir
