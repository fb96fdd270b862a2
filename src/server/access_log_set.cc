#include "server/access_log_set.h"

#include <fmt/format.h>

namespace weir::server {

Result<AccessLogList> open_access_logs(observe::AccessLogs& logs,
                                       std::span<const std::shared_ptr<const proxy::ListenerSettings>> listeners) {
  AccessLogList list(listeners.size());
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    const proxy::ListenerSettings& listener = *listeners[i];
    if (!listener.access_log) continue;
    const auto format =
        listener.access_log->json ? observe::AccessLogFormat::kJson : observe::AccessLogFormat::kCombined;
    auto log = logs.open({.path = listener.access_log->path, .format = format, .listener = listener.name});
    if (!log) return fail(fmt::format("listener {}: {}", listener.name, log.error().message), log.error().code);
    list[i] = std::move(*log);
  }
  return list;
}

}  // namespace weir::server
