#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "http2_stream.h"
#include "net/event_loop.h"
#include "options.h"
#include "shared.h"

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
  void destroyed(ServerConnection& connection) override;
  void speaks_http2(SocketId socket, std::string_view input) override;
  void accept_all();
  void deal(SocketId socket);
  void serve(SocketId socket);
  template <typename Connection, typename... Input>
  void serve_as(SocketId socket, Input... input);

  EventLoop& loop_;
  Slab<Http2Stream> http2_streams_;
  Shared shared_;
  SocketAddress address_;
  SocketId listener_ = kNoSocket;
  Timer accept_again_;
  std::vector<BackendServer*> workers_;    // empty: this one alone
  std::atomic<std::size_t> assigned_ = 0;  // connections that were dealt to it and are not closed
  std::unordered_map<ServerConnection*, std::unique_ptr<ServerConnection>> connections_;
};

}  // namespace weir::backend
