// Session: flow control (RFC 9113 5.2), and how receive windows grow.
#include <algorithm>

#include "http/http2/session.h"

namespace weir::http2 {
namespace {

// A WINDOW_UPDATE below this changes next to nothing: a peer may send them only as it gets frames.
constexpr std::uint32_t kSmallUpdate = 1024;

// A window grows no more once it lets through so much in a round trip: what limits the peer then is not the path, and
// all that a window holds may have to be kept for a reader that stops.
constexpr std::uint64_t kWindowBytesPerMs = 500'000;

}  // namespace

bool Session::on_window_update(const FrameHeader& header, std::string_view payload, Step& step) {
  const std::uint32_t bytes = read_u32(payload.data()) & kStreamIdMax;
  if (bytes < kSmallUpdate && !flood(Abuse::window_update, step, "too many small WINDOW_UPDATEs")) return false;
  if (header.stream == 0) {
    if (bytes == 0) return fail(step, ErrorCode::protocol_error, "WINDOW_UPDATE of 0");
    send_window_ += bytes;
    if (send_window_ <= kWindowMax) return true;
    return fail(step, ErrorCode::flow_control_error, "WINDOW_UPDATE overflows the connection's window");
  }
  SessionStream* stream = table_.find(header.stream);
  const StreamState state = stream != nullptr ? stream->state_ : ended_state(header.stream);
  const Verdict verdict = transition(state, StreamEvent::recv_window_update).verdict;
  if (verdict == Verdict::protocol_error) {
    return fail(step, ErrorCode::protocol_error, "WINDOW_UPDATE on an idle stream");
  }
  if (stream == nullptr) return true;
  if (bytes == 0) return break_stream(*stream, ErrorCode::protocol_error, "WINDOW_UPDATE of 0", step);
  stream->send_window_ += bytes;
  if (stream->send_window_ > kWindowMax) {
    return break_stream(*stream, ErrorCode::flow_control_error, "WINDOW_UPDATE overflows the stream's window", step);
  }
  if (stream->pending() > 0 && stream->send_window_ > 0) make_ready(*stream);
  return true;
}

// The connection's window bounds nothing: each stream's own does. So what arrived is given back at once, whatever
// becomes of it, and no stream can hold up another one.
void Session::received_bytes(std::uint32_t bytes) {
  receive_window_ -= bytes;
  if (receive_window_ > kConnectionWindow / 2) return;
  put_window_update(0, static_cast<std::uint32_t>(kConnectionWindow - receive_window_));
  receive_window_ = kConnectionWindow;
}

void Session::consumed(SessionStream& stream, std::size_t bytes, TimePoint now) {
  now_ = now;
  if (!stream.attached_ || broken() || stream.remote_done()) return;
  stream.consumed_ += static_cast<std::uint32_t>(bytes);
  stream.measured_ += static_cast<std::uint32_t>(bytes);
  if (stream.measured_ >= stream.receive_window_size_ / 2) grow_window(stream);
  restore_window(stream);
}

// As soon as it is worth a frame.
void Session::restore_window(SessionStream& stream) {
  if (stream.consumed_ < std::min(stream.receive_window_size_ / 2, kUpdateBytes)) return;
  put_window_update(stream.id_, stream.consumed_);
  stream.receive_window_ += stream.consumed_;
  stream.consumed_ = 0;
}

// Half a window has been consumed. If that took less than two round trips, the window may be what limits the peer:
// twice the size then, until it holds about four times what is on its way.
void Session::grow_window(SessionStream& stream) {
  const Duration elapsed = now_ - stream.window_began_;
  stream.window_began_ = now_;
  stream.measured_ = 0;
  const std::uint32_t size = stream.receive_window_size_;
  if (size >= limits_.stream_window_bytes_max || grown_bytes_ >= limits_.grown_bytes_max) return;
  probe_round_trip();
  if (elapsed >= round_trip_ * 2) return;
  if (std::uint64_t{size} * 1'000'000 >= kWindowBytesPerMs * static_cast<std::uint64_t>(round_trip_.count())) return;
  const std::uint32_t more =
      std::min({size, limits_.stream_window_bytes_max - size, limits_.grown_bytes_max - grown_bytes_});
  stream.receive_window_size_ += more;
  stream.consumed_ += more;
  grown_bytes_ += more;
}

}  // namespace weir::http2
