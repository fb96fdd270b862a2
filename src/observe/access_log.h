#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "observe/access_record.h"
#include "observe/metric_store.h"

namespace weir::observe {

// One worker's end of an access log. Belongs to that worker's thread; destroyed there, before the AccessLogs it came
// from.
class AccessLogSink {
 public:
  virtual ~AccessLogSink() = default;
  // Copies the record; never waits. False if it was lost (there was no room); the loss is counted already.
  virtual bool write(const AccessRecord& record) = 0;
};

struct AccessLogSpec {
  std::string path;  // "-" is stdout
  AccessLogFormat format = AccessLogFormat::kJson;
  std::string listener{};  // whose log it is, for the counter of lost lines
};

// An opened access log. Any thread may hold it; the file closes some time after the last holder and the last sink have
// gone and all of their lines are written.
class AccessLog {
 public:
  virtual ~AccessLog() = default;
  // On the thread of `worker`. `lost` is that worker's cell of lb_access_log_lost_total. Keeps the log alive.
  virtual std::unique_ptr<AccessLogSink> make_sink(std::uint32_t worker, CounterRef lost) = 0;
};

// Where access logs are opened: log files for real, lines in memory in simulation. Control thread; outlives its logs.
class AccessLogs {
 public:
  virtual ~AccessLogs() = default;
  // Logs that name the same path share one file. The error says why the file cannot be opened.
  virtual Result<std::shared_ptr<AccessLog>> open(const AccessLogSpec& spec) = 0;
  // USR1: opens every file anew by its path, soon. One that cannot be opened stays as it was, and the process log says
  // so with `now` as its time.
  virtual void reopen(WallTime now) = 0;
};

}  // namespace weir::observe
