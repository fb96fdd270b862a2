#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/admin_api.h"
#include "admin/admin_connection.h"
#include "admin/control_view.h"
#include "base/result.h"
#include "net/event_loop.h"

namespace weir::admin {

struct AdminSettings {
  SocketAddress address;
  std::optional<std::string> token{};  // not empty; see guard.h
  AdminLimits limits{};
};

// The admin port: HTTP/1.1 on the control loop. Its requests are neither counted nor logged. One thread. Destroying it
// closes everything at once.
class AdminServer final : private ReadinessHandler, private TimerHandler, private ConnectionOwner {
 public:
  // `loop` and `control` outlive it.
  AdminServer(EventLoop& loop, ControlView& control, AdminSettings settings);
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;
  ~AdminServer();

  // Binds the address, or takes over `inherited`, a listening socket that this loop's engine already knows. Once.
  Result<void> start(std::optional<SocketId> inherited = std::nullopt);

  // As bound: with the port that 0 became. After start().
  const SocketAddress& address() const { return address_; }
  std::size_t connections() const { return connections_.size(); }

 private:
  void on_ready(Readiness readiness) override;
  void on_timer(Timer& timer) override;
  void handle(Request request, SendReply send) override;
  void destroyed(AdminConnection& connection) override;

  void accept_all();
  void admit(const Accepted& accepted);
  std::size_t open_connections() const;
  void make_room();

  EventLoop& loop_;
  ControlView& control_;
  const AdminSettings settings_;
  SocketAddress address_;
  SocketId listener_ = kNoSocket;
  Timer accept_again_;
  std::optional<AdminApi> api_;
  std::vector<std::unique_ptr<AdminConnection>> connections_;  // oldest first
};

}  // namespace weir::admin
