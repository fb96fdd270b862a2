#include "admin/admin_server.h"

#include <algorithm>
#include <utility>

namespace weir::admin {
namespace {

// How long accepting pauses when no descriptor is to be had.
constexpr Duration kAcceptPause = 250ms;

// Beyond the limit this many more are told so; what comes on top of them is just closed.
constexpr std::size_t kTurnedAwayMax = 64;

}  // namespace

AdminServer::AdminServer(EventLoop& loop, ControlView& control, AdminSettings settings)
    : loop_(loop), control_(control), settings_(std::move(settings)), accept_again_(*this) {}

AdminServer::~AdminServer() {
  if (listener_ != kNoSocket) loop_.engine().close(listener_);
}

Result<void> AdminServer::start(std::optional<SocketId> inherited) {
  if (inherited) {
    listener_ = *inherited;
  } else {
    const auto listener = loop_.engine().listen(settings_.address, {.backlog = 128, .reuse_port = false});
    if (!listener) return std::unexpected(listener.error());
    listener_ = *listener;
  }
  auto bound = loop_.engine().local_address(listener_);
  if (!bound) return std::unexpected(bound.error());
  address_ = std::move(*bound);
  api_.emplace(control_, GuardSettings{address_, settings_.token});
  return loop_.engine().watch(listener_, *this);
}

void AdminServer::on_ready(Readiness) {
  accept_all();
}

void AdminServer::on_timer(Timer&) {
  accept_all();
}

void AdminServer::accept_all() {
  for (;;) {
    const Accepted accepted = loop_.engine().accept(listener_);
    switch (accepted.status) {
      case Accepted::Status::ok:
        admit(accepted);
        break;
      case Accepted::Status::would_block:
        return;
      // The edge won't come again for what waits already.
      case Accepted::Status::out_of_descriptors:
        loop_.timers().arm(accept_again_, loop_.now() + kAcceptPause);
        return;
      case Accepted::Status::failed:
        break;
    }
    if (accepted.status == Accepted::Status::failed) {
      loop_.timers().arm(accept_again_, loop_.now() + kAcceptPause);
      return;
    }
  }
}

void AdminServer::admit(const Accepted& accepted) {
  if (connections_.size() >= settings_.limits.connections + kTurnedAwayMax)
    return loop_.engine().close(accepted.socket);
  make_room();
  const auto local = loop_.engine().local_address(accepted.socket);
  ConnectionOwner& owner = *this;
  connections_.push_back(std::make_unique<AdminConnection>(loop_, owner, settings_.limits, accepted.socket,
                                                           accepted.peer, local.value_or(address_)));
  AdminConnection& connection = *connections_.back();
  if (!connection.start()) return;
  if (open_connections() > settings_.limits.connections) connection.turn_away(error_reply(503, "too many connections"));
}

// Those that are closed already wait for the end of the turn.
std::size_t AdminServer::open_connections() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      connections_, [](const auto& connection) { return connection->state() != AdminConnection::State::closed; }));
}

// At the limit the oldest connection without a request makes way, so that idle ones can't lock the operator out.
void AdminServer::make_room() {
  if (open_connections() < settings_.limits.connections) return;
  const auto idle = std::ranges::find_if(
      connections_, [](const auto& connection) { return connection->state() == AdminConnection::State::idle; });
  if (idle != connections_.end()) (*idle)->close();
}

void AdminServer::handle(Request request, SendReply send) {
  api_->handle(std::move(request), std::move(send));
}

void AdminServer::destroyed(AdminConnection& connection) {
  std::erase_if(connections_, [&connection](const auto& owned) { return owned.get() == &connection; });
}

}  // namespace weir::admin
