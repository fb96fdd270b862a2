#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weir::observe {

// Cells have one writer, the thread that owns their store, and any number of readers. So an update is a plain load and
// store: no locked instruction, and a reader sees each value whole.

// Counts up from 0.
class Counter {
 public:
  void add(std::uint64_t count = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Goes up and down; one worker's part may be negative, only the sum over the stores has to make sense.
class Gauge {
 public:
  void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t difference) { set(value() + difference); }
  void increment() { add(1); }
  void decrement() { add(-1); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

inline constexpr std::size_t kBucketsMax = 16;

// The upper bounds (inclusive, rising) of a histogram's buckets, in its integer unit, and a table that says for each
// number of significant bits which bucket to look at first.
class BucketLayout {
 public:
  constexpr explicit BucketLayout(std::span<const std::uint64_t> bounds) : size_(bounds.size()) {
    for (std::size_t i = 0; i < size_; ++i) bounds_[i] = bounds[i];
    for (std::size_t width = 0; width <= 64; ++width) {
      const std::uint64_t smallest = width == 0 ? 0 : std::uint64_t{1} << (width - 1);
      std::size_t index = 0;
      while (index < size_ && smallest > bounds_[index]) ++index;
      first_[width] = static_cast<std::uint8_t>(index);
    }
  }

  constexpr std::size_t size() const { return size_; }
  constexpr std::uint64_t bound(std::size_t index) const { return bounds_[index]; }

  // The bucket of `value`; size() if it is above every bound.
  constexpr std::size_t find(std::uint64_t value) const {
    std::size_t index = first_[static_cast<std::size_t>(std::bit_width(value))];
    while (index < size_ && value > bounds_[index]) ++index;
    return index;
  }

 private:
  std::size_t size_;
  std::array<std::uint64_t, kBucketsMax> bounds_{};
  std::array<std::uint8_t, 65> first_{};
};

// Values in buckets, with their sum. Values are integers: nanoseconds or bytes.
class Histogram {
 public:
  explicit Histogram(const BucketLayout& layout) : layout_(&layout) {}

  void observe(std::uint64_t value) {
    auto& count = counts_[layout_->find(value)];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }

  const BucketLayout& layout() const { return *layout_; }
  // Of the bucket alone, not cumulated; `index` up to and with layout().size(), the bucket of all larger values.
  std::uint64_t bucket_count(std::size_t index) const { return counts_[index].load(std::memory_order_relaxed); }
  std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const BucketLayout* layout_;
  std::atomic<std::uint64_t> sum_{0};
  std::array<std::atomic<std::uint64_t>, kBucketsMax + 1> counts_{};
};

}  // namespace weir::observe
