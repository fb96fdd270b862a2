#include "net/sim_engine.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/assert.h"
#include "net/sim_world.h"

namespace weir {
namespace {

std::unexpected<Error> fail_errno(const std::string& what, int error) {
  return fail(what + ": " + std::generic_category().message(error), error);
}

}  // namespace

SimEngine::SimEngine(SimWorld& world, DescriptorBudget& budget, std::string name, const IpAddress& ip)
    : world_(world), budget_(budget), name_(std::move(name)), ip_(ip), now_(world.now()), wall_now_(world.wall_now()) {}

WallTime SimEngine::wall_now() const {
  return wall_now_;
}

SimSocket& SimEngine::own(SocketId socket) const {
  SimSocket* found = world_.network().find(socket);
  WEIR_CHECK(found != nullptr);      // closed already
  WEIR_CHECK(found->owner == this);  // belongs to another thread
  return *found;
}

SimSocket& SimEngine::own_stream(SocketId socket) const {
  SimSocket& found = own(socket);
  WEIR_CHECK(found.kind == SimSocket::Kind::stream);
  return found;
}

bool SimEngine::at_limit(std::size_t wanted) {
  if (budget_.open() + wanted <= budget_.limit()) return false;
  world_.fault_counts().count(Fault::out_of_descriptors);
  world_.trace("{} is out of descriptors", name_);
  return true;
}

Result<SocketId> SimEngine::listen(const SocketAddress& address, const ListenOptions& options) {
  if (at_limit(1)) return fail_errno("cannot listen on " + address.to_string(), EMFILE);
  Result<SocketId> listener = world_.network().listen(address, options, *this);
  if (listener) budget_.opened();
  return listener;
}

Result<SocketAddress> SimEngine::local_address(SocketId socket) {
  const SimSocket& found = own(socket);
  if (found.kind == SimSocket::Kind::listener) return found.address;
  WEIR_CHECK(found.kind == SimSocket::Kind::stream);
  return found.end == 0 ? found.stream->connector() : found.stream->listener();
}

Accepted SimEngine::accept(SocketId id) {
  SimSocket& listener = own(id);
  WEIR_CHECK(listener.kind == SimSocket::Kind::listener);
  if (listener.backlog.empty()) return {Accepted::Status::would_block, kNoSocket, {}, 0, 0};
  if (at_limit(1)) return {Accepted::Status::out_of_descriptors, kNoSocket, {}, 0, EMFILE};
  auto socket = std::make_unique<SimSocket>();
  socket->owner = this;
  socket->stream = std::move(listener.backlog.front());
  socket->end = 1;
  listener.backlog.pop_front();
  SimStream& stream = *socket->stream;
  const SocketId accepted = world_.network().add(std::move(socket));
  stream.attach(1, accepted);
  budget_.opened();
  world_.trace("stream {} accepted by {}", stream.number(), name_);
  return {Accepted::Status::ok, accepted, stream.connector().ip, stream.connector().port, 0};
}

Result<SocketId> SimEngine::connect(const SocketAddress& address) {
  if (at_limit(1)) return fail_errno("cannot connect to " + address.to_string(), EMFILE);
  Result<SocketId> socket = world_.network().connect(ip_, address, *this);
  if (socket) budget_.opened();
  return socket;
}

int SimEngine::connect_error(SocketId socket) {
  return own_stream(socket).stream->connect_error();
}

IoResult SimEngine::read(SocketId socket, std::span<char> into) {
  SimSocket& found = own_stream(socket);
  return found.stream->read(found.end, into);
}

IoResult SimEngine::write(SocketId socket, std::span<const iovec> from, bool) {
  SimSocket& found = own_stream(socket);
  return found.stream->write(found.end, from);
}

bool SimEngine::quiet(SocketId socket) {
  SimSocket& found = own_stream(socket);
  return found.stream->quiet(found.end);
}

std::size_t SimEngine::unread(SocketId socket) {
  SimSocket& found = own_stream(socket);
  return found.stream->unread(found.end);
}

Result<Pipe> SimEngine::open_pipe() {
  if (at_limit(2)) return fail_errno("cannot open a pipe", EMFILE);
  Pipe pipe;
  const auto content = std::make_shared<std::string>();
  for (SocketId* end : {&pipe.read_end, &pipe.write_end}) {
    auto socket = std::make_unique<SimSocket>();
    socket->kind = SimSocket::Kind::pipe_end;
    socket->owner = this;
    socket->pipe = content;
    *end = world_.network().add(std::move(socket));
  }
  budget_.opened(2);
  return pipe;
}

void SimEngine::close_pipe(Pipe& pipe) {
  for (const SocketId end : {pipe.read_end, pipe.write_end}) {
    WEIR_CHECK(own(end).kind == SimSocket::Kind::pipe_end);
    world_.network().remove(end);
  }
  budget_.closed(2);
  pipe = Pipe{};
}

IoResult SimEngine::splice_in(SocketId from, Pipe& pipe, std::size_t at_most) {
  std::string& content = *own(pipe.write_end).pipe;
  WEIR_CHECK(content.size() == pipe.buffered);
  const std::size_t room = kPipeBytes - content.size();
  if (room == 0) return {IoStatus::would_block};
  const std::size_t before = content.size();
  content.resize(before + std::min(room, at_most));
  const IoResult result = read(from, std::span(content).subspan(before));
  content.resize(before + result.bytes);
  pipe.buffered = content.size();
  return result;
}

IoResult SimEngine::splice_out(Pipe& pipe, SocketId to, bool more) {
  std::string& content = *own(pipe.read_end).pipe;
  WEIR_CHECK(content.size() == pipe.buffered);
  const iovec piece{content.data(), content.size()};
  const IoResult result = write(to, {&piece, 1}, more);
  content.erase(0, result.bytes);
  pipe.buffered = content.size();
  return result;
}

void SimEngine::shutdown_write(SocketId socket) {
  SimSocket& found = own_stream(socket);
  world_.trace("stream {} end {} shuts down writing", found.stream->number(), found.end);
  found.stream->shutdown_write(found.end);
}

void SimEngine::close(SocketId socket) {
  SimSocket& found = own(socket);
  WEIR_CHECK(found.kind != SimSocket::Kind::pipe_end);
  if (found.kind == SimSocket::Kind::listener) {
    world_.network().close_listener(socket);
  } else {
    world_.trace("stream {} end {} closed by {}", found.stream->number(), found.end, name_);
    found.stream->close(found.end);
  }
  levels_.erase(socket);
  world_.network().remove(socket);
  budget_.closed();
}

void SimEngine::reset(SocketId socket) {
  SimSocket& found = own_stream(socket);
  world_.trace("stream {} end {} reset by {}", found.stream->number(), found.end, name_);
  found.stream->reset(found.end);
  levels_.erase(socket);
  world_.network().remove(socket);
  budget_.closed();
}

SocketId SimEngine::release(SocketId socket) {
  SimSocket& found = own(socket);
  levels_.erase(socket);
  found.owner = nullptr;
  found.handler = nullptr;
  found.pending = false;
  return socket;
}

void SimEngine::adopt(SocketId socket) {
  SimSocket* found = world_.network().find(socket);
  WEIR_CHECK(found != nullptr && found->owner == nullptr);
  found->owner = this;
}

Result<void> SimEngine::watch(SocketId socket, ReadinessHandler& handler, Trigger trigger) {
  SimSocket& found = own(socket);
  found.handler = &handler;
  found.trigger = trigger;
  if (trigger == Trigger::edge) {
    levels_.erase(socket);
    if (world_.network().readiness(found).bits != 0) world_.network().notify(socket);
  } else {
    levels_.insert(socket);
  }
  return {};
}

Readiness SimEngine::level_of(const SimSocket& socket) const {
  Readiness readiness = world_.network().readiness(socket);
  if (socket.trigger == Trigger::level) readiness.bits &= static_cast<std::uint8_t>(~Readiness::writable);
  return readiness;
}

bool SimEngine::has_work() const {
  if (woken_ || !pending_.empty()) return true;
  return std::any_of(levels_.begin(), levels_.end(), [&](SocketId id) { return level_of(own(id)).bits != 0; });
}

std::size_t SimEngine::poll(TimePoint until) {
  world_.move_on_to(world_.now() + world_.options().turn_cost);
  world_.run_due();
  while (!has_work() && world_.now() < until) {
    const TimePoint next = std::min(world_.next_event(), until);
    if (next == kNever) break;  // nothing will ever come
    world_.move_on_to(next);
    world_.run_due();
  }
  now_ = world_.now();
  wall_now_ = world_.wall_now();
  woken_ = false;
  std::size_t told = 0;
  tell_edges(told);
  tell_levels(told);
  return told;
}

// As with epoll, an edge tells all that is ready when it is handed out, not what it was when it came.
void SimEngine::tell_edges(std::size_t& told) {
  telling_.clear();
  telling_.swap(pending_);
  std::size_t next = 0;
  for (; next < telling_.size() && told < kEventsPerPoll; ++next) {
    const SocketId id = telling_[next];
    SimSocket* socket = world_.network().find(id);
    if (socket == nullptr || socket->owner != this || !socket->pending) continue;
    socket->pending = false;
    const Readiness readiness = world_.network().readiness(*socket);
    if (socket->handler == nullptr || socket->trigger != Trigger::edge || readiness.bits == 0) continue;
    if (world_.options().spurious_edge_chance > 0 && world_.rng().chance(world_.options().spurious_edge_chance)) {
      world_.fault_counts().count(Fault::spurious_edge);
      world_.network().notify(id);
    }
    ++told;
    socket->handler->on_ready(readiness);
  }
  pending_.insert(pending_.begin(), telling_.begin() + static_cast<std::ptrdiff_t>(next), telling_.end());
}

void SimEngine::tell_levels(std::size_t& told) {
  telling_.assign(levels_.begin(), levels_.end());
  for (const SocketId id : telling_) {
    SimSocket* socket = world_.network().find(id);
    if (socket == nullptr || !levels_.contains(id) || told >= kEventsPerPoll) continue;
    const Readiness readiness = level_of(*socket);
    if (readiness.bits == 0) continue;
    ++told;
    socket->handler->on_ready(readiness);
  }
}

}  // namespace weir
