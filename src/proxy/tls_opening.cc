#include "proxy/tls_opening.h"

#include <algorithm>
#include <array>

#include "proxy/http1_downstream.h"
#include "proxy/http2_downstream.h"
#include "tls/server_context.h"

namespace weir::proxy {

using observe::Family;

namespace {

// How much and how long a client may go on sending after the alert, so that it gets to read it.
constexpr std::size_t kAlertBytes = 256 * 1024;
constexpr Duration kAlertTime = 1s;
// How long a connection that has never sent a byte is waited for when draining.
constexpr Duration kFirstWord = 1s;

}  // namespace

TlsOpening::TlsOpening(WorkerContext& context, LocalRef<ListenerRuntime> listener, const ConnectionFacts& facts)
    : Downstream(context, std::move(listener), facts), io_(context.loop), timer_(static_cast<TimerHandler&>(*this)) {}

TlsOpening::TlsOpening(Downstream& predecessor)
    : Downstream(predecessor), io_(context_.loop), timer_(static_cast<TimerHandler&>(*this)) {}

TlsOpening::~TlsOpening() {
  WEIR_ASSERT(phase_ == Phase::closed);
}

Result<void> TlsOpening::start(SocketId socket) {
  Transport io(context_.loop);
  io.open(socket);
  return start(std::move(io));
}

Result<void> TlsOpening::start(Transport&& io) {
  io_ = std::move(io);
  std::unique_ptr<SecureLayer> layer = listener_->settings->tls->accept(context_.loop.buffers());
  if (layer == nullptr) return weir::fail("out of memory");
  spoken_ = io_.kept() > 0;
  if (spoken_) context_.handshakes.request_later(*this);
  io_.secure(std::move(layer));
  const TimePoint now = context_.loop.now();
  context_.loop.timers().arm(timer_, deadline_after(now, listener_->settings->handshake_timeout));
  return context_.loop.engine().watch(io_.socket(), *this);
}

// Its successor drains.
void TlsOpening::drain() {
  if (phase_ != Phase::handshake || spoken_) return;
  context_.loop.timers().arm(timer_, std::min(timer_.deadline(), context_.loop.now() + kFirstWord));
}

void TlsOpening::cut() {
  if (phase_ == Phase::closed) return;
  io_.reset();
  close();
}

void TlsOpening::on_ready(Readiness readiness) {
  if (phase_ == Phase::closed) return;
  if (readiness.peer_gone()) peer_fin_ = true;
  if (readiness.can_write() && io_.unsent() > 0) context_.loop.mark_dirty(*this);
  if (!readiness.can_read()) return;
  if (phase_ == Phase::linger) return read_linger();
  context_.handshakes.request(*this);
}

void TlsOpening::step() {
  if (phase_ != Phase::handshake) return;
  const SecureLayer::Handshake step = io_.handshake(context_.scratch);
  if (step.received > 0) {
    spoken_ = true;
    listener_->received->add(step.received);
  }
  if (step.sent > 0) listener_->sent->add(step.sent);
  switch (step.status) {
    case SecureLayer::Handshake::Status::done:
      return succeed();
    case SecureLayer::Handshake::Status::failed:
      return fail(io_.secure_layer()->failure());
    case SecureLayer::Handshake::Status::waiting:
      // A FIN behind what came gives no further edge: it is looked for.
      if (!step.drained || peer_fin_) context_.handshakes.request_later(*this);
      return;
  }
}

void TlsOpening::flush() {
  if (phase_ == Phase::closed) return;
  std::size_t sent = 0;
  const Transport::Flush result = io_.flush(sent);
  if (sent > 0) listener_->sent->add(sent);
  if (result == Transport::Flush::failed) fail("closed");
}

void TlsOpening::succeed() {
  const SecureLayer& layer = *io_.secure_layer();
  const std::string_view resumed = layer.resumed() ? "true" : "false";
  context_.metrics.counter(Family::kTlsHandshakes, {listener_->settings->name, layer.version(), resumed})->add(1);
  facts_.secure = true;
  facts_.certificate = layer.peer_certificate();
  // Whoever did not say what it speaks gets what the listener is for.
  const bool http2 = layer.protocol() == "h2" ||
                     (layer.protocol().empty() && listener_->settings->protocol == ListenerProtocol::http2);
  end();
  Downstream& self = *this;
  if (http2) return go_on(*context_.http2_connections.make(self));
  go_on(*context_.connections.make(self));
}

template <typename Successor>
void TlsOpening::go_on(Successor& next) {
  if (!next.start(std::move(io_))) {
    next.cut();
  } else if (to_be_drained()) {
    next.drain();
  }
}

void TlsOpening::fail(std::string_view reason) {
  if (phase_ != Phase::handshake || !spoken_) return close();
  context_.metrics.counter(Family::kTlsHandshakeFailures, {listener_->settings->name, reason})->add(1);
  if (reason == "closed" || reason == "timeout") return close();
  phase_ = Phase::linger;
  ListNode<HandshakeTag>::unlink();
  io_.shutdown_write();
  context_.loop.timers().arm(timer_, context_.loop.now() + kAlertTime);
  read_linger();
}

void TlsOpening::read_linger() {
  std::array<char, 4096> dropped;
  for (;;) {
    const IoResult result = context_.loop.engine().read(io_.socket(), dropped);
    if (result.status == IoStatus::would_block) return;
    discarded_ += result.bytes;
    if (result.status != IoStatus::ok || discarded_ > kAlertBytes) return close();
  }
}

void TlsOpening::on_timer(Timer&) {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::linger) return close();
  fail("timeout");
}

// Nothing calls it any more.
void TlsOpening::end() {
  phase_ = Phase::closed;
  context_.loop.timers().disarm(timer_);
  ListNode<HandshakeTag>::unlink();
  context_.loop.retire(*this);
}

void TlsOpening::close() {
  io_.close();
  end();
  leave();
}

void TlsOpening::destroy() {
  context_.tls_openings.destroy(this);
}

}  // namespace weir::proxy
