#pragma once

#include "upstream/balancing/balancer.h"
#include "upstream/balancing/weighted_draw.h"

namespace weir::balancing {

// Each pick is a draw with the weights as chances. O(log n).
class Random final : public Balancer {
 public:
  void rebuild(std::span<const BackendLoad> backends) override { draw_.build(backends); }
  std::uint32_t pick(const PickContext& context) override;

 private:
  WeightedDraw draw_;
};

// Two different backends are drawn with the weights as chances; the one with less active per weight is taken, the first
// drawn where they are equal. O(log n).
class PowerOfTwo final : public Balancer {
 public:
  void rebuild(std::span<const BackendLoad> backends) override { draw_.build(backends); }
  std::uint32_t pick(const PickContext& context) override;

 private:
  WeightedDraw draw_;
};

}  // namespace weir::balancing
