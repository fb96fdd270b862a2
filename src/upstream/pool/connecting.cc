#include "upstream/pool/connecting.h"

#include <cerrno>

#include "upstream/pool/pool.h"

namespace weir {

UpstreamConnecting::UpstreamConnecting(Pool& pool, EventLoop& loop, ConnectionWish wish)
    : pool_(pool), context_(pool.context()), io_(loop), timer_(static_cast<TimerHandler&>(*this)), wish_(wish) {}

Result<void> UpstreamConnecting::start(SocketId socket, TimePoint deadline) {
  io_.open(socket);
  io_.loop().timers().arm(timer_, deadline);
  return io_.loop().engine().watch(socket, *this);
}

void UpstreamConnecting::abandon() {
  finish();
}

void UpstreamConnecting::on_ready(Readiness readiness) {
  readiness_.bits |= readiness.bits;
  switch (state_) {
    case State::connecting:
      return on_tcp_ready();
    case State::announcing:
      return announce();
    case State::handshake:
      if (readiness.can_write() && io_.unsent() > 0) io_.loop().mark_dirty(*this);
      if (readiness.can_read()) context_.handshakes->request(*this);
      return;
    case State::done:
    case State::impossible:
      return;
  }
}

void UpstreamConnecting::on_tcp_ready() {
  const int error = io_.loop().engine().connect_error(io_.socket());
  if (error == EINPROGRESS) return;
  if (error != 0) {
    return fail(error == ECONNREFUSED ? UpstreamFailure::connect_refused : UpstreamFailure::connect_failed);
  }
  if (pool_.opening().empty()) return opened();
  advance(ConnectingEvent::announces);
  io_.output().append(pool_.opening());
  announce();
}

// At once, not with the turn's other output: what comes next may not go through the same hands (TLS).
void UpstreamConnecting::announce() {
  std::size_t sent = 0;
  switch (io_.flush(sent)) {
    case Transport::Flush::done:
      return opened();
    case Transport::Flush::blocked:
      return;
    case Transport::Flush::failed:
      return fail(UpstreamFailure::connect_failed);
  }
}

void UpstreamConnecting::opened() {
  if (!pool_.backend().secure()) return connected(wish_ == ConnectionWish::http2);
  std::unique_ptr<SecureLayer> layer = pool_.make_secure_layer(wish_);
  if (layer == nullptr) return fail(UpstreamFailure::own_trouble);
  io_.secure(std::move(layer));
  advance(ConnectingEvent::secures);
  context_.handshakes->request(*this);
}

void UpstreamConnecting::go_on_with_handshake() {
  const SecureLayer::Handshake step = io_.handshake(*context_.scratch);
  const SecureLayer& layer = *io_.secure_layer();
  switch (step.status) {
    case SecureLayer::Handshake::Status::waiting:
      // A FIN behind what came gives no further edge: it is looked for.
      if (!step.drained || readiness_.peer_gone()) context_.handshakes->request_later(*this);
      return;
    case SecureLayer::Handshake::Status::failed:
      pool_.on_not_secured(layer);
      return fail(UpstreamFailure::tls_failed);
    case SecureLayer::Handshake::Status::done:
      break;
  }
  pool_.on_secured(layer);
  // Who says nothing by ALPN speaks what it is configured to.
  const bool as_configured = layer.protocol().empty() && pool_.cluster().protocol == UpstreamProtocol::http2 &&
                             wish_ != ConnectionWish::http1_only;
  connected(layer.protocol() == "h2" || as_configured);
}

void UpstreamConnecting::flush() {
  if (state_ != State::handshake) return;
  std::size_t sent = 0;
  // A broken connection shows in what is read of it.
  static_cast<void>(io_.flush(sent));
}

void UpstreamConnecting::step() {
  if (state_ == State::handshake) go_on_with_handshake();
}

void UpstreamConnecting::connected(bool http2) {
  Pool& pool = pool_;
  ListNode<PoolTag>::unlink();
  pool.on_connected(*this, http2, readiness_);
  finish();
}

void UpstreamConnecting::fail(UpstreamFailure failure) {
  Pool& pool = pool_;
  finish();
  pool.on_connect_failed(*this, failure);
}

void UpstreamConnecting::on_timer(Timer&) {
  if (state_ != State::done) fail(UpstreamFailure::connect_timeout);
}

void UpstreamConnecting::finish() {
  advance(ConnectingEvent::ending);
  ListNode<PoolTag>::unlink();
  ListNode<HandshakeTag>::unlink();
  io_.close();
  io_.loop().timers().disarm(timer_);
  io_.loop().retire(*this);
}

void UpstreamConnecting::destroy() {
  context_.connecting.destroy(this);
}

}  // namespace weir
