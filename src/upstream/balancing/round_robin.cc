#include "upstream/balancing/round_robin.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"

namespace weir::balancing {
namespace {

using Wide = unsigned __int128;

// A table of this many turns is always fine; with more backends, two turns for each.
constexpr std::uint64_t kTableTurnsMax = 4096;

std::uint64_t high(Wide value) {
  return static_cast<std::uint64_t>(value >> 64);
}

// A turn of one backend while the table is written.
struct Job {
  std::uint64_t slot;  // while it waits: where its window begins; once ready: where it ends
  std::uint32_t entry;
  std::uint32_t turn;
};

struct Later {
  bool operator()(const Job& a, const Job& b) const { return a.slot != b.slot ? a.slot > b.slot : a.entry > b.entry; }
};

std::vector<std::uint32_t> write_turns(std::span<const TurnTable::Entry> entries, std::uint64_t sum) {
  std::vector<std::uint32_t> turns;
  turns.reserve(sum);
  if (sum == entries.size()) {
    for (const auto& entry : entries) turns.push_back(entry.backend);
    return turns;
  }
  std::vector<Job> waiting;
  std::vector<Job> ready;
  waiting.reserve(entries.size());
  ready.reserve(entries.size());
  for (std::uint32_t i = 0; i < entries.size(); ++i) waiting.push_back({0, i, 0});
  for (std::uint64_t slot = 0; slot < sum; ++slot) {
    while (!waiting.empty() && waiting.front().slot <= slot) {
      std::pop_heap(waiting.begin(), waiting.end(), Later{});
      Job job = waiting.back();
      waiting.pop_back();
      const std::uint64_t weight = entries[job.entry].weight;
      job.slot = ((job.turn + 1) * sum + weight - 1) / weight;
      ready.push_back(job);
      std::push_heap(ready.begin(), ready.end(), Later{});
    }
    WEIR_ASSERT(!ready.empty());
    std::pop_heap(ready.begin(), ready.end(), Later{});
    Job job = ready.back();
    ready.pop_back();
    WEIR_ASSERT(job.slot > slot);
    turns.push_back(entries[job.entry].backend);
    if (++job.turn == entries[job.entry].weight) continue;
    job.slot = job.turn * sum / entries[job.entry].weight;
    waiting.push_back(job);
    std::push_heap(waiting.begin(), waiting.end(), Later{});
  }
  return turns;
}

}  // namespace

void TurnTable::build(std::span<const Entry> entries, std::uint64_t sum, std::uint64_t phase) {
  turns_ = write_turns(entries, sum);
  const Wide position = Wide{phase} * sum;
  next_ = high(position);
  rest_ = static_cast<std::uint64_t>(position);
}

std::uint64_t TurnTable::phase() const {
  return static_cast<std::uint64_t>(((Wide{next_} << 64) | rest_) / turns_.size());
}

bool TurnHeap::earlier(const Turn& a, const Turn& b) {
  const auto cycles = static_cast<std::int32_t>(a.cycle - b.cycle);
  if (cycles != 0) return cycles < 0;
  return a.place != b.place ? a.place < b.place : a.slot < b.slot;
}

std::uint64_t TurnHeap::place(const Member& member, std::uint32_t turn) {
  const Wide turns = (Wide{turn} << 32) | member.shift;
  return static_cast<std::uint64_t>((turns << 32) / member.weight);
}

// Backends of one weight lie at even distances; groups of different weights are moved against each other by the golden
// ratio, so that the turns of many light backends do not fall into one place.
std::vector<std::uint32_t> TurnHeap::spread(std::span<const TurnTable::Entry> entries) {
  std::vector<std::uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return entries[a].weight != entries[b].weight ? entries[a].weight > entries[b].weight : a < b;
  });
  std::vector<std::uint32_t> shifts(entries.size());
  std::uint32_t group_shift = 0x80000000;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    while (end < order.size() && entries[order[end]].weight == entries[order[begin]].weight) ++end;
    for (std::size_t i = begin; i < end; ++i) {
      shifts[order[i]] = group_shift + static_cast<std::uint32_t>(((i - begin) << 32) / (end - begin));
    }
    group_shift += 0x9e3779b9;
    begin = end;
  }
  return shifts;
}

