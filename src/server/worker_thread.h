#pragma once

#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/descriptor_budget.h"
#include "net/epoll_engine.h"
#include "net/event_loop.h"
#include "observe/logger.h"
#include "observe/metric_store.h"
#include "proxy/worker.h"
#include "server/thread.h"
#include "server/worker_group.h"

namespace weir::server {

// What the worker threads of a process share. Outlives them.
struct WorkersShared {
  WorkersShared(std::size_t workers, DescriptorBudget& descriptors, observe::Logger& process_log)
      : budget(descriptors), logger(process_log), board(workers), handles(workers), gone(static_cast<long>(workers)) {}

  DescriptorBudget& budget;
  observe::Logger& logger;
  proxy::ConnectionBoard board;
  std::vector<WorkerHandle> handles;  // complete before any worker serves
  std::latch gone;                    // each has destroyed its Worker: nobody writes to another's loop any more
};

// A real worker: a pinned thread with its engine, loop and Worker, all made in that thread so that their memory is near
// it.
class WorkerThread {
 public:
  // Starts the thread and waits until the worker is there. `events` outlives it.
  static Result<std::unique_ptr<WorkerThread>> start(std::size_t index, int core, std::uint64_t seed,
                                                     UpstreamEvents& events, WorkersShared& shared);
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;
  // ask_to_exit() was called for each thread.
  ~WorkerThread() { join(); }

  // The Worker and then the loop are destroyed in their thread, once all workers have got here.
  void ask_to_exit();
  void join();
  const observe::MetricStore& metrics() const { return *metrics_; }

 private:
  WorkerThread(std::size_t index, std::uint64_t seed, UpstreamEvents& events, WorkersShared& shared)
      : index_(index), seed_(seed), events_(events), shared_(shared) {}
  void run();
  proxy::WorkerEnvironment environment();

  const std::size_t index_;
  const std::uint64_t seed_;
  UpstreamEvents& events_;
  WorkersShared& shared_;
  std::latch started_{1};
  std::optional<Error> error_;
  bool exit_ = false;  // of the worker's thread
  std::unique_ptr<observe::MetricStore> metrics_;
  std::unique_ptr<EpollEngine> engine_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<proxy::Worker> worker_;
  std::unique_ptr<Thread> thread_;
};

}  // namespace weir::server
