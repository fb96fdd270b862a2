#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "backend_connection.h"
#include "base/result.h"
#include "net/event_loop.h"
#include "options.h"

namespace weir::backend {

// The test server on one loop: any engine will do. Destroying it closes everything. One thread, but several servers may
// be workers of one process, each with a loop and a thread of its own.
class BackendServer final : private ReadinessHandler, private TimerHandler, private ConnectionOwner {
 public:
  // `loop` and `options` outlive it.
  BackendServer(EventLoop& loop, const Options& options);
  BackendServer(const BackendServer&) = delete;
  BackendServer& operator=(const BackendServer&) = delete;
  ~BackendServer();

  // Binds. Once.
  Result<void> start();
  // Deals what this one accepts from now on out among itself and `others`, to the one with the fewest connections; they
  // take its name and are not started themselves. All must outlive what any of their loops does. Once, after start(),
  // before the loops run in threads of their own.
  void lead(std::span<BackendServer* const> others);
  // As bound: with the port that 0 became.
  const SocketAddress& address() const { return address_; }
  const std::string& name() const { return shared_.name; }
  std::size_t connections() const { return connections_.size(); }

 private:
  void on_ready(Readiness readiness) override;
  void on_timer(Timer& timer) override;
  void destroyed(BackendConnection& connection) override;
  void accept_all();
  void deal(SocketId socket);
  void serve(SocketId socket);

  EventLoop& loop_;
  Shared shared_;
  SocketAddress address_;
  SocketId listener_ = kNoSocket;
  Timer accept_again_;
  std::vector<BackendServer*> workers_;    // empty: this one alone
  std::atomic<std::size_t> assigned_ = 0;  // connections that were dealt to it and are not closed
  std::unordered_map<BackendConnection*, std::unique_ptr<BackendConnection>> connections_;
};

}  // namespace weir::backend
