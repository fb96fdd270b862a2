#include "backend_server.h"

#include <algorithm>
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
      shared_{loop, options, options.name, make_pattern(kPatternBytes), {}, {}, http2_streams_, {}, {}},
      accept_again_(*this) {
  shared_.all_counts = {&shared_.counts};
}

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
    deal(accepted.socket);
  }
}

void BackendServer::lead(std::span<BackendServer* const> others) {
  workers_.assign(1, this);
  workers_.insert(workers_.end(), others.begin(), others.end());
  for (const BackendServer* other : others) shared_.all_counts.push_back(&other->shared_.counts);
  for (BackendServer* other : others) {
    other->shared_.name = shared_.name;
    other->shared_.all_counts = shared_.all_counts;
  }
}

void BackendServer::deal(SocketId socket) {
  const auto assigned = [](const BackendServer* worker) { return worker->assigned_.load(std::memory_order_relaxed); };
  BackendServer& chosen = workers_.empty() ? *this : **std::ranges::min_element(workers_, {}, assigned);
  chosen.assigned_.fetch_add(1, std::memory_order_relaxed);
  if (&chosen == this) return serve(socket);
  const SocketId released = loop_.engine().release(socket);
  chosen.loop_.post([&chosen, released] {
    chosen.loop_.engine().adopt(released);
    chosen.serve(released);
  });
}

void BackendServer::serve(SocketId socket) {
  if (shared_.options.protocol == Protocol::http2) return serve_as<Http2Connection>(socket, std::string_view());
  serve_as<BackendConnection>(socket);
}

void BackendServer::speaks_http2(SocketId socket, std::string_view input) {
  assigned_.fetch_add(1, std::memory_order_relaxed);  // until the one before it is destroyed
  serve_as<Http2Connection>(socket, input);
}

template <typename Connection, typename... Input>
void BackendServer::serve_as(SocketId socket, Input... input) {
  ConnectionOwner& owner = *this;
  auto connection = std::make_unique<Connection>(shared_, owner, socket);
  Connection& started = *connection;
  connections_.emplace(&started, std::move(connection));
  started.start(input...);
}

void BackendServer::destroyed(ServerConnection& connection) {
  connections_.erase(&connection);
  assigned_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace weir::backend
