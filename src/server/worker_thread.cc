#include "server/worker_thread.h"

#include <fmt/format.h>

#include <utility>

namespace weir::server {

Result<std::unique_ptr<WorkerThread>> WorkerThread::start(std::size_t index, int core, std::uint64_t seed,
                                                          UpstreamEvents& events, WorkersShared& shared) {
  std::unique_ptr<WorkerThread> self(new WorkerThread(index, seed, events, shared));
  auto thread = Thread::start(fmt::format("weir-worker-{}", index), core, [worker = self.get()] { worker->run(); });
  if (!thread) return std::unexpected(std::move(thread.error()));
  self->thread_ = std::move(*thread);
  self->started_.wait();
  if (self->error_) return std::unexpected(*self->error_);
  return self;
}

void WorkerThread::join() {
  if (thread_) thread_->join();
}

void WorkerThread::ask_to_exit() {
  loop_->post([this] { exit_ = true; });
}

proxy::WorkerEnvironment WorkerThread::environment() {
  proxy::WorkerEnvironment environment;
  environment.index = index_;
  environment.loop = loop_.get();
  environment.metrics = metrics_.get();
  environment.upstream_events = &events_;
  environment.board = &shared_.board;
  environment.hand_over = [this](std::size_t to, const std::string& listener, SocketId socket, IpAddress peer,
                                 std::uint16_t port) {
    const WorkerHandle& other = shared_.handles[to];
    other.loop->post(
        [worker = other.worker, listener, socket, peer, port] { worker->take_over(listener, socket, peer, port); });
  };
  environment.accept_paused = [this](const std::string& listener) {
    shared_.logger.warn(loop_->wall_now(), "accepting pauses",
                        {{"listener", listener}, {"worker", index_}, {"reason", "descriptors run out"}});
  };
  return environment;
}

void WorkerThread::run() {
  auto engine = EpollEngine::open(shared_.budget);
  if (!engine) {
    error_ = std::move(engine.error());
    started_.count_down();
    return;
  }
  engine_ = std::move(*engine);
  metrics_ = std::make_unique<observe::MetricStore>(std::to_string(index_));
  loop_ = std::make_unique<EventLoop>(*engine_, seed_);
  worker_ = std::make_unique<proxy::Worker>(environment());
  shared_.handles[index_] = {loop_.get(), worker_.get()};
  started_.count_down();
  while (!exit_) loop_->run_turn(true);
  worker_.reset();
  shared_.gone.arrive_and_wait();
  loop_.reset();
  engine_.reset();
}

}  // namespace weir::server
