#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace weir::lab {

// Counts durations in nanoseconds with at most 0.8 % error, from 1 ns to about 70 minutes. Fixed size; one thread.
class Histogram {
 public:
  void record(std::uint64_t value_ns) {
    ++counts_[index(value_ns)];
    ++total_;
    sum_ns_ += static_cast<double>(value_ns);
    if (value_ns > max_ns_) max_ns_ = value_ns;
  }

  void add(const Histogram& other) {
    for (std::size_t i = 0; i < kSlots; ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
    sum_ns_ += other.sum_ns_;
    if (other.max_ns_ > max_ns_) max_ns_ = other.max_ns_;
  }

  std::uint64_t total() const { return total_; }
  std::uint64_t max_ns() const { return max_ns_; }
  double mean_ns() const { return total_ == 0 ? 0 : sum_ns_ / static_cast<double>(total_); }

  // The smallest value that at least `share` (0 to 1) of the recorded ones do not exceed; 0 if there are none.
  std::uint64_t quantile_ns(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_) + 0.999999);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kSlots; ++i) {
      seen += counts_[i];
      if (counts_[i] != 0 && seen >= wanted) return highest(i) < max_ns_ ? highest(i) : max_ns_;
    }
    return max_ns_;
  }

 private:
  static constexpr unsigned kBits = 7;  // 128 steps for each power of two
  static constexpr std::uint64_t kSteps = 1U << kBits;
  static constexpr std::size_t kSlots = (43 - kBits) * kSteps;

  // Values below kSteps have a slot each; above, the leading kBits + 1 bits choose it.
  static std::size_t index(std::uint64_t value) {
    if (value < kSteps) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - (kBits + 1);
    const std::size_t slot = (shift + 1) * kSteps + ((value >> shift) - kSteps);
    return slot < kSlots ? slot : kSlots - 1;
  }

  static std::uint64_t highest(std::size_t slot) {
    if (slot < kSteps) return slot;
    const std::uint64_t shift = slot / kSteps - 1;
    return ((slot % kSteps + kSteps + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kSlots> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ns_ = 0;
  double sum_ns_ = 0;
};

}  // namespace weir::lab
