#pragma once

#include <cstdint>
#include <memory>

#include "base/slab.h"
#include "observe/metric_store.h"
#include "upstream/cluster.h"
#include "upstream/pool/connecting.h"
#include "upstream/pool/http1_connection.h"

namespace weir {

// What the pools of one worker share. All of it outlives them.
struct PoolContext {
  EventLoop* loop = nullptr;
  ReadScratch* scratch = nullptr;
  observe::MetricStore* metrics = nullptr;
  UpstreamEvents* events = nullptr;
  Slab<UpstreamConnecting> connecting;
  Slab<Http1Connection> connections;
  IntrusiveList<Http1Connection, IdleTag> idle;  // of all pools, the longest idle first
  std::size_t leases_out = 0;

  // Closes the longest idle connection of any pool, for its descriptor; false if there is none.
  bool close_longest_idle();
};

// One worker's connections to one backend: idle ones kept for reuse, LIFO; streams borrowed from them; requests that
// wait for one. See LIFECYCLE.md. One thread.
class Pool final : public Resumable {
 public:
  Pool(PoolContext& context, std::shared_ptr<const ClusterSettings> cluster, std::shared_ptr<Backend> backend);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool();

  struct Acquired {
    enum class Status : std::uint8_t { ready, pending, refused };
    Status status;
    UpstreamStream* stream = nullptr;  // when ready; borrowed
    UpstreamError error;               // when refused
  };
  // Borrows a stream for `handler`, without waiting. Pending: handler.on_lease() or on_lease_failed() follows, unless
  // it leaves by give_up(). `fresh`: not one that has been idle, since the last one was stale.
  Acquired acquire(UpstreamHandler& handler, bool fresh = false);
  // A pending handler waits no more. What was being connected for it goes on, and to the idle ones.
  void give_up(UpstreamHandler& handler);

  // The settings of a new generation: for connections opened or returned from now on.
  void configure(std::shared_ptr<const ClusterSettings> cluster) { cluster_ = std::move(cluster); }
  // Closes one idle connection; false if there is none.
  bool close_one_idle();
  void close_idle();
  // No connection is kept any more: the backend is gone.
  void retire();
  // The answer to UpstreamEvents::reclaim_idle(): go on with what waits.
  void reclaimed(std::size_t closed);

  Backend& backend() { return *backend_; }
  const std::shared_ptr<Backend>& backend_ptr() const { return backend_; }
  const ClusterSettings& cluster() const { return *cluster_; }
  PoolContext& context() { return context_; }
  // Nothing borrowed, connecting, idle or waiting: may be destroyed.
  bool unused() const { return total_ == 0 && waiters_.empty(); }
  std::size_t idle_connections() const { return idle_count_; }
  std::size_t connections() const { return total_; }

  // From UpstreamConnecting, which has left its list. `readiness` is what the last edge brought.
  void on_connected(UpstreamConnecting& made, Readiness readiness);
  void on_connect_failed(UpstreamFailure failure);
  // From Http1Connection.
  void on_released(Http1Connection& connection, bool reusable);
  void on_idle_closed(Http1Connection& connection);

  void resume() override;

 private:
  // Opens a connection for the handler that waits longest; none if it fails at once.
  UpstreamFailure open_connection();
  UpstreamFailure begin_connect();
  void lend(Http1Connection& connection);
  // The idle one that was used last and is still open; null if there is none.
  Http1Connection* find_idle();
  void serve_first_waiter(Http1Connection& connection);
  void keep_idle(Http1Connection& connection);
  void forget(Http1Connection& connection);
  // One connection is opened for each that waits, so somebody may have lost his own.
  void fail_if_nothing_comes(UpstreamFailure failure);
  void fail_first_waiter(const UpstreamError& error);
  void fail_last_waiter(const UpstreamError& error);
  void make_metrics();

  PoolContext& context_;
  std::shared_ptr<const ClusterSettings> cluster_;
  std::shared_ptr<Backend> backend_;
  IntrusiveList<Http1Connection, PoolTag> idle_;  // the last used first
  IntrusiveList<UpstreamConnecting, PoolTag> connecting_;
  IntrusiveList<UpstreamHandler, WaiterTag> waiters_;
  std::size_t idle_count_ = 0;
  std::size_t connecting_count_ = 0;
  std::size_t total_ = 0;
  std::size_t waiting_ = 0;
  bool reclaiming_ = false;
  bool retired_ = false;
  observe::GaugeRef active_gauge_;
  observe::GaugeRef idle_gauge_;
  observe::GaugeRef carrying_gauge_;
  observe::CounterRef created_;
};

}  // namespace weir
