#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/time.h"

namespace weir::backend {

// What one worker's answers to /hash took. Written by its thread alone, read by any.
class HashCounts {
 public:
  // Upper bounds of the buckets, the same in all three servers of the /hash workload.
  static constexpr std::array<Duration, 13> kBounds = {50us, 100us, 250us, 500us, 1ms,   2500us, 5ms,
                                                       10ms, 25ms,  50ms,  100ms, 250ms, 1s};

  void observe(Duration took);
  // Of the bucket `index`, not of those below it; kBounds.size() is what lies above all bounds.
  std::uint64_t bucket(std::size_t index) const { return buckets_[index].load(std::memory_order_relaxed); }
  std::uint64_t nanoseconds() const { return nanoseconds_.load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<std::uint64_t> nanoseconds_ = 0;
};

// The text that Prometheus reads: all workers added up, and the process. Any thread.
std::string render_hash_metrics(std::span<const HashCounts* const> workers);

}  // namespace weir::backend
