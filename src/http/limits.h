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

// What the peer of one HTTP/2 connection may do (RFC 9113 10.5). A window is 10 s; the maximum switches a limit off.
struct Http2Limits {
  std::uint32_t resets_per_window = 200;             // streams it resets or makes us reset
  std::uint32_t control_frames_per_window = 1000;    // SETTINGS, PING, PRIORITY, empty ones
  std::uint32_t grown_bytes_max = 32 * 1024 * 1024;  // by which its windows may have grown together

  bool operator==(const Http2Limits&) const = default;
};

}  // namespace weir::http
