#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "upstream/balancing/balancer.h"

namespace weir::balancing {

// The backend with the least active per weight. Where several are equal, a draw with the weights as chances decides:
// idle backends get their shares, and workers do not all run to the same one.
//
// A tournament: each node of a binary tree knows the least below it and how much weight shares that place. A pick goes
// down from the root, a change of one backend's load goes up from its leaf. Both are O(log n); a pick that must avoid
// backends takes them out and puts them back, O(log n) for each.
class LeastConnections final : public Balancer {
 public:
  void rebuild(std::span<const BackendLoad> backends) override;
  void active_changed(std::uint32_t backend, std::uint32_t active) override;
  std::uint32_t pick(const PickContext& context) override;

 private:
  // The least below a node, as active / weight, and the weights of all that are as low. No weight: nothing to pick.
  struct Node {
    std::uint32_t active = 0;
    std::uint32_t weight = 0;
    std::uint64_t tied = 0;

    bool operator==(const Node&) const = default;
  };

  static bool equally_low(const Node& a, const Node& b) {
    return std::uint64_t{a.active} * b.weight == std::uint64_t{b.active} * a.weight;
  }
  static Node least(const Node& a, const Node& b);
  static Node leaf(const BackendLoad& load);
  // Sets one backend's leaf and what depends on it.
  void set(std::uint32_t backend, const Node& node);
  std::uint32_t draw(Rng& rng) const;

  // nodes_[1] is the root, the children of i are 2i and 2i + 1, and the leaves begin at backends_. This holds for any
  // number of backends, not for powers of two alone.
  std::vector<Node> nodes_;
  std::uint32_t backends_ = 0;
};

}  // namespace weir::balancing
