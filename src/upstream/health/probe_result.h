#pragma once

#include <string>

#include "upstream/health/health_state.h"

namespace weir::health {

struct ProbeResult {
  Outcome outcome = Outcome::failure;
  std::string reason;  // "status 503", "connection refused"; for the log
};

}  // namespace weir::health
