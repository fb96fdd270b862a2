#include "upstream/balancing/least_connections.h"

#include "base/assert.h"

namespace weir::balancing {

LeastConnections::Node LeastConnections::least(const Node& a, const Node& b) {
  if (a.weight == 0) return b;
  if (b.weight == 0) return a;
  const std::uint64_t here = std::uint64_t{a.active} * b.weight;
  const std::uint64_t there = std::uint64_t{b.active} * a.weight;
  if (here == there) return {a.active, a.weight, a.tied + b.tied};
  return here < there ? a : b;
}

LeastConnections::Node LeastConnections::leaf(const BackendLoad& load) {
  if (!load.usable || load.weight == 0) return {};
  return {load.active, load.weight, load.weight};
}

void LeastConnections::rebuild(std::span<const BackendLoad> backends) {
  backends_ = static_cast<std::uint32_t>(backends.size());
  nodes_.assign(std::size_t{2} * backends_, Node{});
  for (std::uint32_t i = 0; i < backends_; ++i) nodes_[backends_ + i] = leaf(backends[i]);
  for (std::uint32_t i = backends_; i-- > 1;) nodes_[i] = least(nodes_[2 * i], nodes_[2 * i + 1]);
}

void LeastConnections::active_changed(std::uint32_t backend, std::uint32_t active) {
  WEIR_ASSERT(backend < backends_);
  Node node = nodes_[backends_ + backend];
  if (node.weight == 0) return;  // not to be picked: nobody looks at its load
  node.active = active;
  set(backend, node);
}

void LeastConnections::set(std::uint32_t backend, const Node& node) {
  std::uint32_t i = backends_ + backend;
  nodes_[i] = node;
  while (i > 1) {
    i /= 2;
    const Node before = nodes_[i];
    nodes_[i] = least(nodes_[2 * i], nodes_[2 * i + 1]);
    if (nodes_[i] == before) return;
  }
}

std::uint32_t LeastConnections::draw(Rng& rng) const {
  if (backends_ == 0 || nodes_[1].weight == 0) return kNoBackend;
  const Node& best = nodes_[1];
  std::uint64_t point = best.tied > best.weight ? rng.below(best.tied) : 0;
  std::uint32_t i = 1;
  while (i < backends_) {
    i *= 2;
    const Node& left = nodes_[i];
    const std::uint64_t share = left.weight != 0 && equally_low(left, best) ? left.tied : 0;
    if (point < share) continue;
    point -= share;
    ++i;
  }
  WEIR_ASSERT(nodes_[i].weight != 0 && equally_low(nodes_[i], best) && point < nodes_[i].weight);
  return i - backends_;
}

std::uint32_t LeastConnections::pick(const PickContext& context) {
  if (context.avoid.empty()) return draw(context.rng);
  for (const std::uint32_t backend : context.avoid) {
    if (backend < backends_) set(backend, {});
  }
  const std::uint32_t other = draw(context.rng);
  for (const std::uint32_t backend : context.avoid) {
    if (backend < backends_) set(backend, leaf(context.backends[backend]));
  }
  return other != kNoBackend ? other : draw(context.rng);
}

}  // namespace weir::balancing
