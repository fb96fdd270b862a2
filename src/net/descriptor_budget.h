#pragma once

#include <atomic>
#include <cstddef>

namespace weir {

// How many descriptors a process may have and how many of them its engines hold. Shared by all engines of the process
// and touched only when a descriptor opens or closes. Any thread.
class DescriptorBudget {
 public:
  // `reserve` of the `limit` descriptors are kept from the accept path: for upstreams, admin and reload.
  DescriptorBudget(std::size_t limit, std::size_t reserve) : limit_(limit), reserve_(reserve) {}
  DescriptorBudget(const DescriptorBudget&) = delete;
  DescriptorBudget& operator=(const DescriptorBudget&) = delete;

  void opened(std::size_t count = 1) { open_.fetch_add(count, std::memory_order_relaxed); }
  void closed(std::size_t count = 1) { open_.fetch_sub(count, std::memory_order_relaxed); }

  std::size_t open() const { return open_.load(std::memory_order_relaxed); }
  std::size_t limit() const { return limit_.load(std::memory_order_relaxed); }
  void set_limit(std::size_t limit) { limit_.store(limit, std::memory_order_relaxed); }
  bool scarce() const { return open() + reserve_ >= limit(); }

 private:
  std::atomic<std::size_t> open_ = 0;
  std::atomic<std::size_t> limit_;
  const std::size_t reserve_;
};

}  // namespace weir
