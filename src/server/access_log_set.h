#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "observe/access_log.h"
#include "proxy/snapshot.h"

namespace weir::server {

using AccessLogList = std::vector<std::shared_ptr<observe::AccessLog>>;

// Opens the access logs of `listeners`: one each by position, null where a listener has none. An error names the
// listener. Control thread.
Result<AccessLogList> open_access_logs(observe::AccessLogs& logs,
                                       std::span<const std::shared_ptr<const proxy::ListenerSettings>> listeners);

}  // namespace weir::server
