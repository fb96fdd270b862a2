#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/slab.h"
#include "net/handshake_queue.h"
#include "net/proxy_protocol.h"
#include "observe/metric_store.h"
#include "tls/client_context.h"
#include "upstream/cluster.h"
#include "upstream/pool/client_pools.h"
#include "upstream/pool/connecting.h"
#include "upstream/pool/http1_connection.h"
#include "upstream/pool/http2_connection.h"

namespace weir {

// What the pools of one worker share. All of it outlives them.
struct PoolContext {
  EventLoop* loop = nullptr;
  ReadScratch* scratch = nullptr;
  // For a look at an idle connection from within whoever wants to use it, who may still read what is in `scratch`.
  ReadScratch look_scratch;
  observe::MetricStore* metrics = nullptr;
  UpstreamEvents* events = nullptr;
  HandshakeQueue* handshakes = nullptr;
  Slab<UpstreamConnecting> connecting;
  Slab<Http1Connection> connections;
  Slab<Http2Connection> http2_connections{8};
  Slab<Http2UpstreamStream> http2_streams;
  IntrusiveList<IdleConnection, IdleTag> idle;  // of all pools, the longest idle first
  std::size_t leases_out = 0;

  // Closes the longest idle connection of any pool, for its descriptor; false if there is none.
  bool close_longest_idle();
};

struct BelowTag;

// One worker's connections to one backend: HTTP/1.1 ones, of which the idle are kept for reuse, LIFO; HTTP/2 ones, of
// which one serves until its limit of streams is reached; requests that wait for a place. See LIFECYCLE.md. One thread.
//
// Where connections begin by saying whose they are (ClusterSettings::proxy_protocol), the backend's pool itself stays
// empty, and each client's connection has one below it.
class Pool final : public Resumable, public ListNode<ClientPoolTag>, public ListNode<BelowTag>, private Retired {
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

  // The pool for `client` alone; null if it has none yet.
  Pool* find_for(ClientPools& client);
  // Makes it. What is connected for it begins with a PROXY header that tells of `ends`. It goes at the end of a turn in
  // which its last connection has gone, with the client (ClientPools::finish), or with this one. The cluster's settings
  // have a proxy_protocol.
  Pool& make_for(ClientPools& client, const ProxiedEnds& ends);
  // Counts how often settings have changed which a connection keeps as they were when it was made.
  std::uint32_t epoch() const { return epoch_; }
  // What a connection says before anything else; empty for nothing.
  std::string_view opening() const { return opening_; }

  // The settings of a new generation: for connections opened or returned from now on.
  void configure(std::shared_ptr<const ClusterSettings> cluster);
  // Closes the longest idle of the backend's connections; false if there is none.
  bool close_one_idle();
  void close_idle();
  // No connection is kept any more: the backend is gone.
  void retire();
  // The answer to UpstreamEvents::reclaim_idle(): go on with what waits.
  void reclaimed(std::size_t closed);

  Backend& backend() { return *backend_; }
  const std::shared_ptr<Backend>& backend_ptr() const { return backend_; }
  const ClusterSettings& cluster() const { return *cluster_; }
  // Our end of TLS to the backend, which is spoken to over it; null if memory is short.
  std::unique_ptr<SecureLayer> make_secure_layer(ConnectionWish wish);
  PoolContext& context() { return context_; }
  // Nothing borrowed, connecting, idle or waiting: may be destroyed.
  bool unused() const { return total_ == 0 && waiters_.empty() && tunnel_waiters_.empty(); }
  // HTTP/1.1 ones, without those of clients' own pools; so is connections().
  std::size_t idle_connections() const { return idle_count_; }
  std::size_t connections() const { return total_; }

  // From UpstreamConnecting, which has left its list. `readiness` is what the last edge brought.
  void on_connected(UpstreamConnecting& made, bool http2, Readiness readiness);
  void on_connect_failed(UpstreamConnecting& failed, UpstreamFailure failure);
  // A handshake over TLS was completed, or has failed; on_connected() or on_connect_failed() follows.
  void on_secured(const SecureLayer& layer);
  void on_not_secured(const SecureLayer& layer);
  // From Http1Connection.
  void on_released(Http1Connection& connection, bool reusable);
  void on_idle_closed(Http1Connection& connection);
  // The answer of one that has never served anything shows that the backend speaks HTTP/2.
  void on_http1_contradicted();
  // From Http2Connection. Its room(), state or offers may have changed.
  void on_http2_changed(Http2Connection& connection);
  void on_http2_released(Http2Connection& connection);
  // It has carried nothing until its deadline.
  void on_http2_rested(Http2Connection& connection);
  // It has closed, or is about to: nothing is lent of it any more.
  void on_http2_closed(Http2Connection& connection);
  // It was asked whether it is still there, and is not asked any more.
  void on_http2_check_over() { --checking_; }
  // What was taken for HTTP/2 is none.
  void on_http2_contradicted();
  // It is about to close for what `error` says.
  void on_http2_broken(const http2::Step& error);

  void resume() override;

 private:
  friend class ClientPools;
  using Waiters = IntrusiveList<UpstreamHandler, WaiterTag>;
  struct Gauges {
    observe::GaugeRef active;
    observe::GaugeRef idle;
    observe::CounterRef created;
  };

  bool expects_http2() const {
    if (cluster_->protocol != UpstreamProtocol::auto_) return cluster_->protocol == UpstreamProtocol::http2;
    return backend_->protocol() == SpokenProtocol::http2;
  }
  // What a connection is opened for.
  ConnectionWish wish() const;

