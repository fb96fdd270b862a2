#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "upstream/balancing/balancer.h"
#include "upstream/balancing/weighted_draw.h"

namespace weir::balancing {

// One turn cycle, written out. Used while the weights, divided by their greatest common divisor, sum to little.
//
// Turn k of a backend with weight w lies in the slots [floor(k*W/w), ceil((k+1)*W/w)) of the W slots; of the turns
// whose window has begun the one whose window ends first goes first. So at no point is a backend a whole turn ahead
// of or behind its share.
class TurnTable {
 public:
  struct Entry {
    std::uint32_t backend;
    std::uint32_t weight;
  };

  // `phase`: where in the cycle to go on, in 2^-64 of it.
  void build(std::span<const Entry> entries, std::uint64_t sum, std::uint64_t phase);
  std::uint64_t phase() const;
  std::uint32_t pick() {
    const std::uint32_t backend = turns_[next_];
    if (++next_ == turns_.size()) next_ = 0;
    return backend;
  }

 private:
  std::vector<std::uint32_t> turns_;
  std::size_t next_ = 0;
  std::uint64_t rest_ = 0;  // what the phase says beyond next_, so that nothing is lost over many rebuilds
};

// The same for weights of any size: each backend's turns lie evenly on the circle, and a heap merges them. Backends
// of one weight are spread evenly against each other. Turn k of a backend always lies at the same place, so any
// window of one cycle has exactly the weights.
class TurnHeap {
 public:
  void build(std::span<const TurnTable::Entry> entries, std::uint64_t phase);
  std::uint64_t phase() const { return heap_.front().place; }
  std::uint32_t pick();

 private:
  struct Turn {
    std::uint64_t place;  // on the circle, in 2^-64 of it
    std::uint32_t cycle;
    std::uint32_t turn;  // of the backend's `weight` turns in a cycle
    std::uint32_t slot;  // in members_
  };
  struct Member {
    std::uint32_t backend;
    std::uint32_t weight;
    std::uint32_t shift;  // of all its turns, in 2^-32 of the distance between two of them
  };

  static bool earlier(const Turn& a, const Turn& b);
  static std::uint64_t place(const Member& member, std::uint32_t turn);
  static std::vector<std::uint32_t> spread(std::span<const TurnTable::Entry> entries);
  void advance(Turn& turn) const;
  void sift_down(std::size_t position);

  std::vector<Turn> heap_;
  std::vector<Member> members_;
};

// Smooth weighted round robin. Any window of as many picks as the usable weights sum to has exactly the weights. A
// pick that must avoid backends takes no turn: it is a draw among the others with the weights as chances. So the
// window holds for all other picks, and the work of a failing backend spreads over the rest instead of falling on its
// successor.
class RoundRobin final : public Balancer {
 public:
  explicit RoundRobin(std::uint64_t seed);

  void rebuild(std::span<const BackendLoad> backends) override;
  std::uint32_t pick(const PickContext& context) override;

 private:
  enum class Kind : std::uint8_t { empty, table, heap };

  Kind kind_ = Kind::empty;
  std::uint64_t phase_;  // while empty
  TurnTable table_;
  TurnHeap heap_;
  WeightedDraw others_;
};

}  // namespace weir::balancing
