#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "backend_connection.h"
#include "base/result.h"
#include "net/event_loop.h"
#include "options.h"

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
  void destroyed(BackendConnection& connection) override;
  void accept_all();

  EventLoop& loop_;
  Shared shared_;
  SocketAddress address_;
  SocketId listener_ = kNoSocket;
  Timer accept_again_;
  std::unordered_map<BackendConnection*, std::unique_ptr<BackendConnection>> connections_;
};

}  // namespace weir::backend
