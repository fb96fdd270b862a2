#include "proxy/proxy_opening.h"

#include "net/proxy_protocol.h"
#include "proxy/forwarding.h"
#include "proxy/http1_downstream.h"
#include "proxy/http2_downstream.h"
#include "proxy/tls_opening.h"

namespace weir::proxy {

ProxyOpening::ProxyOpening(WorkerContext& context, LocalRef<ListenerRuntime> listener, const ConnectionFacts& facts)
    : Downstream(context, std::move(listener), facts), io_(context.loop), timer_(static_cast<TimerHandler&>(*this)) {}

ProxyOpening::~ProxyOpening() {
  WEIR_ASSERT(over_);
}

Result<void> ProxyOpening::start(SocketId socket) {
  io_.open(socket);
  context_.loop.timers().arm(timer_, deadline_after(context_.loop.now(), listener_->settings->header_timeout));
  return context_.loop.engine().watch(socket, *this);
}

// Who has just connected is about to say what for, and its header_timeout bounds that.
void ProxyOpening::drain() {}

void ProxyOpening::cut() {
  if (over_) return;
  io_.reset();
  close();
}

void ProxyOpening::on_ready(Readiness readiness) {
  if (over_) return;
  if (readiness.peer_gone()) peer_fin_ = true;
  if (readiness.can_read()) read();
}

void ProxyOpening::resume() {
  if (!over_) read();
}

void ProxyOpening::read() {
  // No more than a header has: what follows is the codec's to read.
  const Transport::Input input = io_.read(context_.scratch, kProxyHeaderBytesMax);
  listener_->received->add(input.fresh);
  if (input.status == IoStatus::failed) return refuse({});
  const ProxyParsed parsed = parse_proxy_header(input.bytes);
  switch (parsed.status) {
    case ProxyParsed::Status::broken:
      return refuse("proxy_header_broken");
    case ProxyParsed::Status::need_more:
      if (input.status == IoStatus::end) return refuse(input.bytes.empty() ? "" : "proxy_header_broken");
      io_.keep(input.bytes);
      if (!input.drained || peer_fin_) context_.loop.mark_ready(*this);
      return;
    case ProxyParsed::Status::done:
      break;
  }
  // A client on a unix socket of the sender has no address: the sender's stays.
  if (parsed.ends.known && parsed.ends.source.family != IpAddress::Family::none) {
    facts_.peer = parsed.ends.source;
    facts_.peer_port = parsed.ends.source_port;
    facts_.local = LocalRef<ToldLocalEnd>(new ToldLocalEnd);
    facts_.local->address = parsed.ends.destination;
    facts_.local->port = parsed.ends.destination_port;
  }
  io_.keep(input.bytes.substr(parsed.consumed));
  go_on();
}

void ProxyOpening::go_on() {
  context_.loop.timers().disarm(timer_);
  over_ = true;
  const bool draining = to_be_drained();
  const auto begin = [&](auto& connection) {
    context_.loop.retire(*this);
    if (!connection.start(std::move(io_))) return connection.cut();
    if (draining) connection.drain();
  };
  auto& place = static_cast<Downstream&>(*this);
  if (listener_->settings->tls != nullptr) return begin(*context_.tls_openings.make(place));
  if (listener_->settings->protocol == ListenerProtocol::http2) return begin(*context_.http2_connections.make(place));
  begin(*context_.connections.make(place));
}

void ProxyOpening::refuse(std::string_view reason) {
  if (!reason.empty()) listener_->count_refused(reason);
  io_.close();
  close();
}

void ProxyOpening::close() {
  over_ = true;
  context_.loop.timers().disarm(timer_);
  leave();
  context_.loop.retire(*this);
}

void ProxyOpening::destroy() {
  context_.openings.destroy(this);
}

void ProxyOpening::on_timer(Timer&) {
  if (!over_) refuse("proxy_header_timeout");
}

bool may_send_proxy_header(const ListenerSettings& settings, const IpAddress& peer) {
  return settings.trusted_proxies.empty() || is_trusted(peer, settings.trusted_proxies);
}

}  // namespace weir::proxy
