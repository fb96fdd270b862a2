#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "observe/access_log.h"
#include "observe/metric_store.h"
#include "proxy/snapshot.h"

namespace weir::server {

// The opened access logs of one generation, by listener. Immutable; shared by all threads.
using AccessLogMap = std::map<std::string, std::shared_ptr<observe::AccessLog>>;

// Opens the access logs of `listeners`; what fails names the listener. Control thread.
Result<std::shared_ptr<const AccessLogMap>> open_access_logs(
    observe::AccessLogs& logs, std::span<const std::shared_ptr<const proxy::ListenerSettings>> listeners);

// One worker's access to the logs of the generation that it is told to apply. Belongs to the worker's thread.
class WorkerLogs {
 public:
  // `metrics` is the worker's store and outlives every sink.
  WorkerLogs(std::uint32_t worker, observe::MetricStore& metrics) : worker_(worker), metrics_(metrics) {}

  void set(std::shared_ptr<const AccessLogMap> logs) { logs_ = std::move(logs); }
  // For WorkerEnvironment::open_access_log. Null if the listener has no log.
  std::shared_ptr<observe::AccessLogSink> open(const proxy::ListenerSettings& listener);

 private:
  const std::uint32_t worker_;
  observe::MetricStore& metrics_;
  std::shared_ptr<const AccessLogMap> logs_;
};

}  // namespace weir::server
