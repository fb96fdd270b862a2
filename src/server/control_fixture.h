#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/sim_engine.h"
#include "net/sim_world.h"
#include "server/control_plane.h"
#include "server/whole_weir_fixture.h"

namespace weir::server {

// A client or a tiny backend of the simulation: takes connections or makes one, reads all there is, and answers a
// canned text to each head.
class SimPeer final : public ReadinessHandler {
 public:
  SimPeer(SimEngine& engine, SocketId socket) : engine_(engine), socket_(socket) {
    EXPECT_TRUE(engine_.watch(socket_, *this).has_value());
  }

  void send(std::string text) {
    out_ += text;
    push();
  }
  // Sent for each empty line that comes in.
  void answer_with(std::string answer) { answer_ = std::move(answer); }
  const std::string& received() const { return received_; }
  bool ended() const { return ended_; }
  void close() {
    if (socket_ != kNoSocket) engine_.close(std::exchange(socket_, kNoSocket));
  }

  void on_ready(Readiness) override {
    char piece[4096];
    while (socket_ != kNoSocket && !ended_) {
      const IoResult result = engine_.read(socket_, piece);
      if (result.status == IoStatus::would_block) break;
      if (result.status != IoStatus::ok) {
        ended_ = true;
        break;
      }
      received_.append(piece, result.bytes);
      if (answer_.empty()) continue;
      for (std::size_t at; (at = received_.find("\r\n\r\n", answered_)) != std::string::npos; answered_ = at + 4) {
        out_ += answer_;
      }
    }
    push();
  }

 private:
  void push() {
    while (socket_ != kNoSocket && !out_.empty()) {
      const iovec piece{out_.data(), out_.size()};
      const IoResult result = engine_.write(socket_, {&piece, 1}, false);
      if (result.status != IoStatus::ok) return;
      out_.erase(0, result.bytes);
    }
  }

  SimEngine& engine_;
  SocketId socket_;
  std::string out_, received_, answer_;
  std::size_t answered_ = 0;
  bool ended_ = false;
};

class SimBackend final : public ReadinessHandler {
 public:
  SimBackend(SimEngine& engine, const SocketAddress& address, std::string body)
      : engine_(engine), body_(std::move(body)) {
    auto listener = engine_.listen(address, {});
    EXPECT_TRUE(listener.has_value());
    listener_ = *listener;
    EXPECT_TRUE(engine_.watch(listener_, *this).has_value());
  }
  // Nobody listens there any more, and what was open closes.
  void stop() {
    if (listener_ != kNoSocket) engine_.close(std::exchange(listener_, kNoSocket));
    for (auto& peer : peers_) peer->close();
  }
  // That were ever taken.
  std::size_t connections() const { return peers_.size(); }
  // 200 makes it well.
  void set_status(int status) { status_ = status; }
  // Takes requests and says nothing from now on, on new connections.
  void set_silent(bool silent) { silent_ = silent; }

  void on_ready(Readiness) override {
    for (;;) {
      const Accepted accepted = engine_.accept(listener_);
      if (accepted.status != Accepted::Status::ok) return;
      peers_.push_back(std::make_unique<SimPeer>(engine_, accepted.socket));
      if (silent_) continue;
      peers_.back()->answer_with(
          fmt::format("HTTP/1.1 {} X\r\ncontent-length: {}\r\n\r\n{}", status_, body_.size(), body_));
      peers_.back()->on_ready({});
    }
  }

 private:
  SimEngine& engine_;
  SocketId listener_ = kNoSocket;
  const std::string body_;
  int status_ = 200;
  bool silent_ = false;
  std::vector<std::unique_ptr<SimPeer>> peers_;
};

// A whole Weir with its control plane, in one thread with virtual time.
class ControlFixture : public testing::Test {
 protected:
  static constexpr std::size_t kWorkers = 2;

  static IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
  static SocketAddress at(std::string_view text) { return *SocketAddress::parse(text); }

  Result<void> start(const std::string& text) {
    auto started = weir_.start(text);
    if (started) settle();
    return started;
  }

  void SetUp() override { world_.add_loop(outside_loop_); }
  void TearDown() override {
    world_.remove_loop(outside_loop_);
    weir_.take_apart();
    peers_.clear();
  }

  void run_for(Duration duration) { EXPECT_TRUE(world_.run_until(world_.now() + duration)); }
  void settle() { run_for(50ms); }

  // The new text is what the next reload reads.
  admin::Change<std::uint64_t> reload(const std::string& text) {
    weir_.set_config(text);
    std::optional<admin::Change<std::uint64_t>> result;
    weir_.control().view().reload([&](admin::Change<std::uint64_t> change) { result = std::move(change); });
    EXPECT_TRUE(world_.run_until([&] { return result.has_value(); }));
    settle();
    return *result;
  }

  SimPeer& connect(std::string_view address) {
    auto socket = outside_.connect(at(address));
    EXPECT_TRUE(socket.has_value());
    peers_.push_back(std::make_unique<SimPeer>(outside_, *socket));
    run_for(5ms);
    return *peers_.back();
  }
  // What comes back of one GET within `patience`; empty if nothing does.
  std::string get(std::string_view address, std::string_view path = "/", Duration patience = 100ms) {
    SimPeer& peer = connect(address);
    peer.send(fmt::format("GET {} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", path));
    run_for(patience);
    std::string received = peer.received();
    peer.close();
    return received;
  }
  std::string ready() {
    const admin::ReadyView view = weir_.control().view().ready();
    return view.ready ? "ready" : view.reason;
  }
  std::vector<admin::BackendView> backends() {
    std::optional<std::vector<admin::ClusterView>> views;
    weir_.control().view().clusters([&](std::vector<admin::ClusterView> clusters) { views = std::move(clusters); });
    EXPECT_TRUE(world_.run_until([&] { return views.has_value(); }));
    return views->empty() ? std::vector<admin::BackendView>() : views->front().backends;
  }
  bool logged(std::string_view words) const {
    for (const std::string& line : weir_.process_log()) {
      if (line.find(words) != std::string::npos) return true;
    }
    return false;
  }
  std::string metrics() {
    std::optional<admin::MetricsText> text;
    weir_.control().view().render_metrics("", [&](admin::MetricsText rendered) { text = std::move(rendered); });
    EXPECT_TRUE(world_.run_until([&] { return text.has_value(); }));
    return text->body;
  }

  SimWorld world_{SimWorld::Options{}};
  DescriptorBudget outside_budget_{10'000, 0};
  SimEngine outside_{world_, outside_budget_, "outside", ip("10.9.9.9")};
  EventLoop outside_loop_{outside_, 2};
  WholeWeir weir_{world_, kWorkers, 10'000};
  std::vector<std::unique_ptr<SimPeer>> peers_;
};

}  // namespace weir::server