void TurnHeap::build(std::span<const TurnTable::Entry> entries, std::uint64_t phase) {
  heap_.clear();
  members_.clear();
  heap_.reserve(entries.size());
  members_.reserve(entries.size());
  const auto shifts = spread(entries);
  for (std::uint32_t slot = 0; slot < entries.size(); ++slot) {
    const Member member{entries[slot].backend, entries[slot].weight, shifts[slot]};
    members_.push_back(member);
    // The first turn at or behind the phase: the one before the phase's own, that one, or the next.
    std::uint64_t turn = high(Wide{phase} * member.weight);
    while (turn < member.weight && place(member, static_cast<std::uint32_t>(turn)) < phase) ++turn;
    while (turn > 0 && place(member, static_cast<std::uint32_t>(turn - 1)) >= phase) --turn;
    const bool wraps = turn == member.weight;
    const auto first = wraps ? 0U : static_cast<std::uint32_t>(turn);
    heap_.push_back({place(member, first), wraps ? 1U : 0U, first, slot});
  }
  for (std::size_t i = heap_.size() / 2; i-- > 0;) sift_down(i);
}

void TurnHeap::advance(Turn& turn) const {
  const Member& member = members_[turn.slot];
  if (++turn.turn == member.weight) {
    turn.turn = 0;
    ++turn.cycle;
  }
  turn.place = place(member, turn.turn);
}

void TurnHeap::sift_down(std::size_t position) {
  const std::size_t size = heap_.size();
  const Turn moving = heap_[position];
  for (;;) {
    std::size_t child = 2 * position + 1;
    if (child >= size) break;
    if (child + 1 < size && earlier(heap_[child + 1], heap_[child])) ++child;
    if (!earlier(heap_[child], moving)) break;
    heap_[position] = heap_[child];
    position = child;
  }
  heap_[position] = moving;
}

std::uint32_t TurnHeap::pick() {
  const std::uint32_t backend = members_[heap_.front().slot].backend;
  advance(heap_.front());
  sift_down(0);
  return backend;
}

RoundRobin::RoundRobin(std::uint64_t seed) : phase_(Rng(seed).next()) {}

void RoundRobin::rebuild(std::span<const BackendLoad> backends) {
  if (kind_ == Kind::table) phase_ = table_.phase();
  if (kind_ == Kind::heap) phase_ = heap_.phase();
  std::vector<TurnTable::Entry> entries;
  entries.reserve(backends.size());
  std::uint32_t divisor = 0;
  for (std::uint32_t i = 0; i < backends.size(); ++i) {
    if (!backends[i].usable || backends[i].weight == 0) continue;
    entries.push_back({i, backends[i].weight});
    divisor = std::gcd(divisor, backends[i].weight);
  }
  std::uint64_t sum = 0;
  for (auto& entry : entries) {
    entry.weight /= divisor;
    sum += entry.weight;
  }
  table_ = {};
  heap_ = {};
  others_.build(backends);
  if (entries.empty()) {
    kind_ = Kind::empty;
  } else if (sum <= std::max<std::uint64_t>(kTableTurnsMax, 2 * entries.size())) {
    kind_ = Kind::table;
    table_.build(entries, sum, phase_);
  } else {
    kind_ = Kind::heap;
    heap_.build(entries, phase_);
  }
}

std::uint32_t RoundRobin::pick(const PickContext& context) {
  if (!context.avoid.empty()) {
    const std::uint32_t other = others_.draw_other(context.rng, context.avoid);
    if (other != kNoBackend) return other;
  }
  switch (kind_) {
    case Kind::empty:
      return kNoBackend;
    case Kind::table:
      return table_.pick();
    case Kind::heap:
      return heap_.pick();
  }
  return kNoBackend;
}

}  // namespace weir::balancing
