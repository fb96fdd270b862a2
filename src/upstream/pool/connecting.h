#pragma once

#include <cstdint>

#include "net/handshake_queue.h"
#include "net/transport.h"
#include "upstream/pool/connecting_phase.h"
#include "upstream/pool/upstream_stream.h"

namespace weir {

class Pool;
struct PoolContext;
struct PoolTag;

// What a connection is to become.
enum class ConnectionWish : std::uint8_t {
  http1,
  http2,
  either,      // over TLS, as ALPN says; one of those that wait is counted on it
  http1_only,  // for a tunnel, to a backend that otherwise speaks HTTP/2
};

// A connection to a backend that is being made: TCP (or a unix socket) first, then what lies between that and HTTP. It
// ends by telling the pool, which takes its transport over into a connection of the protocol that is spoken, or that it
// failed. Its states are in connecting_phase.h. Owned by its Pool's slab; destroyed at the end of the turn in which it
// ended. One thread.
class UpstreamConnecting final : private ReadinessHandler,
                                 private Flushable,
                                 private Handshaking,
                                 private Retired,
                                 private TimerHandler,
                                 public ListNode<PoolTag> {
 public:
  UpstreamConnecting(Pool& pool, EventLoop& loop, ConnectionWish wish);

  // A socket that Engine::connect() has just made.
  Result<void> start(SocketId socket, TimePoint deadline);
  // Nobody wants it any more: closes it. The pool is not told.
  void abandon();
  ConnectionWish wish() const { return wish_; }
  // In Pool::on_connected() only.
  Transport take_transport() { return std::move(io_); }

 private:
  using State = ConnectingPhase;

  void on_ready(Readiness readiness) override;
  void on_timer(Timer& timer) override;
  void flush() override;
  void step() override;
  void destroy() override;

  void advance(ConnectingEvent event) { kConnectingTable.advance(state_, event); }
  void on_tcp_ready();
  void announce();
  void opened();
  void go_on_with_handshake();
  void connected(bool http2);
  void fail(UpstreamFailure failure);
  void finish();

  Pool& pool_;  // gone once it is done
  PoolContext& context_;
  Transport io_;
  Timer timer_;
  const ConnectionWish wish_;
  Readiness readiness_;  // what the edges have brought
  State state_ = State::connecting;
};

}  // namespace weir
