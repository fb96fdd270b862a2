#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/time.h"

namespace weir {

// How many requests of a cluster may be tried again on one worker: a share of the last 10 s' requests, at least kFloor.
// One thread.
class RetryBudget {
 public:
  static constexpr std::uint64_t kFloor = 100;

  void count_request(TimePoint now) {
    advance(now);
    ++current().requests;
    ++requests_;
  }

  // Takes one retry out of the budget; false if it is used up.
  bool take(TimePoint now, double share) {
    advance(now);
    // In floating point: a share may be infinite.
    const double allowed = std::max(static_cast<double>(kFloor), share * static_cast<double>(requests_));
    if (static_cast<double>(retries_) >= allowed) return false;
    ++current().retries;
    ++retries_;
    return true;
  }

 private:
  static constexpr std::int64_t kSeconds = 10;
  struct Second {
    std::uint64_t requests = 0;
    std::uint64_t retries = 0;
  };

  Second& current() { return seconds_[static_cast<std::size_t>(second_ % kSeconds)]; }

  void advance(TimePoint now) {
    const std::int64_t second = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    if (second - second_ >= kSeconds) {
      seconds_.fill({});
      requests_ = retries_ = 0;
      second_ = second;
    }
    while (second_ < second) {
      ++second_;
      requests_ -= current().requests;
      retries_ -= current().retries;
      current() = {};
    }
  }

  std::array<Second, kSeconds> seconds_{};
  std::int64_t second_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t retries_ = 0;
};

}  // namespace weir
