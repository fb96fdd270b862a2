#pragma once

#include <cstdint>
#include <string_view>

#include "net/handshake_queue.h"
#include "net/transport.h"
#include "proxy/context.h"
#include "proxy/downstream.h"

namespace weir::proxy {

// A client's connection before it speaks HTTP: its TLS handshake. Once that is through, the connection goes on in a
// successor of the protocol that was agreed on, and this one is destroyed at the end of the turn. Listeners in the
// clear do without. See LIFECYCLE.md. One thread.
//
//   handshake -> closed         through: a successor has the connection; or timed out, or the client has left
//       `-> linger -> closed    failed: the alert must get through before the close
class TlsOpening final : public Downstream,
                         private Handshaking,
                         private ReadinessHandler,
                         private Flushable,
                         private Retired,
                         private TimerHandler {
 public:
  // `listener` has TLS.
  TlsOpening(WorkerContext& context, LocalRef<ListenerRuntime> listener, const ConnectionFacts& facts);
  // Goes on in the place of a connection whose PROXY header has come.
  explicit TlsOpening(Downstream& predecessor);
  ~TlsOpening();

  // A socket that was just accepted, or handed over by another worker.
  Result<void> start(SocketId socket);
  Result<void> start(Transport&& io);
  void drain() override;
  void cut() override;

 private:
  enum class Phase : std::uint8_t { handshake, linger, closed };

  void step() override;
  void on_ready(Readiness readiness) override;
  void flush() override;
  void destroy() override;
  void on_timer(Timer& timer) override;

  void succeed();
  template <typename Successor>
  void go_on(Successor& next);
  void fail(std::string_view reason);
  void read_linger();
  void end();
  void close();

  Transport io_;
  Timer timer_;
  std::size_t discarded_ = 0;
  Phase phase_ = Phase::handshake;
  bool spoken_ = false;    // a byte has come
  bool peer_fin_ = false;  // a FIN was announced: read to the end
};

}  // namespace weir::proxy
