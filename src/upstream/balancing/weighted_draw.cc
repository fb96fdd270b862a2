#include "upstream/balancing/weighted_draw.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace weir::balancing {

void WeightedDraw::build(std::span<const BackendLoad> backends) {
  backends_.clear();
  ends_.clear();
  equal_weights_ = true;
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < backends.size(); ++i) {
    if (!backends[i].usable || backends[i].weight == 0) continue;
    sum += backends[i].weight;
    backends_.push_back(i);
    ends_.push_back(sum);
    equal_weights_ = equal_weights_ && backends[i].weight == ends_.front();
  }
}

std::uint32_t WeightedDraw::at(std::uint64_t point) const {
  // Without branches: the points are random, so a branch would be mispredicted at every step.
  const std::uint64_t* first = ends_.data();
  for (std::size_t size = ends_.size(); size > 1;) {
    const std::size_t half = size / 2;
    first += first[half - 1] <= point ? half : 0;
    size -= half;
  }
  const auto slot = static_cast<std::size_t>(first - ends_.data());
  WEIR_ASSERT(begin_of(slot) <= point && point < ends_[slot]);
  return backends_[slot];
}

std::uint32_t WeightedDraw::draw(Rng& rng) const {
  if (backends_.empty()) return kNoBackend;
  if (equal_weights_) return backends_[rng.below(backends_.size())];
  return at(rng.below(ends_.back()));
}

std::uint32_t WeightedDraw::draw_other(Rng& rng, std::span<const std::uint32_t> avoid) const {
  if (backends_.empty()) return kNoBackend;
  if (avoid.size() > kAvoidMax) return scan_other(rng, avoid);
  std::array<std::uint32_t, kAvoidMax> slots;
  std::size_t count = 0;
  std::uint64_t left = ends_.back();
  for (const std::uint32_t backend : avoid) {
    const auto found = std::lower_bound(backends_.begin(), backends_.end(), backend);
    if (found == backends_.end() || *found != backend) continue;
    const auto slot = static_cast<std::uint32_t>(found - backends_.begin());
    if (std::find(slots.begin(), slots.begin() + count, slot) != slots.begin() + count) continue;
    slots[count++] = slot;
    left -= ends_[slot] - begin_of(slot);
  }
  if (left == 0) return kNoBackend;
  std::sort(slots.begin(), slots.begin() + count);
  std::uint64_t point = rng.below(left);
  for (std::size_t i = 0; i < count && begin_of(slots[i]) <= point; ++i) {
    point += ends_[slots[i]] - begin_of(slots[i]);
  }
  return at(point);
}

std::uint32_t WeightedDraw::scan_other(Rng& rng, std::span<const std::uint32_t> avoid) const {
  // One pass, each kept with the chance of its weight among those seen so far.
  std::uint32_t chosen = kNoBackend;
  std::uint64_t sum = 0;
  for (std::size_t slot = 0; slot < backends_.size(); ++slot) {
    if (std::find(avoid.begin(), avoid.end(), backends_[slot]) != avoid.end()) continue;
    const std::uint64_t weight = ends_[slot] - begin_of(slot);
    sum += weight;
    if (rng.below(sum) < weight) chosen = backends_[slot];
  }
  return chosen;
}

}  // namespace weir::balancing
