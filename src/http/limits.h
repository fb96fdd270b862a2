#pragma once

#include <cstdint>

namespace weir::http {

// Limits on one message's head. A value equal to the limit passes. Not switched off by 0 but by the maximum.
struct HeadLimits {
  std::uint64_t header_bytes = 64 * 1024;  // the field lines with their line ends
  std::uint64_t headers = 100;             // field lines
  std::uint64_t uri_bytes = 16 * 1024;     // the request target

  bool operator==(const HeadLimits&) const = default;
};

}  // namespace weir::http
