#include "server/service_manager.h"

#include <fmt/format.h>

#include "net/notify_socket.h"

namespace weir::server {

void ServiceManager::ready(std::string_view status) {
  send(fmt::format("READY=1\nSTATUS={}\n", status));
}

void ServiceManager::reloading(TimePoint now) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading\n", us));
}

void ServiceManager::stopping(std::string_view status) {
  send(fmt::format("STOPPING=1\nSTATUS={}\n", status));
}

void ServiceManager::send(const std::string& message) const {
  if (send_) send_(message);
}

ServiceManager::Send send_to_service_manager(std::string socket_path) {
  if (socket_path.empty()) return nullptr;
  return [path = std::move(socket_path)](std::string_view message) { send_unix_datagram(path, message); };
}

}  // namespace weir::server
