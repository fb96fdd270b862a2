#include "upstream/balancing/least_connections.h"

#include <algorithm>

#include "base/assert.h"

namespace weir::balancing {
namespace {

bool may_take(const BackendLoad& load) {
  return load.usable && load.weight != 0;
}

bool contains(std::span<const std::uint32_t> list, std::uint32_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

std::uint32_t pick_least(std::span<const BackendLoad> backends, std::span<const std::uint32_t> avoid, Rng& rng) {
  std::uint32_t least = kNoBackend;
  std::uint32_t ties = 0;
  std::uint64_t tie_weight = 0;
  for (std::uint32_t i = 0; i < backends.size(); ++i) {
    const BackendLoad& load = backends[i];
    if (!may_take(load) || (!avoid.empty() && contains(avoid, i))) continue;
    if (least != kNoBackend) {
      const std::uint64_t here = std::uint64_t{load.active} * backends[least].weight;
      const std::uint64_t best = std::uint64_t{backends[least].active} * load.weight;
      if (here > best) continue;
      if (here == best) {
        ++ties;
        tie_weight += load.weight;
        continue;
      }
    }
    least = i;
    ties = 1;
    tie_weight = load.weight;
  }
  if (ties <= 1) return least;

  const BackendLoad& best = backends[least];
  std::uint64_t point = rng.below(tie_weight);
  for (std::uint32_t i = least;; ++i) {
    WEIR_ASSERT(i < backends.size());
    const BackendLoad& load = backends[i];
    if (!may_take(load) || (!avoid.empty() && contains(avoid, i))) continue;
    if (std::uint64_t{load.active} * best.weight != std::uint64_t{best.active} * load.weight) continue;
    if (point < load.weight) return i;
    point -= load.weight;
  }
}

}  // namespace

std::uint32_t LeastConnections::pick(const PickContext& context) {
  if (!context.avoid.empty()) {
    const std::uint32_t other = pick_least(context.backends, context.avoid, context.rng);
    if (other != kNoBackend) return other;
  }
  return pick_least(context.backends, {}, context.rng);
}

}  // namespace weir::balancing
