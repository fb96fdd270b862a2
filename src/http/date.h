#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace weir::http {

// The value of a Date field (RFC 9110 5.6.7, IMF-fixdate), formatted once a second. One per worker; one thread.
class DateCache {
 public:
  static constexpr std::size_t kSize = 29;

  // Valid until the next call.
  std::string_view at(WallTime now);

 private:
  std::int64_t second_ = INT64_MIN;
  char text_[kSize] = {};
};

// RFC 3339 in UTC with microseconds, "2026-11-21T09:09:01.123456Z", for logs. The date and the seconds are formatted
// once a second. One per thread that formats.
class TimestampCache {
 public:
  static constexpr std::size_t kSize = 27;

  // Writes kSize bytes, no 0 behind them. Years 1678 to 2261, which is what WallTime can hold.
  void write(WallTime time, char* out);

 private:
  std::int64_t second_ = INT64_MIN;
  char text_[kSize] = {};
};

// The same without a cache. Returns the bytes written: TimestampCache::kSize.
std::size_t format_rfc3339_us(WallTime time, char* out);

}  // namespace weir::http
