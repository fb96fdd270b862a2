#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace weir::observe {

// What the kernel says about this process: the standard process_* metrics of Prometheus.
struct ProcessMetrics {
  double cpu_seconds = 0;         // user and system
  double start_time_seconds = 0;  // since the epoch
  std::uint64_t resident_memory_bytes = 0;
  std::uint64_t virtual_memory_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;  // the soft limit; 0 if there is none
};

// Reads /proc/self. Takes some microseconds and more with many descriptors open: not for a worker.
Result<ProcessMetrics> read_process_metrics();

// The part of it that comes from the text of /proc/PID/stat: `boot_time_seconds` since the epoch, from /proc/stat.
// Nothing if the text is not of that form.
std::optional<ProcessMetrics> parse_process_stat(std::string_view stat, std::uint64_t boot_time_seconds,
                                                 std::uint64_t ticks_per_second, std::uint64_t page_bytes);

}  // namespace weir::observe
