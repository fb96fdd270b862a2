#include "backend_server.h"

#include <utility>

#include "backend_connection.h"
#include "http2_connection.h"

namespace weir::backend {
namespace {

constexpr std::size_t kPatternBytes = 256 * 1024;
static_assert(kPatternBytes % kPatternPeriod == 0);
// How long accepting pauses when no descriptor is to be had.
constexpr Duration kAcceptPause = 100ms;

}  // namespace

BackendServer::BackendServer(EventLoop& loop, const Options& options)
    : loop_(loop),
      shared_{loop, options, options.name, make_pattern(kPatternBytes), {}, {}, http2_streams_},
      accept_again_(*this) {}

BackendServer::~BackendServer() {
  connections_.clear();
  if (listener_ != kNoSocket) loop_.engine().close(listener_);
}

Result<void> BackendServer::start() {
  const auto listener = loop_.engine().listen(shared_.options.listen, {.reuse_port = false});
  if (!listener) return std::unexpected(listener.error());
  listener_ = *listener;
  auto bound = loop_.engine().local_address(listener_);
  if (!bound) return std::unexpected(bound.error());
  address_ = std::move(*bound);
  shared_.name = final_name(shared_.options, address_);
  return loop_.engine().watch(listener_, *this);
}

void BackendServer::on_ready(Readiness) {
  accept_all();
}

void BackendServer::on_timer(Timer&) {
  accept_all();
}

void BackendServer::accept_all() {
  for (;;) {
    const Accepted accepted = loop_.engine().accept(listener_);
    if (accepted.status == Accepted::Status::would_block) return;
    if (accepted.status != Accepted::Status::ok) {
      // The edge won't come again for what waits already.
      loop_.timers().arm(accept_again_, loop_.now() + kAcceptPause);
      return;
    }
    if (shared_.options.protocol == Protocol::http2) {
      speaks_http2(accepted.socket, {});
      continue;
    }
    ConnectionOwner& owner = *this;
    auto connection = std::make_unique<BackendConnection>(shared_, owner, accepted.socket);
    BackendConnection& started = *connection;
    connections_.emplace(&started, std::move(connection));
    started.start();
  }
}

void BackendServer::speaks_http2(SocketId socket, std::string_view input) {
  ConnectionOwner& owner = *this;
  auto connection = std::make_unique<Http2Connection>(shared_, owner, socket);
  Http2Connection& started = *connection;
  connections_.emplace(&started, std::move(connection));
  started.start(input);
}

void BackendServer::destroyed(ServerConnection& connection) {
  connections_.erase(&connection);
}

}  // namespace weir::backend
