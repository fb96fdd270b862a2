#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "http/http2/hpack.h"
#include "http/limits.h"

namespace weir::http2 {

// Which hostile pattern ended a connection; each has a counter of its own with the owner.
enum class Abuse : std::uint8_t {
  none,
  rapid_reset,   // streams that the peer resets, or makes us reset, much faster than they are served
  continuation,  // too many or endless CONTINUATIONs, or a block above what its limits can need
  empty_frames,  // DATA, HEADERS or CONTINUATION frames without content that end nothing
  settings,      // SETTINGS and their acknowledgements
  ping,
  reset,          // RST_STREAM of streams that are over
  window_update,  // WINDOW_UPDATEs that change next to nothing
  priority,
  unknown_frame,  // frames of unknown types
  unread_output,  // answers that the peer makes us queue and does not read (control frames above their limit)
  count_
};
std::string_view to_string(Abuse abuse);  // "rapid_reset"

struct SessionLimits {
  std::uint32_t concurrent_streams = 100;                    // that the peer may open at once (server)
  http::HeadLimits head;                                     // of what is received
  std::uint32_t stream_window_bytes = 64 * 1024;             // what a stream starts with
  std::uint32_t stream_window_bytes_max = 16 * 1024 * 1024;  // what it may grow to
  std::uint32_t grown_bytes_max = 32 * 1024 * 1024;          // by which all streams' windows may have grown together
  std::uint32_t frame_bytes_max = 16 * 1024;                 // SETTINGS_MAX_FRAME_SIZE that we announce
  std::uint32_t table_bytes = kDefaultTableBytes;            // SETTINGS_HEADER_TABLE_SIZE that we announce
  std::uint32_t resets_per_window = 200;           // rapid reset: so many in a window that are not matched by answers
  std::uint32_t control_frames_per_window = 1000;  // SETTINGS, PING, PRIORITY, empty ones: so many of each kind
  Duration window = 10s;
  std::uint32_t control_bytes_max = 64 * 1024;  // of our own answers that the peer does not read
  bool extended_connect = true;                 // offer RFC 8441 (server)
};

}  // namespace weir::http2
