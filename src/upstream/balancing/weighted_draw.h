#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "upstream/balancing/balancer.h"

namespace weir::balancing {

// Draws backends with chances as their weights; only those that are usable and have a weight. One thread.
class WeightedDraw {
 public:
  // O(n), allocates.
  void build(std::span<const BackendLoad> backends);

  // kNoBackend if there is none. O(log n), or O(1) where all weights are equal.
  std::uint32_t draw(Rng& rng) const;

  // The same among those not in `avoid`; kNoBackend if none is left. O(log n) for each that is avoided, O(n) where
  // these are more than kAvoidMax. Does not allocate.
  std::uint32_t draw_other(Rng& rng, std::span<const std::uint32_t> avoid) const;

  std::size_t size() const { return backends_.size(); }

 private:
  static constexpr std::size_t kAvoidMax = 16;

  std::uint64_t begin_of(std::size_t slot) const { return slot == 0 ? 0 : ends_[slot - 1]; }
  std::uint32_t at(std::uint64_t point) const;
  std::uint32_t scan_other(Rng& rng, std::span<const std::uint32_t> avoid) const;

  std::vector<std::uint32_t> backends_;  // ascending
  std::vector<std::uint64_t> ends_;      // where each one's part of the sum of weights ends
  bool equal_weights_ = true;
};

}  // namespace weir::balancing
