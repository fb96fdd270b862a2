#include "server/executor.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "server/thread.h"

namespace weir::server {

void LoopExecutor::submit(Job job, Job done) {
  loop_.post([this, run = std::move(job), finish = std::move(done)]() mutable {
    run();
    loop_.post(std::move(finish));
  });
}

struct ThreadExecutor::Parts {
  struct Work {
    Job job, done;
  };

  explicit Parts(EventLoop& control) : loop(control) {}

  void run() {
    for (;;) {
      Work work;
      {
        std::unique_lock lock(mutex);
        wanted.wait(lock, [this] { return stopping || !queue.empty(); });
        if (stopping) return;
        work = std::move(queue.front());
        queue.pop_front();
      }
      work.job();
      loop.post(std::move(work.done));
    }
  }

  EventLoop& loop;
  std::mutex mutex;
  std::condition_variable wanted;
  std::deque<Work> queue;  // guarded by mutex
  bool stopping = false;   // guarded by mutex
  std::unique_ptr<Thread> thread;
};

ThreadExecutor::ThreadExecutor(EventLoop& loop) : parts_(std::make_unique<Parts>(loop)) {}

Result<std::unique_ptr<ThreadExecutor>> ThreadExecutor::start(EventLoop& loop) {
  std::unique_ptr<ThreadExecutor> executor(new ThreadExecutor(loop));
  Parts* parts = executor->parts_.get();
  auto thread = Thread::start("weir-helper", Thread::kAnyCore, [parts] { parts->run(); });
  if (!thread) return std::unexpected(std::move(thread.error()));
  parts->thread = std::move(*thread);
  return executor;
}

ThreadExecutor::~ThreadExecutor() {
  if (parts_->thread == nullptr) return;
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->stopping = true;
  }
  parts_->wanted.notify_one();
  parts_->thread->join();
}

void ThreadExecutor::submit(Job job, Job done) {
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->queue.push_back({std::move(job), std::move(done)});
  }
  parts_->wanted.notify_one();
}

}  // namespace weir::server
