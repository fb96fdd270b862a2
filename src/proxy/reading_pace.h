#pragma once

#include <cstddef>

#include "base/time.h"

namespace weir::proxy {

// How fast a client reads, by what its socket took while it was full. Who reads may keep more waiting than who doesn't,
// so that no answer to a client of a few Mbit/s is cut. Pure.
class ReadingPace {
 public:
  // What was taken counts for at least so long, and for at most twice as long.
  static constexpr Duration kTime = 500ms;
  // A socket's buffers take so much as they grow, though nobody reads.
  static constexpr std::size_t kUnreadBytes = 64 * 1024;
  // Who reads may keep so many times of it waiting.
  static constexpr std::size_t kTimes = 32;

  // The socket was full, and has taken `bytes`.
  void note(std::size_t bytes, TimePoint now) {
    const Duration since = now - began_;
    if (since >= kTime) {
      before_ = since < 2 * kTime ? bytes_ : 0;
      bytes_ = 0;
      began_ = now;
    }
    bytes_ += bytes;
  }

  // How much may wait. 0: nothing says that it reads.
  std::size_t allowance(TimePoint now) const {
    if (now - began_ >= 2 * kTime) return 0;
    const std::size_t taken = bytes_ + before_;
    return taken > kUnreadBytes ? (taken - kUnreadBytes) * kTimes : 0;
  }

 private:
  TimePoint began_{};
  std::size_t bytes_ = 0;   // since began_
  std::size_t before_ = 0;  // and in the time before
};

}  // namespace weir::proxy
