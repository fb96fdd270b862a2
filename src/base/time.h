#pragma once

#include <chrono>

namespace weir {

// Durations and instants of the whole project, in nanoseconds. Instants come from a runtime::Clock and from nowhere
// else.
using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

using namespace std::chrono_literals;

// "Never": the value of a deadline that is switched off, and the duration of a timeout that is `none`.
inline constexpr TimePoint kNever = TimePoint::max();
inline constexpr Duration kForever = Duration::max();

// A deadline `timeout` after `now`; kNever if the timeout is none or would overflow.
inline constexpr TimePoint deadline_after(TimePoint now, Duration timeout) {
  return timeout >= kNever - now ? kNever : now + timeout;
}

}  // namespace weir
