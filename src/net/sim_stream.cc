#include "net/sim_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "net/sim_world.h"

namespace weir {

namespace {

// Of what arrives, for the trace (FNV-1a).
std::uint64_t checksum(std::string_view bytes) {
  std::uint64_t sum = 0xcbf29ce484222325ULL;
  for (const char byte : bytes) sum = (sum ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  return sum;
}

}  // namespace

SimStream::SimStream(SimWorld& world, std::uint64_t number, const LinkPlan& plan, const SocketAddress& connector,
                     const SocketAddress& listener)
    : world_(world), number_(number), plan_(plan), connector_(connector), listener_(listener) {
  ends_[0].connecting = true;
  directions_[0].plan = plan.to_listener;
  directions_[1].plan = plan.to_connector;
}

void SimStream::notify(unsigned end) {
  if (ends_[end].socket != kNoSocket) world_.network().notify(ends_[end].socket);
}

void SimStream::established() {
  if (ends_[0].closed || ends_[0].dead) return;
  ends_[0].connecting = false;
  world_.trace("stream {} established", number_);
  notify(0);
}

void SimStream::connect_failed(int error) {
  End& end = ends_[0];
  if (end.closed || !end.connecting) return;
  end.connecting = false;
  end.dead = true;
  end.error = error;
  world_.trace("stream {} failed to connect: {}", number_, std::strerror(error));
  notify(0);
}

int SimStream::connect_error() {
  End& end = ends_[0];
  if (end.connecting) return EINPROGRESS;
  if (!end.dead) return 0;
  return end.error != 0 ? std::exchange(end.error, 0) : EINPROGRESS;
}

// What is in flight and what the peer has not read share one buffer.
std::size_t SimStream::room(unsigned end) const {
  const std::size_t used = directions_[end].in_flight_bytes + ends_[other(end)].unread();
  return used >= plan_.send_buffer_bytes ? 0 : plan_.send_buffer_bytes - used;
}

// As Linux does, room is told only once there is some to speak of.
bool SimStream::has_room(unsigned end) const {
  return room(end) > 0 && room(end) >= plan_.send_buffer_bytes / 3;
}

Readiness SimStream::readiness(unsigned index) const {
  const End& end = ends_[index];
  unsigned bits = 0;
  if (end.unread() > 0 || end.fin_received || end.dead) bits |= Readiness::readable;
  if (!end.connecting && (has_room(index) || end.dead || end.fin_sent)) bits |= Readiness::writable;
  if (end.fin_received || end.dead) bits |= Readiness::peer_closed;
  if (end.error != 0) bits |= Readiness::failed;
  return Readiness{static_cast<std::uint8_t>(bits)};
}

IoResult SimStream::read(unsigned index, std::span<char> into) {
  End& end = ends_[index];
  if (end.unread() == 0) {
    if (end.error != 0) return {IoStatus::failed, std::exchange(end.error, 0)};
    return {end.dead || end.fin_received ? IoStatus::end : IoStatus::would_block};
  }
  std::size_t size = std::min(into.size(), end.unread());
  if (directions_[other(index)].plan.short_reads && size > 1 && world_.rng().chance(0.5)) {
    size = world_.rng().between(1, size - 1);
    world_.fault_counts().count(Fault::short_read);
    notify(index);  // a short read promises an edge
  }
  std::memcpy(into.data(), end.received.data() + end.read_bytes, size);
  end.read_bytes += size;
  // A reader that is never done must not make it grow; nor is what is left moved each time.
  if (end.unread() == 0 || end.read_bytes > std::max<std::size_t>(end.unread(), 64 * 1024)) {
    end.received.erase(0, end.read_bytes);
    end.read_bytes = 0;
  }
  world_.trace("stream {} end {} reads {}", number_, index, size);
  offer_room(other(index));
  return {IoStatus::ok, 0, size};
}

bool SimStream::quiet(unsigned index) const {
  const End& end = ends_[index];
  return end.unread() == 0 && !end.fin_received && !end.dead && !end.connecting;
}

IoResult SimStream::write(unsigned index, std::span<const iovec> from) {
  End& end = ends_[index];
  if (end.error != 0) return {IoStatus::failed, std::exchange(end.error, 0)};
  if (end.dead || end.fin_sent) return {IoStatus::failed, EPIPE};
  if (listener_.is_unix() && ends_[other(index)].closed) return {IoStatus::failed, EPIPE};
  std::size_t wanted = 0;
  for (const iovec& piece : from) wanted += piece.iov_len;
  std::size_t size = end.connecting ? 0 : std::min(wanted, room(index));
  const bool cut_short = directions_[index].plan.short_writes && size > 1 && world_.rng().chance(0.5);
  if (cut_short) {
    size = world_.rng().between(1, size - 1);
    world_.fault_counts().count(Fault::short_write);
  }
  if (size < wanted) end.wants_room = true;
  if (size == 0 && wanted > 0) return {IoStatus::would_block};
  std::string bytes;
  bytes.reserve(size);
  for (const iovec& piece : from) {
    bytes.append(static_cast<const char*>(piece.iov_base), std::min(piece.iov_len, size - bytes.size()));
  }
  world_.trace("stream {} end {} writes {} of {}", number_, index, size, wanted);
  transmit(index, std::move(bytes));
  if (cut_short) offer_room(index);
  return {IoStatus::ok, 0, size};
}

// When what `end` sends now arrives; kNever if it is held up for good.
TimePoint SimStream::arrival(unsigned end) {
  Direction& direction = directions_[end];
  Duration delay = plan_.delay;
  if (direction.plan.extra_delay > 0ns) {
    delay += direction.plan.extra_delay;
    world_.fault_counts().count(Fault::delay);
  }
  if (direction.free_at != kNever) direction.free_at = std::max(direction.free_at, world_.now() + delay);
  return direction.free_at;
}

// How many bytes may go in one piece before meet_faults() must be asked again.
std::size_t SimStream::until_next_fault(const Direction& direction) const {
  std::uint64_t limit = direction.plan.drip_bytes > 0 ? direction.plan.drip_bytes : UINT64_MAX;
  for (const auto& threshold :
       {direction.plan.reset_after_bytes, direction.plan.close_after_bytes, direction.plan.stall_after_bytes}) {
    if (threshold && *threshold > direction.sent_bytes) limit = std::min(limit, *threshold - direction.sent_bytes);
  }
  return limit;
}

void SimStream::meet_faults(unsigned end) {
  Direction& direction = directions_[end];
  const DirectionPlan& plan = direction.plan;
  const auto reached = [&](const std::optional<std::uint64_t>& threshold) {
    return threshold && direction.sent_bytes >= *threshold;
  };
  if (!direction.stalled && reached(plan.stall_after_bytes)) {
    direction.stalled = true;
    direction.free_at = deadline_after(std::max(world_.now(), direction.free_at), plan.stall_duration);
    world_.fault_counts().count(Fault::stall);
    world_.trace("stream {} end {} stalls after {}", number_, end, direction.sent_bytes);
  }
  const bool resets = reached(plan.reset_after_bytes);
  if (direction.cut || (!resets && !reached(plan.close_after_bytes))) return;
  world_.fault_counts().count(resets ? Fault::reset : Fault::early_close);
  world_.trace("stream {} end {} is cut after {}", number_, end, direction.sent_bytes);
  resets ? send_reset(end) : send_fin(end);
  send_reset(other(end));
  direction.cut = true;
}

void SimStream::transmit(unsigned end, std::string bytes) {
  Direction& direction = directions_[end];
  std::size_t offset = 0;
  while (offset < bytes.size()) {
    meet_faults(end);
    if (direction.cut) return;  // what follows is lost with the connection
    const std::size_t size = std::min(until_next_fault(direction), bytes.size() - offset);
    std::string piece = bytes.substr(offset, size);
    offset += size;
    direction.sent_bytes += size;
    direction.in_flight_bytes += size;
    if (direction.plan.drip_bytes > 0 && direction.free_at != kNever) {
      if (direction.free_at >= world_.now()) direction.free_at += direction.plan.drip_interval;
      world_.fault_counts().count(Fault::slow_drip);
    }
    const TimePoint at = arrival(end);
    if (at == kNever) continue;
    world_.at(at, [self = shared_from_this(), end, piece = std::move(piece)] { self->bytes_arrive(end, piece); });
  }
  meet_faults(end);
}

void SimStream::send_fin(unsigned end) {
  if (directions_[end].cut) return;
  const TimePoint at = arrival(end);
  if (at == kNever) return;
  world_.at(at, [self = shared_from_this(), end] { self->fin_arrives(end); });
}

void SimStream::send_reset(unsigned end) {
  const TimePoint at = arrival(end);
  if (at == kNever) return;
  world_.at(at, [self = shared_from_this(), end] { self->reset_arrives(end); });
}

// `end` is the one that sent.
void SimStream::bytes_arrive(unsigned end, const std::string& bytes) {
  directions_[end].in_flight_bytes -= bytes.size();
  End& receiver = ends_[other(end)];
  if (receiver.closed || receiver.dead) {
    world_.trace("stream {} end {}: {} bytes for nobody", number_, other(end), bytes.size());
    send_reset(other(end));
    return;
  }
  if (world_.traces()) {
    world_.trace("stream {} end {} gets {} [{:016x}]", number_, other(end), bytes.size(), checksum(bytes));
  }
  receiver.received.append(bytes);
  notify(other(end));
}

void SimStream::fin_arrives(unsigned end) {
  End& receiver = ends_[other(end)];
  if (receiver.closed || receiver.dead) return;
  world_.trace("stream {} end {} gets FIN", number_, other(end));
  receiver.fin_received = true;
  notify(other(end));
}

void SimStream::reset_arrives(unsigned end) {
  End& receiver = ends_[other(end)];
  if (receiver.closed || receiver.dead) return;
  world_.trace("stream {} end {} gets RST", number_, other(end));
  if (receiver.connecting) return connect_failed(ECONNREFUSED);
  receiver.dead = true;
  receiver.error = receiver.fin_received && !receiver.fin_sent ? EPIPE : ECONNRESET;
  receiver.received.clear();
  receiver.read_bytes = 0;
  notify(other(end));
}

// The news that there is room takes its way too.
void SimStream::offer_room(unsigned end) {
  if (!ends_[end].wants_room || ends_[end].closed || !has_room(end)) return;
  ends_[end].wants_room = false;
  world_.after(plan_.delay, [self = shared_from_this(), end] { self->notify(end); });
}

void SimStream::shutdown_write(unsigned index) {
  End& end = ends_[index];
  if (end.connecting || end.dead || end.fin_sent) return;
  end.fin_sent = true;
  send_fin(index);
}

void SimStream::close(unsigned index) {
  End& end = ends_[index];
  WEIR_CHECK(!end.closed);
  if (end.connecting || (!end.dead && end.unread() > 0)) {
    send_reset(index);
  } else if (!end.dead) {
    shutdown_write(index);
  }
  end.closed = true;
  end.socket = kNoSocket;
  end.received.clear();
  end.read_bytes = 0;
}

void SimStream::reset(unsigned index) {
  End& end = ends_[index];
  WEIR_CHECK(!end.closed);
  if (!end.dead) send_reset(index);
  end.dead = true;
  close(index);
}

}  // namespace weir
