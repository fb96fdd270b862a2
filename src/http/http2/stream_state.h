#pragma once

#include <cstdint>
#include <string_view>

// The life of one stream (RFC 9113 5.1), as a table. Pure.
//
//                            headers (either way)
//                     idle ─────────────────────────▶ open
//                                                      │ │
//                          recv_end ◀──────────────────┘ └──────────────▶ send_end
//                     half_closed_remote                            half_closed_local
//                          │ send_end                                      │ recv_end
//                          └───────────────────▶ closed ◀──────────────────┘
//
//   open, half_closed_*: send_reset ─▶ reset_local     what still comes is ignored: the peer may not know yet
//                        recv_reset ─▶ reset_remote    what still comes is an error of that stream
//
// PRIORITY is ignored in every state, PUSH_PROMISE refused in every state; neither is an event here.
namespace weir::http2 {

enum class StreamState : std::uint8_t {
  idle,
  open,
  half_closed_local,   // we have said END_STREAM
  half_closed_remote,  // the peer has
  closed,              // both have
  reset_local,         // we have sent RST_STREAM
  reset_remote,        // the peer has
  count_
};

// END_STREAM is an event of its own, behind that of its frame.
enum class StreamEvent : std::uint8_t {
  recv_headers,
  recv_data,
  recv_end,
  recv_reset,
  recv_window_update,
  send_headers,
  send_data,
  send_end,
  send_reset,
  count_
};

enum class Verdict : std::uint8_t {
  ok,
  ignore,             // nothing happens: the peer could not know, or it does not matter
  stream_closed,      // a stream error, STREAM_CLOSED
  connection_closed,  // a connection error, STREAM_CLOSED
  protocol_error,     // a connection error, PROTOCOL_ERROR
  impossible,         // ours to avoid
  count_
};

struct Transition {
  StreamState next;
  Verdict verdict;
};

Transition transition(StreamState state, StreamEvent event);

std::string_view to_string(StreamState state);
std::string_view to_string(StreamEvent event);

}  // namespace weir::http2
