#include "net/sim_network.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "net/sim_engine.h"
#include "net/sim_world.h"

namespace weir {
namespace {

constexpr SocketId kFirstSocket = 3;  // as if standard input, output and error were open
constexpr std::uint16_t kFirstEphemeralPort = 32768;
constexpr Duration kSynRetry = 1s;
constexpr Duration kSynTimeout = 127s;  // Linux: six retries

std::unexpected<Error> fail_errno(std::string what, int error) {
  return fail(what + ": " + std::generic_category().message(error), error);
}

SocketAddress any_of(const SocketAddress& address) {
  SocketAddress any = address;
  any.ip.bytes.fill(0);
  return any;
}

}  // namespace

SocketId SimNetwork::add(std::unique_ptr<SimSocket> socket) {
  sockets_.push_back(std::move(socket));
  return kFirstSocket + static_cast<SocketId>(sockets_.size()) - 1;
}

SimSocket* SimNetwork::find(SocketId id) const {
  const auto index = static_cast<std::size_t>(id - kFirstSocket);
  return id >= kFirstSocket && index < sockets_.size() ? sockets_[index].get() : nullptr;
}

void SimNetwork::remove(SocketId id) {
  sockets_[static_cast<std::size_t>(id - kFirstSocket)].reset();
}

void SimNetwork::notify(SocketId id) const {
  SimSocket* socket = find(id);
  if (socket == nullptr || socket->owner == nullptr || socket->handler == nullptr || socket->pending) return;
  if (socket->trigger != Trigger::edge) return;  // levels are looked at in every turn
  socket->pending = true;
  socket->owner->add_pending(id);
}

Readiness SimNetwork::readiness(const SimSocket& socket) const {
  switch (socket.kind) {
    case SimSocket::Kind::stream:
      return socket.stream->readiness(socket.end);
    case SimSocket::Kind::listener:
      return Readiness{static_cast<std::uint8_t>(socket.backlog.empty() ? 0 : Readiness::readable)};
    case SimSocket::Kind::pipe_end:
      break;
  }
  return Readiness{};
}

Result<SocketId> SimNetwork::listen(const SocketAddress& wanted, const ListenOptions& options, SimEngine& owner) {
  auto socket = std::make_unique<SimSocket>();
  socket->kind = SimSocket::Kind::listener;
  socket->owner = &owner;
  socket->address = wanted;
  socket->options = options;
  if (!wanted.is_unix() && wanted.port == 0) socket->address.port = free_port(wanted.ip);
  std::vector<SocketId>& sharing = listeners_[socket->address];
  const bool may_share =
      !wanted.is_unix() && options.reuse_port &&
      std::all_of(sharing.begin(), sharing.end(), [&](SocketId id) { return find(id)->options.reuse_port; });
  if (!sharing.empty() && !may_share) return fail_errno("cannot listen on " + wanted.to_string(), EADDRINUSE);
  if (wanted.is_unix()) unix_paths_.insert(wanted.path);
  world_.trace("listen on {}", socket->address.to_string());
  const SocketId id = add(std::move(socket));
  sharing.push_back(id);
  return id;
}

// What waited to be accepted is reset, as the kernel does.
void SimNetwork::close_listener(SocketId id) {
  SimSocket& socket = *find(id);
  world_.trace("listener {} closed, {} waited", socket.address.to_string(), socket.backlog.size());
  std::erase(listeners_[socket.address], id);
  for (const auto& stream : socket.backlog) stream->reset(1);
}

std::uint16_t SimNetwork::free_port(const IpAddress& ip) {
  std::uint16_t& last = last_port_.try_emplace(ip, kFirstEphemeralPort).first->second;
  last = last == 65535 ? kFirstEphemeralPort : static_cast<std::uint16_t>(last + 1);
  return last;
}

SimSocket* SimNetwork::listener_for(const SocketAddress& address, SocketId* id) {
  for (const SocketAddress& candidate : {address, any_of(address)}) {
    const auto found = listeners_.find(candidate);
    if (found != listeners_.end() && !found->second.empty()) {
      const auto& sharing = found->second;
      *id = sharing.size() == 1 ? sharing.front() : sharing[world_.rng().below(sharing.size())];
      return find(*id);
    }
    if (address.is_unix()) break;
  }
  return nullptr;
}

Result<SocketId> SimNetwork::connect(const IpAddress& from, const SocketAddress& to, SimEngine& owner) {
  const LinkPlan plan =
      world_.faults() == nullptr ? LinkPlan{} : world_.faults()->draw(from, to, world_.now(), world_.rng());
  const std::string what = "cannot connect to " + to.to_string();
  if (plan.connect_errno != 0) {
    world_.fault_counts().count(plan.connect_errno == EADDRNOTAVAIL ? Fault::out_of_ports : Fault::out_of_buffers);
    return fail_errno(what, plan.connect_errno);
  }
  SocketAddress source;
  if (!to.is_unix()) {
    source.ip = from;
    source.port = free_port(from);
  }
  auto stream = std::make_shared<SimStream>(world_, ++connections_, plan, source, to);
  auto socket = std::make_unique<SimSocket>();
  socket->owner = &owner;
  socket->stream = stream;
  world_.trace("stream {} {} connects {} -> {}", stream->number(), owner.name(), source.to_string(), to.to_string());
  if (to.is_unix()) {
    const int error = plan.refuse ? ECONNREFUSED : connect_unix(stream);
    if (plan.refuse) world_.fault_counts().count(Fault::refuse);
    if (error != 0) return fail_errno(what, error);
  } else if (plan.blackhole) {
    world_.fault_counts().count(Fault::blackhole);
    world_.after(kSynTimeout, [stream] { stream->connect_failed(ETIMEDOUT); });
  } else if (plan.refuse) {
    world_.fault_counts().count(Fault::refuse);
    world_.after(2 * plan.delay, [stream] { stream->connect_failed(ECONNREFUSED); });
  } else {
    world_.after(plan.delay, [this, stream] { syn_arrives(stream); });
  }
  const SocketId id = add(std::move(socket));
  stream->attach(0, id);
  return id;
}

void SimNetwork::into_backlog(SimSocket& listener, SocketId id, const std::shared_ptr<SimStream>& stream) {
  listener.backlog.push_back(stream);
  world_.trace("stream {} waits at listener {}", stream->number(), id);
  notify(id);
}

int SimNetwork::connect_unix(const std::shared_ptr<SimStream>& stream) {
  SocketId id = kNoSocket;
  SimSocket* listener = listener_for(stream->listener(), &id);
  if (listener == nullptr) return unix_paths_.contains(stream->listener().path) ? ECONNREFUSED : ENOENT;
  if (listener->backlog.size() >= static_cast<std::size_t>(listener->options.backlog)) return EAGAIN;
  into_backlog(*listener, id, stream);
  stream->established();
  return 0;
}

void SimNetwork::syn_arrives(const std::shared_ptr<SimStream>& stream) {
  if (stream->closed(0)) return;
  const Duration delay = stream->plan().delay;
  SocketId id = kNoSocket;
  SimSocket* listener = listener_for(stream->listener(), &id);
  if (listener == nullptr) {
    world_.after(delay, [stream] { stream->connect_failed(ECONNREFUSED); });
    return;
  }
  if (listener->backlog.size() >= static_cast<std::size_t>(listener->options.backlog)) {
    world_.trace("stream {} dropped by full listener {}", stream->number(), id);
    world_.after(kSynRetry, [this, stream] { syn_arrives(stream); });
    return;
  }
  into_backlog(*listener, id, stream);
  world_.after(delay, [stream] { stream->established(); });
}

}  // namespace weir
