#include "hash_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "observe/process_metrics.h"
#include "observe/text.h"

namespace weir::backend {
namespace {

// One writer: a plain addition that a reader may see at any time.
void add(std::atomic<std::uint64_t>& cell, std::uint64_t more) {
  cell.store(cell.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

std::string seconds(std::uint64_t nanoseconds) {
  std::string text;
  observe::append_seconds(text, nanoseconds, false);
  return text;
}

}  // namespace

void HashCounts::observe(Duration took) {
  const auto found = std::ranges::find_if(kBounds, [took](Duration bound) { return took <= bound; });
  add(buckets_[static_cast<std::size_t>(found - kBounds.begin())], 1);
  add(nanoseconds_, static_cast<std::uint64_t>(std::max(took, Duration::zero()).count()));
}

std::string render_hash_metrics(std::span<const HashCounts* const> workers) {
  constexpr std::string_view kName = "hash_request_duration_seconds";
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out, "# HELP {0} Time spent on answers to /hash.\n# TYPE {0} histogram\n", kName);
  std::uint64_t total = 0, nanoseconds = 0;
  for (std::size_t i = 0; i <= HashCounts::kBounds.size(); ++i) {
    for (const HashCounts* worker : workers) total += worker->bucket(i);
    const std::string bound = i == HashCounts::kBounds.size()
                                  ? "+Inf"
                                  : seconds(static_cast<std::uint64_t>(Duration(HashCounts::kBounds[i]).count()));
    fmt::format_to(out, "{}_bucket{{source=\"cpp\",le=\"{}\"}} {}\n", kName, bound, total);
  }
  for (const HashCounts* worker : workers) nanoseconds += worker->nanoseconds();
  fmt::format_to(out, "{0}_sum{{source=\"cpp\"}} {1}\n{0}_count{{source=\"cpp\"}} {2}\n", kName, seconds(nanoseconds),
                 total);
  fmt::format_to(out, "# HELP hash_requests_total Answers to /hash.\n# TYPE hash_requests_total counter\n");
  fmt::format_to(out, "hash_requests_total{{source=\"cpp\"}} {}\n", total);
  if (const auto process = observe::read_process_metrics()) {
    fmt::format_to(out, "# HELP process_cpu_seconds_total Processor time, user and system.\n");
    fmt::format_to(out, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {}\n",
                   process->cpu_seconds);
    fmt::format_to(out, "# HELP process_resident_memory_bytes Resident memory.\n");
    fmt::format_to(out, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {}\n",
                   process->resident_memory_bytes);
  }
  return text;
}

}  // namespace weir::backend
