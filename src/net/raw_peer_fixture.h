#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/engine.h"

namespace weir {

// One end of a connection, for tests that say byte for byte what the peer does. Reads all that comes, unless paused.
class RawPeer final : public ReadinessHandler {
 public:
  RawPeer(Engine& engine, SocketId socket) : engine_(engine), socket_(socket) {
    open_ = engine_.watch(socket_, *this).has_value();
  }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  ~RawPeer() { close(); }

  // Null if connecting fails at once.
  static std::unique_ptr<RawPeer> connect(Engine& engine, const SocketAddress& address) {
    const auto socket = engine.connect(address);
    return socket ? std::make_unique<RawPeer>(engine, *socket) : nullptr;
  }

  void send(std::string_view bytes) {
    unsent_ += bytes;
    write();
  }
  // Once everything is sent.
  void shutdown_write() {
    shutting_down_ = true;
    write();
  }
  void close() {
    if (std::exchange(open_, false)) engine_.close(socket_);
  }
  void reset() {
    if (std::exchange(open_, false)) engine_.reset(socket_);
  }
  void pause(bool paused) {
    paused_ = paused;
    if (!paused) read();
  }
  // Runs after each read that brought something, and at the end.
  void on_data(std::function<void(RawPeer&)> action) { action_ = std::move(action); }

  const std::string& received() const { return received_; }
  void forget() { received_.clear(); }
  bool ended() const { return ended_; }    // a FIN came
  bool failed() const { return failed_; }  // refused or reset
  bool over() const { return ended_ || failed_; }
  std::size_t unsent() const { return unsent_.size(); }

  void on_ready(Readiness readiness) override {
    if (!open_) return;
    if (readiness.can_write()) {
      connected_ = connected_ || engine_.connect_error(socket_) == 0;
      write();
    }
    if (readiness.can_read()) read();
  }
  bool connected() const { return connected_; }

 private:
  void write() {
    if (!open_) return;
    if (unsent_.empty()) {
      if (shutting_down_ && connected_) engine_.shutdown_write(socket_);
      return;
    }
    const iovec piece{unsent_.data(), unsent_.size()};
    const IoResult written = engine_.write(socket_, std::span(&piece, 1), false);
    if (written.status == IoStatus::ok) unsent_.erase(0, written.bytes);
    if (written.status == IoStatus::ok) write();
  }

  void read() {
    while (open_ && !paused_ && !over()) {
      std::array<char, 64 * 1024> scratch;
      const IoResult read = engine_.read(socket_, scratch);
      if (read.status == IoStatus::would_block) return;
      if (read.status == IoStatus::ok) received_.append(scratch.data(), read.bytes);
      if (read.status == IoStatus::end) ended_ = true;
      if (read.status == IoStatus::failed) failed_ = true;
      if (action_) action_(*this);
    }
  }

  Engine& engine_;
  const SocketId socket_;
  bool open_ = false;
  bool paused_ = false;
  bool shutting_down_ = false;
  bool ended_ = false;
  bool failed_ = false;
  bool connected_ = false;
  std::string unsent_;
  std::string received_;
  std::function<void(RawPeer&)> action_;
};

// Accepts everything, and does with each connection what the test says.
class RawListener final : public ReadinessHandler {
 public:
  using Serve = std::function<void(RawPeer&)>;

  // `serve` runs for each new connection.
  RawListener(Engine& engine, const SocketAddress& address, Serve serve) : engine_(engine), serve_(std::move(serve)) {
    const auto listener = engine_.listen(address, {});
    if (!listener) return;
    listener_ = *listener;
    static_cast<void>(engine_.watch(listener_, *this));
  }
  RawListener(const RawListener&) = delete;
  RawListener& operator=(const RawListener&) = delete;
  ~RawListener() {
    if (listener_ != kNoSocket) engine_.close(listener_);
  }

  bool listening() const { return listener_ != kNoSocket; }
  SocketAddress address() { return engine_.local_address(listener_).value(); }
  const std::vector<std::unique_ptr<RawPeer>>& peers() const { return peers_; }

  void on_ready(Readiness) override {
    for (;;) {
      const Accepted accepted = engine_.accept(listener_);
      if (accepted.status != Accepted::Status::ok) return;
      peers_.push_back(std::make_unique<RawPeer>(engine_, accepted.socket));
      if (serve_) serve_(*peers_.back());
    }
  }

 private:
  Engine& engine_;
  Serve serve_;
  SocketId listener_ = kNoSocket;
  std::vector<std::unique_ptr<RawPeer>> peers_;
};

}  // namespace weir
