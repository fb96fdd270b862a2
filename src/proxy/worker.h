#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/event_loop.h"
#include "observe/metric_store.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

// How many connections each worker has, so that accepting can hand one to the least loaded. One cache line a worker,
// touched when a connection opens or closes.
class ConnectionBoard {
 public:
  explicit ConnectionBoard(std::size_t workers) : cells_(workers) {}

  std::size_t workers() const { return cells_.size(); }
  std::uint32_t count(std::size_t worker) const { return cells_[worker].count.load(std::memory_order_relaxed); }
  void add(std::size_t worker) { cells_[worker].count.fetch_add(1, std::memory_order_relaxed); }
  void remove(std::size_t worker) { cells_[worker].count.fetch_sub(1, std::memory_order_relaxed); }
  // `self` if nobody has fewer.
  std::size_t least_loaded(std::size_t self) const;

 private:
  struct alignas(64) Cell {
    std::atomic<std::uint32_t> count{0};
  };
  std::vector<Cell> cells_;
};

// What the worker needs from around it. All of it outlives the worker.
struct WorkerEnvironment {
  std::size_t index = 0;
  EventLoop* loop = nullptr;
  observe::MetricStore* metrics = nullptr;
  UpstreamEvents* upstream_events = nullptr;
  ConnectionBoard* board = nullptr;
  // Hands a connection to another worker: its `take_over` is called there by mail. Called in this worker's thread.
  std::function<void(std::size_t worker, const std::string& listener, SocketId socket, IpAddress peer,
                     std::uint16_t port)>
      hand_over;
  // Accepting pauses for lack of descriptors; for the log. May be empty.
  std::function<void(const std::string& listener)> accept_paused;
};

struct ListenerSocket {
  std::string listener;
  SocketId socket = kNoSocket;  // bound and listening; adopted by this worker's engine
  // Not empty (then there is no `socket`): the name under which this worker has the listening socket so far. The
  // address stays, so the socket goes on under the new name without being closed.
  std::string moved_from{};
};

// The data path of one worker: listeners, connections, streams, pools. Everything here belongs to the worker's thread;
// the control thread reaches it by mail to the loop.
class Worker {
 public:
  explicit Worker(WorkerEnvironment environment);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  // Takes a new configuration into force. `sockets` are those of listeners that were not there before; listeners that
  // are not in the snapshot any more serve what waits in their accept queue, close, and drain within `drain_timeout`.
  void apply(std::shared_ptr<const Snapshot> snapshot, std::vector<ListenerSocket> sockets, Duration drain_timeout);
  // Members of one cluster changed (DNS, admin). Unknown clusters are ignored.
  void update_members(const std::string& cluster, std::shared_ptr<const Membership> members);
  // One member's weight or usability changed.
  void update_member(const std::string& cluster, const Member& member);
  // Closes an idle connection to `backend`, if this worker has one, so that another worker can open one. Returns how
  // many.
  std::size_t reclaim_idle(const std::string& cluster, const Backend& backend);
  // The answer of all other workers to this one's UpstreamEvents::reclaim_idle: how many connections were closed.
  void reclaimed(const std::string& cluster, const std::shared_ptr<Backend>& backend, std::size_t closed);

  void take_over(const std::string& listener, SocketId socket, IpAddress peer, std::uint16_t port);

  // Serves what waits in the accept queues, closes the listening sockets, closes idle connections after one more read,
  // lets running requests finish with "connection: close", until `deadline`; then cuts what is left. done() tells.
  void drain(TimePoint deadline);
  // Cuts everything at once.
  void stop();
  bool done() const;

  std::size_t connections() const;
  // Borrowed upstream connections that have not come back, streams that are not finished: 0 when nothing runs.
  std::size_t leases_out() const;
  std::size_t live_streams() const;
  // What the control thread's /api/v1/clusters shows; asked for by mail.
  struct BackendActivity {
    std::string cluster, backend;
    std::uint64_t active_requests = 0;
    std::uint64_t requests_total = 0;
  };
  std::vector<BackendActivity> activity() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace weir::proxy
