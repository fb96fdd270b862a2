#pragma once

#include <cstdint>
#include <functional>

#include "server/control_plane.h"

namespace weir::server {

struct ProcessOptions {
  // Reads the configuration. Called once in the main thread, then on the helper thread.
  std::function<LoadedSpec()> load;
  BuildInfo build;
  std::uint64_t seed = 1;
};

// Serves until a signal ends it: worker threads, a helper thread, the log writer and, in the calling thread, the
// control plane. Must be called from the main thread before any other thread exists. Errors go to stderr. Returns the
// exit code: 0 after a stop that was asked for, 1 if it could not start.
int run_process(const ProcessOptions& options);

}  // namespace weir::server
