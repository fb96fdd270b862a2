#include "proxy/acceptor.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string_view>

#include "proxy/http2_downstream.h"
#include "proxy/proxy_opening.h"
#include "proxy/tls_opening.h"

namespace weir::proxy {

namespace {

// What a connection over the limit is told: made on the stack, written once.
std::string_view overloaded_reply(WorkerContext& context, std::span<char> room) {
  std::array<char, RequestIds::kSize> id;
  context.request_ids.write(id.data());
  const auto end = fmt::format_to_n(room.data(), static_cast<std::ptrdiff_t>(room.size()),
                                    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\n"
                                    "content-length: 15\r\ndate: {}\r\nx-request-id: {}\r\nconnection: close\r\n\r\n"
                                    "503 overloaded\n",
                                    context.date.at(context.loop.wall_now()), std::string_view(id.data(), id.size()));
  return {room.data(), end.out};
}

}  // namespace

RefusedConnections::~RefusedConnections() {
  close_all();
}

void RefusedConnections::add(SocketId socket, std::string_view reply) {
  if (places_ == nullptr) places_ = std::make_unique<std::array<Place, kPlaces>>();
  iovec piece{const_cast<char*>(reply.data()), reply.size()};
  static_cast<void>(loop_.engine().write(socket, {&piece, 1}, false));
  loop_.engine().shutdown_write(socket);
  Place& place = (*places_)[next_];
  next_ = (next_ + 1) % kPlaces;
  place.close();
  place.open(loop_, socket);
}

void RefusedConnections::close_all() {
  if (places_ == nullptr) return;
  for (Place& place : *places_) place.close();
}

void RefusedConnections::Place::open(EventLoop& loop, SocketId socket) {
  loop_ = &loop;
  socket_ = socket;
  loop.timers().arm(timer_, loop.now() + 1s);
  if (!loop.engine().watch(socket, *this)) close();
}

void RefusedConnections::Place::close() {
  if (socket_ == kNoSocket) return;
  loop_->engine().close(socket_);
  loop_->timers().disarm(timer_);
  socket_ = kNoSocket;
}

void RefusedConnections::Place::on_ready(Readiness readiness) {
  if (socket_ == kNoSocket || !readiness.can_read()) return;
  std::array<char, 4096> dropped;
  for (int i = 0; i < 16; ++i) {
    const IoResult result = loop_->engine().read(socket_, dropped);
    if (result.status == IoStatus::would_block) return;
    if (result.status != IoStatus::ok) return close();
    if (result.bytes < dropped.size() && !readiness.peer_gone()) return;
  }
}

Acceptor::Acceptor(WorkerContext& context, RefusedConnections& refused, LocalRef<ListenerRuntime> listener,
                   SocketId socket)
    : context_(context),
      refused_(refused),
      listener_(std::move(listener)),
      address_(listener_->settings->address),
      pause_timer_(static_cast<TimerHandler&>(*this)),
      socket_(socket) {}

Acceptor::~Acceptor() {
  if (socket_ != kNoSocket) context_.loop.engine().close(socket_);
}

Result<void> Acceptor::start() {
  context_.loop.engine().adopt(socket_);
  return context_.loop.engine().watch(socket_, *this);
}

void Acceptor::finish() {
  if (closed()) return;
  paused_ = false;
  // Whoever got into the queue was promised to be served. The bound is far above any backlog.
  for (int i = 0; i < kQueueMax; ++i) {
    const Accepted accepted = context_.loop.engine().accept(socket_);
    if (accepted.status == Accepted::Status::ok) {
      place(accepted);
      continue;
    }
    if (accepted.status == Accepted::Status::failed) continue;
    // What only waits to be used again makes room.
    if (accepted.status == Accepted::Status::out_of_descriptors && context_.pools.close_longest_idle()) continue;
    break;
  }
  close();
}

void Acceptor::close() {
  if (closed()) return;
  context_.loop.engine().close(socket_);
  socket_ = kNoSocket;
  context_.loop.timers().disarm(pause_timer_);
}

void Acceptor::release() {
  context_.loop.retire(*this);
}

void Acceptor::on_ready(Readiness) {
  if (!paused_) accept_some(kPerTurn);
}

void Acceptor::accept_some(int at_most) {
  if (closed()) return;
  for (int i = 0; i < at_most; ++i) {
    if (context_.loop.engine().descriptors_scarce()) {
      // Connections that only wait to be used again make room first.
      if (!context_.pools.close_longest_idle()) return pause();
      continue;
    }
    const Accepted accepted = context_.loop.engine().accept(socket_);
    switch (accepted.status) {
      case Accepted::Status::ok:
        paused_ = false;
        place(accepted);
        break;
      case Accepted::Status::would_block:
        paused_ = false;
        return;
      case Accepted::Status::out_of_descriptors:
        if (!context_.pools.close_longest_idle()) return pause();
        break;
      case Accepted::Status::failed:
        break;  // that one connection was gone already
    }
  }
  context_.loop.mark_ready(*this);
}

void Acceptor::place(const Accepted& accepted) {
  ConnectionBoard& board = *context_.environment.board;
  const std::size_t self = context_.environment.index;
  const std::size_t target = board.least_loaded(self);
  board.add(target);
  if (target == self) {
    return take_connection(context_, refused_, listener_, accepted.socket, accepted.peer, accepted.peer_port);
  }
  const SocketId socket = context_.loop.engine().release(accepted.socket);
  context_.environment.hand_over(target, listener_->settings->name, socket, accepted.peer, accepted.peer_port);
}

// No descriptor is to be had: what runs goes on, and accepting tries again soon.
void Acceptor::pause() {
  if (!paused_) {
    context_.metrics.counter(observe::Family::kAcceptPaused, {listener_->settings->name})->add(1);
    if (context_.environment.accept_paused) context_.environment.accept_paused(listener_->settings->name);
  }
  paused_ = true;
  context_.loop.timers().arm(pause_timer_, context_.loop.now() + kPause);
}

void take_connection(WorkerContext& context, RefusedConnections& refused, LocalRef<ListenerRuntime> listener,
                     SocketId socket, const IpAddress& peer, std::uint16_t peer_port) {
  const ListenerSettings& settings = *listener->settings;
  if (settings.proxy_protocol && !may_send_proxy_header(settings, peer)) {
    context.environment.board->remove(context.environment.index);
    listener->count_refused("proxy_not_trusted");
    return context.loop.engine().close(socket);
  }
  if (settings.shared.connections().fetch_add(1, std::memory_order_relaxed) >= settings.max_connections) {
    settings.shared.connections().fetch_sub(1, std::memory_order_relaxed);
    context.environment.board->remove(context.environment.index);
    listener->count_refused("overloaded");
    // A word that it could read would cost a handshake.
    if (settings.tls != nullptr) return context.loop.engine().close(socket);
    listener->local_replies(ReplyReason::overloaded).add(1);
    std::array<char, 256> reply;
    return refused.add(socket, overloaded_reply(context, reply));
  }
  const bool draining = context.draining || listener->draining;
  const ConnectionFacts facts{.peer = peer, .peer_port = peer_port};
  const auto begin = [&](auto& connection) {
    if (!connection.start(socket)) return connection.cut();
    if (draining) connection.drain();
  };
  if (settings.proxy_protocol) return begin(*context.openings.make(context, std::move(listener), facts));
  if (settings.tls != nullptr) return begin(*context.tls_openings.make(context, std::move(listener), facts));
  if (settings.protocol == ListenerProtocol::http2) {
    return begin(*context.http2_connections.make(context, std::move(listener), facts));
  }
  begin(*context.connections.make(context, std::move(listener), facts));
}

}  // namespace weir::proxy
