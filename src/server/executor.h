#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "net/event_loop.h"

namespace weir::server {

// Where the control thread has long work done (parsing, compiling, rendering), so that no health check waits for it.
// submit() belongs to the control thread. Jobs run one after the other in the order submitted.
class Executor {
 public:
  using Job = std::move_only_function<void()>;

  virtual ~Executor() = default;
  // Runs `job` elsewhere, then `done` in the control thread by mail. What has not begun when the executor is destroyed
  // is destroyed without being run.
  virtual void submit(Job job, Job done) = 0;
};

// Runs jobs as mail of the control loop itself: for simulation.
class LoopExecutor final : public Executor {
 public:
  explicit LoopExecutor(EventLoop& loop) : loop_(loop) {}
  void submit(Job job, Job done) override;

 private:
  EventLoop& loop_;
};

// One helper thread of its own. Must be destroyed before the loop.
class ThreadExecutor final : public Executor {
 public:
  static Result<std::unique_ptr<ThreadExecutor>> start(EventLoop& loop);
  ~ThreadExecutor() override;
  void submit(Job job, Job done) override;

 private:
  struct Parts;
  explicit ThreadExecutor(EventLoop& loop);
  std::unique_ptr<Parts> parts_;
};

}  // namespace weir::server
