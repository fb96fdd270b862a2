#include "http/http2/stream_state.h"

#include <array>

namespace weir::http2 {
namespace {

constexpr auto kStates = static_cast<std::size_t>(StreamState::count_);
constexpr auto kEvents = static_cast<std::size_t>(StreamEvent::count_);

// One cell of the table: where the stream goes, or why it stays.
struct Cell {
  StreamState next;
  Verdict verdict;
};

constexpr Cell kOpen{StreamState::open, Verdict::ok};
constexpr Cell kHalfL{StreamState::half_closed_local, Verdict::ok};
constexpr Cell kHalfR{StreamState::half_closed_remote, Verdict::ok};
constexpr Cell kClosed{StreamState::closed, Verdict::ok};
constexpr Cell kResetL{StreamState::reset_local, Verdict::ok};
constexpr Cell kResetR{StreamState::reset_remote, Verdict::ok};
constexpr Cell kIgnore{StreamState::count_, Verdict::ignore};
constexpr Cell kStream{StreamState::count_, Verdict::stream_closed};
constexpr Cell kOver{StreamState::count_, Verdict::connection_closed};
constexpr Cell kProto{StreamState::count_, Verdict::protocol_error};
constexpr Cell kNever{StreamState::count_, Verdict::impossible};

// clang-format off
constexpr std::array<std::array<Cell, kEvents>, kStates> kTable = {{
  // recv_                                               send_
  // headers  data     end      reset    window_update   headers  data     end      reset
  {{kOpen,    kProto,  kProto,  kProto,  kProto,         kOpen,   kNever,  kNever,  kResetL}},  // idle
  {{kOpen,    kOpen,   kHalfR,  kResetR, kOpen,          kOpen,   kOpen,   kHalfL,  kResetL}},  // open
  {{kHalfL,   kHalfL,  kClosed, kResetR, kIgnore,        kNever,  kNever,  kNever,  kResetL}},  // half_closed_local
  {{kStream,  kStream, kStream, kResetR, kHalfR,         kHalfR,  kHalfR,  kClosed, kResetL}},  // half_closed_remote
  {{kOver,    kOver,   kOver,   kIgnore, kIgnore,        kNever,  kNever,  kNever,  kClosed}},  // closed
  {{kIgnore,  kIgnore, kIgnore, kIgnore, kIgnore,        kNever,  kNever,  kNever,  kIgnore}},  // reset_local
  {{kStream,  kStream, kStream, kIgnore, kIgnore,        kNever,  kNever,  kNever,  kResetL}},  // reset_remote
}};
// clang-format on

}  // namespace

Transition transition(StreamState state, StreamEvent event) {
  const Cell& cell = kTable[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
  return {cell.next == StreamState::count_ ? state : cell.next, cell.verdict};
}

std::string_view to_string(StreamState state) {
  static constexpr std::array<std::string_view, kStates> kNames = {
      "idle", "open", "half_closed_local", "half_closed_remote", "closed", "reset_local", "reset_remote"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(StreamEvent event) {
  static constexpr std::array<std::string_view, kEvents> kNames = {"recv_headers", "recv_data",          "recv_end",
                                                                   "recv_reset",   "recv_window_update", "send_headers",
                                                                   "send_data",    "send_end",           "send_reset"};
  return kNames[static_cast<std::size_t>(event)];
}

}  // namespace weir::http2