  // Opens a connection, if it may in the place of an idle one; no failure if it is under way, or other workers were
  // asked for its place.
  UpstreamFailure open_connection(ConnectionWish wish, bool may_close_idle = false);
  UpstreamFailure begin_connect(ConnectionWish wish);
  void count_connecting(ConnectionWish wish, int change);
  // How many that wait what is being made will serve.
  std::size_t coming() const;
  std::size_t served_by(ConnectionWish wish) const;
  bool anybody_waits() const { return waiting_ + waiting_tunnels_ > 0; }
  void drop(UpstreamConnecting& connecting);
  Acquired wait(UpstreamHandler& handler, bool fresh);
  Acquired refuse(UpstreamHandler& handler, UpstreamFailure failure);
  void ask_for_protocol(SpokenProtocol known);

  void add_http1(UpstreamConnecting& made, Readiness readiness);
  void lend(Http1Connection& connection);
  // The idle one that was used last and is still open; null if there is none.
  Http1Connection* find_idle();
  Http1Connection* take_idle(UpstreamHandler& handler);
  void serve(Http1Connection& connection, Waiters& waiters, std::size_t& count);
  void keep_idle(Http1Connection& connection);
  // How long a connection that carries nothing is kept, where `idle` is how long it would be.
  Duration keep_for(Duration idle) const;
  void forget();
  // Those lose their place that waited for a connection which is not coming: as many as it would have served.
  void fail_waiters(UpstreamFailure failure, std::size_t at_most);
  void fail_first_waiter(const UpstreamError& error);
  void fail_last_waiter(Waiters& waiters, std::size_t& count, UpstreamFailure failure);
  void fail_tunnel_waiters(UpstreamFailure failure);

  // pool_client.cc
  Pool(Pool& above, ClientPools& client, const ProxiedEnds& ends);
  Pool& top() { return above_ == nullptr ? *this : *above_; }
  void part_from_client();
  void note_unused();
  void destroy() override;
  void start_anew();
  void note_idle(IdleConnection& connection);
  static void note_busy(IdleConnection& connection);
  void count_connection(int change);
  UpstreamFailure ask_other_workers();
  void tell_below_of_reclaimed(std::size_t closed);

  // pool_http2.cc
  Acquired acquire_http2(UpstreamHandler& handler, bool fresh);
  Http2UpstreamStream& lend(Http2Connection& connection, UpstreamHandler& handler);
  // The least loaded one that has room; null if there is none.
  Http2Connection* find_http2(bool tunnel, bool fresh);
  bool http2_may_offer_tunnels() const;
  void add_http2(UpstreamConnecting& made, Readiness readiness);
  void serve_waiters(Http2Connection& connection);
  void serve_tunnel_waiters();
  Acquired wait_for_tunnel(UpstreamHandler& handler);
  UpstreamFailure open_for_tunnels();
  void rest(Http2Connection& connection);
  // A tunnel may wait for its SETTINGS.
  bool awaited(const Http2Connection& connection) const { return waiting_tunnels_ > 0 && !connection.settled(); }
  void enlist(Http2Connection& connection);
  void drop_surplus();
  enum class IdleHttp2 : std::uint8_t { any, settled };
  bool close_one_idle_http2(IdleHttp2 which);
  void finish_http2();

  void make_metrics(Gauges& gauges, std::string_view protocol);
  Gauges& http1_gauges() {
    if (!http1_gauges_.created) make_metrics(http1_gauges_, "http1");
    return http1_gauges_;
  }
  Gauges& http2_gauges() {
    if (!http2_gauges_.created) make_metrics(http2_gauges_, "http2");
    return http2_gauges_;
  }

  PoolContext& context_;
  std::shared_ptr<const ClusterSettings> cluster_;
  std::shared_ptr<Backend> backend_;
  tls::SessionSlot tls_session_;
  Pool* const above_ = nullptr;  // the backend's, of a client's pool
  std::string opening_;
  IntrusiveList<Pool, BelowTag> below_;
  IntrusiveList<IdleConnection, IdleOfAllTag> idle_of_all_;  // own and below, the longest idle first
  std::size_t total_below_ = 0;
  IntrusiveList<Http1Connection, PoolTag> idle_;  // the last used first
  IntrusiveList<UpstreamConnecting, PoolTag> connecting_;
  Waiters waiters_;
  std::size_t idle_count_ = 0;
  std::size_t connecting_count_ = 0;  // each for one of those that wait
  std::size_t total_ = 0;
  std::size_t waiting_ = 0;

  std::size_t http2_count_ = 0;
  std::size_t connecting_http2_ = 0;
  std::size_t connecting_tunnels_ = 0;
  std::size_t checking_ = 0;
  std::size_t waiting_tunnels_ = 0;
  IntrusiveList<Http2Connection, PoolTag> http2_open_;  // with room for a stream
  IntrusiveList<Http2Connection, PoolTag> http2_rest_;
  Waiters tunnel_waiters_;  // for what an HTTP/2 connection may not offer

  bool unsettled_lost_ = false;  // an HTTP/2 connection closed before it was known whether it carries tunnels
  std::uint32_t epoch_ = 0;
  bool reclaiming_ = false;
  bool retired_ = false;
  Gauges http1_gauges_;
  Gauges http2_gauges_;
  observe::GaugeRef carrying_gauge_;
};

}  // namespace weir
