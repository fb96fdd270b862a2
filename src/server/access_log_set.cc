#include "server/access_log_set.h"

#include <fmt/format.h>

namespace weir::server {

Result<std::shared_ptr<const AccessLogMap>> open_access_logs(
    observe::AccessLogs& logs, std::span<const std::shared_ptr<const proxy::ListenerSettings>> listeners) {
  auto map = std::make_shared<AccessLogMap>();
  for (const auto& listener : listeners) {
    if (!listener->access_log) continue;
    const auto format =
        listener->access_log->json ? observe::AccessLogFormat::kJson : observe::AccessLogFormat::kCombined;
    auto log = logs.open({.path = listener->access_log->path, .format = format, .listener = listener->name});
    if (!log) return fail(fmt::format("listener {}: {}", listener->name, log.error().message), log.error().code);
    map->emplace(listener->name, std::move(*log));
  }
  return map;
}

std::shared_ptr<observe::AccessLogSink> WorkerLogs::open(const proxy::ListenerSettings& listener) {
  if (!logs_) return nullptr;
  const auto found = logs_->find(listener.name);
  if (found == logs_->end()) return nullptr;
  return found->second->make_sink(worker_, metrics_.counter(observe::Family::kAccessLogLost, {listener.name}));
}

}  // namespace weir::server
