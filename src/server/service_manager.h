#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace weir::server {

// Tells the service manager (systemd's sd_notify protocol) what state the process is in. Costs nothing when nobody
// asked for it. Control thread.
class ServiceManager {
 public:
  using Send = std::function<void(std::string_view message)>;

  // Without `send` nothing is told.
  explicit ServiceManager(Send send) : send_(std::move(send)) {}

  void ready(std::string_view status);
  // A reload has begun. ready() ends it, whether it took effect or not. `now` is of the monotonic clock.
  void reloading(TimePoint now);
  void stopping(std::string_view status);

 private:
  void send(const std::string& message) const;

  Send send_;
};

// To the socket named by the environment's NOTIFY_SOCKET; without effect if `socket_path` is empty.
ServiceManager::Send send_to_service_manager(std::string socket_path);

}  // namespace weir::server
