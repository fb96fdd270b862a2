#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "base/result.h"
#include "http2_stream.h"
#include "net/event_loop.h"
#include "options.h"
#include "shared.h"

namespace weir::backend {

// The test server on one loop: any engine will do. Destroying it closes everything. One thread.
class BackendServer final : private ReadinessHandler, private TimerHandler, private ConnectionOwner {
 public:
  // `loop` and `options` outlive it.
  BackendServer(EventLoop& loop, const Options& options);
  BackendServer(const BackendServer&) = delete;
  BackendServer& operator=(const BackendServer&) = delete;
  ~BackendServer();

  // Binds. Once.
  Result<void> start();
  // As bound: with the port that 0 became.
  const SocketAddress& address() const { return address_; }
  const std::string& name() const { return shared_.name; }
  std::size_t connections() const { return connections_.size(); }

 private:
  void on_ready(Readiness readiness) override;
  void on_timer(Timer& timer) override;
  void destroyed(ServerConnection& connection) override;
  void speaks_http2(SocketId socket, std::string_view input) override;
  void accept_all();

  EventLoop& loop_;
  Slab<Http2Stream> http2_streams_;
  Shared shared_;
  SocketAddress address_;
  SocketId listener_ = kNoSocket;
  Timer accept_again_;
  std::unordered_map<ServerConnection*, std::unique_ptr<ServerConnection>> connections_;
};

}  // namespace weir::backend
