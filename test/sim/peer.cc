#include "sim/peer.h"

#include <algorithm>
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

void Peer::secure(std::unique_ptr<PeerTls> tls, std::string_view early) {
  tls_ = std::move(tls);
  if (!early.empty()) tls_->receive(early);
  take_from_tls();
  decrypt();
}

void Peer::take_from_tls() {
  if (tls_ == nullptr) return;
  out_.append(tls_->take_output());
  write();
}

void Peer::send(std::string_view bytes) {
  if (!is_open()) return;
  WEIR_CHECK(streamed_.left() == 0);
  if (tls_ == nullptr) {
    out_.append(bytes);
    return write();
  }
  tls_->send(bytes);
  take_from_tls();
}

void Peer::stream_body(std::uint64_t size) {
  streamed_.begin(size);
  write();
}

void Peer::release() {
  hold_after_ = UINT64_MAX;
  write();
}

void Peer::inject(std::string_view bytes) {
  if (!is_open()) return;
  out_.append(bytes);
  write();
}

void Peer::abandon() {
  if (!is_open()) return;
  outside_.engine().close(socket_);
  socket_ = kNoSocket;
}

void Peer::half_close() {
  fin_wanted_ = true;
  if (tls_ != nullptr) tls_->finish();
  take_from_tls();
  write();
}

void Peer::close() {
  if (!is_open()) return;
  if (tls_ != nullptr) tls_->finish();
  take_from_tls();
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
  decrypt();
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
  refill();
  const std::uint64_t stop_after = std::min(hold_after_, abandon_after_);
  while (out_sent_ < out_.size() && sent_bytes_ < stop_after) {
    const std::size_t size = std::min<std::size_t>(out_.size() - out_sent_, stop_after - sent_bytes_);
    const iovec piece{out_.data() + out_sent_, size};
    const IoResult result = outside_.engine().write(socket_, {&piece, 1}, false);
    if (result.status == IoStatus::failed) {
      out_.clear();
      out_sent_ = 0;
      streamed_ = {};
      if (result.error != EPIPE && !got_reset_) {
        got_reset_ = true;
        on_ended();
      }
      return;
    }
    if (result.status != IoStatus::ok) return;
    out_sent_ += result.bytes;
    sent_bytes_ += result.bytes;
    refill();
    if (result.bytes < size) return;
  }
  if (sent_bytes_ >= abandon_after_) return abandon();
  if (out_sent_ < out_.size()) return;
  if (!fin_wanted_ || (tls_ != nullptr && !tls_->finished())) return;
  fin_sent_ = true;
  outside_.engine().shutdown_write(socket_);
}

void Peer::refill() {
  constexpr std::size_t kPieceBytes = 64 * 1024;
  // Not at each write: a sender that is never done would move all that waits each time.
  if (out_sent_ == out_.size() || out_sent_ > std::max(out_.size() / 2, kPieceBytes)) {
    out_.erase(0, out_sent_);
    out_sent_ = 0;
  }
  if (out_.empty() && tls_ != nullptr && tls_->established() && tls_->waiting() > 0) {
    tls_->go_on();
    out_ = tls_->take_output();
  }
  if (!out_.empty() || streamed_.left() == 0 || (tls_ != nullptr && !tls_->established())) return;
  out_.resize(kPieceBytes);
  out_.resize(streamed_.take(out_));
  if (tls_ == nullptr) return;
  tls_->send(out_);
  out_ = tls_->take_output();
}

void Peer::decrypt() {
  while (tls_ != nullptr && is_open() && reading_) {
    const std::string plain = tls_->read();
    take_from_tls();
    if (plain.empty()) return;
    on_bytes(plain);
  }
}

void Peer::read() {
  char piece[16 * 1024];
  while (connected_ && reads_on()) {
    const IoResult result = outside_.engine().read(socket_, piece);
    if (result.status == IoStatus::would_block) return;
    if (result.status == IoStatus::ok) {
      if (tls_ == nullptr) {
        on_bytes({piece, result.bytes});
        continue;
      }
      tls_->receive({piece, result.bytes});
      take_from_tls();
      decrypt();
      if (tls_->failed()) close();
      continue;
    }
    (result.status == IoStatus::end ? got_fin_ : got_reset_) = true;
    on_ended();
  }
}

}  // namespace weir::sim
