#include "sim/peer.h"

#include <cerrno>

#include "base/assert.h"

namespace weir::sim {

Outside::Outside(SimWorld& world)
    : world_(world),
      engine_(world, budget_, "outside", *IpAddress::parse("192.0.2.1")),
      loop_(engine_, world.rng().next()) {
  world_.add_loop(loop_);
}

Outside::~Outside() {
  world_.remove_loop(loop_);
}

void Peer::connect(const SocketAddress& to) {
  Result<SocketId> socket = outside_.engine().connect(to);
  if (!socket) {
    got_reset_ = true;
    return on_ended();
  }
  socket_ = *socket;
  WEIR_CHECK(outside_.engine().watch(socket_, *this).has_value());
}

void Peer::adopt(SocketId accepted) {
  socket_ = accepted;
  connected_ = true;
  WEIR_CHECK(outside_.engine().watch(socket_, *this).has_value());
}

void Peer::send(std::string_view bytes) {
  if (!is_open()) return;
  out_.append(bytes);
  write();
}

void Peer::release() {
  hold_after_ = UINT64_MAX;
  write();
}

void Peer::half_close() {
  fin_wanted_ = true;
  write();
}

void Peer::close() {
  if (!is_open()) return;
  outside_.engine().close(socket_);
  socket_ = kNoSocket;
}

void Peer::reset() {
  if (!is_open()) return;
  outside_.engine().reset(socket_);
  socket_ = kNoSocket;
}

void Peer::go_on_reading() {
  reading_ = true;
  read();
}

void Peer::on_ready(Readiness readiness) {
  if (!is_open()) return;
  if (!connected_) {
    const int error = outside_.engine().connect_error(socket_);
    if (error == EINPROGRESS) return;
    if (error != 0) {
      got_reset_ = true;
      close();
      return on_ended();
    }
    connected_ = true;
    on_connected();
  }
  if (readiness.can_write()) write();
  if (readiness.can_read()) read();
}

void Peer::write() {
  if (!is_open() || !connected_ || fin_sent_) return;
  while (unsent() > 0 && sent_bytes_ < hold_after_) {
    const std::size_t size = std::min<std::size_t>(unsent(), hold_after_ - sent_bytes_);
    const iovec piece{out_.data() + out_sent_, size};
    const IoResult result = outside_.engine().write(socket_, {&piece, 1}, false);
    if (result.status == IoStatus::failed) {
      out_.clear();
      out_sent_ = 0;
      if (result.error != EPIPE && !got_reset_) {
        got_reset_ = true;
        on_ended();
      }
      return;
    }
    if (result.status != IoStatus::ok) return;
    out_sent_ += result.bytes;
    sent_bytes_ += result.bytes;
    if (result.bytes < size) return;
  }
  if (unsent() > 0) return;
  out_.clear();
  out_sent_ = 0;
  if (!fin_wanted_) return;
  fin_sent_ = true;
  outside_.engine().shutdown_write(socket_);
}

void Peer::read() {
  char piece[16 * 1024];
  while (is_open() && connected_ && reading_ && !ended()) {
    const IoResult result = outside_.engine().read(socket_, piece);
    if (result.status == IoStatus::would_block) return;
    if (result.status == IoStatus::ok) {
      on_bytes({piece, result.bytes});
      continue;
    }
    (result.status == IoStatus::end ? got_fin_ : got_reset_) = true;
    on_ended();
  }
}

}  // namespace weir::sim
