// Session: what goes out. Heads and bodies, and the order in which what waits gets its turn.
#include <algorithm>
#include <cstring>

#include "http/http2/session.h"

namespace weir::http2 {

// Nine bytes that stay where they are until the output is written.
char* Session::put_header(const FrameHeader& header) {
  char* at = output_.reserve(kFrameHeaderBytes).data();
  write_frame_header(at, header);
  output_.commit(kFrameHeaderBytes);
  appended_ += kFrameHeaderBytes;
  last_id_ = 0;
  return at;
}

// A small frame whose payload the caller fills in at once.
char* Session::put_frame(FrameType type, std::uint8_t flags, std::uint32_t stream, std::size_t bytes) {
  char* at = output_.reserve(kFrameHeaderBytes + bytes).data();
  write_frame_header(at, {static_cast<std::uint32_t>(bytes), stream, type, flags});
  output_.commit(kFrameHeaderBytes + bytes);
  appended_ += kFrameHeaderBytes + bytes;
  last_id_ = 0;
  return at + kFrameHeaderBytes;
}

void Session::put_number_frame(FrameType type, std::uint32_t stream, std::uint32_t number) {
  write_u32(put_frame(type, 0, stream, 4), number);
}

void Session::put_cancel(std::uint32_t id, ErrorCode code) {
  put_number_frame(FrameType::rst_stream, id, static_cast<std::uint32_t>(code));
}

// One that the peer made us send.
void Session::put_reset(std::uint32_t id, ErrorCode code) {
  put_cancel(id, code);
  note_control(kFrameHeaderBytes + 4);
}

void Session::put_window_update(std::uint32_t stream, std::uint32_t bytes) {
  put_number_frame(FrameType::window_update, stream, bytes);
}

void Session::put_goaway(std::uint32_t last_id, ErrorCode code, std::string_view detail) {
  char* payload = put_frame(FrameType::goaway, 0, 0, 8 + detail.size());
  write_u32(payload, last_id);
  write_u32(payload + 4, static_cast<std::uint32_t>(code));
  if (!detail.empty()) std::memcpy(payload + 8, detail.data(), detail.size());
}

// Bytes of answers that the peer makes us give. Those that had been written when the count began anew count no more.
void Session::note_control(std::size_t bytes) {
  if (written() >= control_mark_) {
    control_unread_ = 0;
    control_mark_ = appended_;
  }
  control_unread_ += static_cast<std::uint32_t>(bytes);
}

// A field block as HEADERS, with CONTINUATIONs if it is too large for one frame of the peer's.
template <typename Encode>
void Session::put_block(SessionStream& stream, bool end, Encode&& encode) {
  const std::uint8_t flags = end ? kFlagEndStream : 0;
  char* header = put_header({0, stream.id_, FrameType::headers, flags});
  const std::size_t begin = output_.size();
  encode();
  const std::size_t size = output_.size() - begin;
  appended_ += size;
  floods_.sent();
  if (size > peer_frame_bytes_)
    return split_block(header, begin, {peer_frame_bytes_, stream.id_, FrameType::headers, flags});
  write_frame_header(header, {static_cast<std::uint32_t>(size), stream.id_, FrameType::headers,
                              static_cast<std::uint8_t>(flags | kFlagEndHeaders)});
  remember_frame(stream, header);
}

// The block that begins at `begin` of the output is cut into frames.
void Session::split_block(char* header, std::size_t begin, FrameHeader first) {
  write_frame_header(header, first);
  Buffer rest(pool_);
  output_.move_tail(begin + first.length, rest);
  appended_ -= rest.size();
  while (!rest.empty()) {
    std::size_t size = std::min<std::size_t>(rest.size(), peer_frame_bytes_);
    const std::uint8_t flags = size == rest.size() ? kFlagEndHeaders : 0;
    put_header({static_cast<std::uint32_t>(size), first.stream, FrameType::continuation, flags});
    appended_ += size;
    while (size > 0) {
      const std::string_view piece = rest.front().substr(0, size);
      output_.append(piece);
      size -= piece.size();
      rest.consume(piece.size());
    }
  }
}

// The output ends with this frame, in which END_STREAM may yet be set.
void Session::remember_frame(SessionStream& stream, char* header) {
  last_header_ = header;
  last_output_size_ = output_.size();
  last_id_ = stream.id_;
}

// Sets END_STREAM in the stream's last frame, if nothing stands behind it and nothing has been written since.
// A request that was begun without END_STREAM ends with DATA: gRPC demands it, and some of its servers wait for ever.
bool Session::patch_end(const SessionStream& stream) {
  if (last_id_ != stream.id_ || last_output_size_ != output_.size()) return false;
  if (role_ == Role::client && last_header_[3] != static_cast<char>(FrameType::data)) return false;
  last_header_[4] = static_cast<char>(last_header_[4] | kFlagEndStream);
  return true;
}

void Session::open(SessionStream& stream, const http::RequestHead& head, std::string_view scheme, bool end,
                   http::ResponseHead& into, http::FieldList& trailers) {
  WEIR_ASSERT(can_open());
  insert(stream, next_id_);
  next_id_ += 2;
  stream.response_ = &into;
  stream.trailers_ = &trailers;
  stream.answers_head_ = head.method == http::Method::head;
  stream.asks_for_tunnel_ = head.upgrade_websocket;
  stream.head_sent_ = true;
  floods_.opened();
  put_block(stream, end, [&] { encode_request(encoder_, output_, head, scheme); });
  if (end) end_local(stream);
}

void Session::send_head(SessionStream& stream, const http::ResponseHead& head, bool end) {
  if (!stream.attached_ || broken()) return;
  WEIR_ASSERT(role_ == Role::server && !stream.local_done() && !stream.head_sent_);
  const bool interim = head.status < 200 && head.status != 101;
  put_block(stream, end, [&] { encode_response(encoder_, output_, head); });
  if (interim) {
    last_id_ = 0;
    return;
  }
  stream.head_sent_ = true;
  floods_.served();
  if (end) end_local(stream);
}

// How much of `wanted` bytes may go into one DATA frame now.
std::size_t Session::data_allowed(const SessionStream& stream, std::size_t wanted) const {
  if (output_.size() >= kOutputBytes) return 0;
  const std::int64_t window = std::min(stream.send_window_, send_window_);
  if (window <= 0) return 0;
  return std::min({wanted, kDataBytes, static_cast<std::size_t>(peer_frame_bytes_), static_cast<std::size_t>(window)});
}

void Session::put_data_header(SessionStream& stream, std::size_t bytes, bool end) {
  char* header = put_header(
      {static_cast<std::uint32_t>(bytes), stream.id_, FrameType::data, end ? kFlagEndStream : std::uint8_t{0}});
  last_header_ = header;
  appended_ += bytes;
  stream.data_end_ = appended_;
  stream.send_window_ -= static_cast<std::int64_t>(bytes);
  send_window_ -= static_cast<std::int64_t>(bytes);
  floods_.sent();
}

void Session::send_body(SessionStream& stream, std::string_view data) {
  if (!stream.attached_ || broken()) return;
  WEIR_ASSERT(stream.head_sent_ && !stream.local_done() && !stream.end_queued_);
  if (stream.pending_.empty() && ready_.empty()) {
    while (const std::size_t size = data_allowed(stream, data.size())) {
      put_data_header(stream, size, false);
      output_.append(data.substr(0, size));
      remember_frame(stream, last_header_);
      data.remove_prefix(size);
    }
  }
  if (data.empty()) return;
  const std::size_t before = stream.pending_.size();
  stream.pending_.append(data);
  count_pending(stream, before);
  if (stream.pending_.size() > kLowWatermark && !stream.tell_writable_) tell_when_down_to(stream, kLowWatermark);
  if (stream.send_window_ > 0) make_ready(stream);
}

void Session::tell_when_down_to(SessionStream& stream, std::size_t at_most) {
  if (!stream.attached_) return;
  stream.tell_writable_ = true;
  stream.writable_at_ = static_cast<std::uint32_t>(at_most);
}

std::size_t Session::send_room(const SessionStream& stream) const {
  const std::int64_t room = std::min(stream.send_window_, send_window_) - static_cast<std::int64_t>(stream.pending());
  return room > 0 ? static_cast<std::size_t>(room) : 0;
}

// `stream` had `before` body bytes that waited.
void Session::count_pending(const SessionStream& stream, std::size_t before) {
  const std::size_t after = stream.pending_.size();
  const auto count = [&](PendingTotal& total) {
    total.bytes += after - before;
    total.streams += static_cast<std::size_t>(after > 0) - static_cast<std::size_t>(before > 0);
  };
  count(pending_);
  if (total_ != nullptr) count(*total_);
  if (stream.ListNode<SendTag>::linked()) count_ready(stream, after - before);
}

// `bytes` more: they wrap around for less.
void Session::count_ready(const SessionStream& stream, std::size_t bytes) {
  ready_bytes_ += bytes;
  if (stream.can_wait_) ready_bytes_of_[stream.urgency_] += static_cast<std::uint32_t>(bytes);
}

std::size_t Session::in_turn(const SessionStream& stream) const {
  std::size_t sum = 0;
  if (ready_bytes_ == 0 || send_window_ <= 0) return sum;
  for (std::size_t urgency = 0; urgency <= stream.urgency_; ++urgency) sum += ready_bytes_of_[urgency];
  return sum;
}

void Session::send_end(SessionStream& stream, const http::FieldList* trailers, bool keep_reading) {
  if (!stream.attached_ || broken()) return;
  WEIR_ASSERT(stream.head_sent_ && !stream.local_done() && !stream.end_queued_);
  stream.keep_reading_ = keep_reading;
  stream.trailers_to_send_ = trailers;
  stream.end_queued_ = true;
  stream.tell_writable_ = false;
  if (role_ == Role::server && !keep_reading) stream.deaf_ = true;
  if (stream.pending_.empty()) finish_local(stream);
}

// All of the body is in the output: its end follows.
void Session::finish_local(SessionStream& stream) {
  if (const http::FieldList* trailers = stream.trailers_to_send_) {
    put_block(stream, true, [&] { encode_trailers(encoder_, output_, *trailers); });
  } else if (!patch_end(stream)) {
    put_frame(FrameType::data, kFlagEndStream, stream.id_, 0);
  }
  end_local(stream);
}

// Our END_STREAM is in the output.
void Session::end_local(SessionStream& stream) {
  stream.state_ = transition(stream.state_, StreamEvent::send_end).next;
  if (role_ == Role::client || stream.keep_reading_ || stream.bad_request_) {
    // The answer to a request that can't be is followed by the error that it is (RFC 9113 8.1.1).
    if (stream.bad_request_) {
      put_reset(stream.id_, ErrorCode::protocol_error);
      detach(stream, StreamState::reset_local);
    }
  } else if (stream.state_ != StreamState::closed) {
    put_reset(stream.id_, ErrorCode::no_error);
    detach(stream, StreamState::reset_local);
  }
  if (stream.state_ == StreamState::closed) detach(stream, StreamState::closed);
}

// Puts a stream with pending() and an open window into the list that pump() takes from the front of: by urgency, then
// those that are not incremental by id, then the others, the newcomer last.
void Session::make_ready(SessionStream& stream) {
  if (stream.ListNode<SendTag>::linked()) return;
  ++ready_streams_;
  count_ready(stream, stream.pending_.size());
  ready_.insert_sorted(stream, [](const SessionStream& a, const SessionStream& b) {
    if (a.urgency_ != b.urgency_) return a.urgency_ < b.urgency_;
    if (a.incremental_ != b.incremental_) return b.incremental_;
    return !a.incremental_ && a.id_ < b.id_;
  });
}

void Session::leave_ready(SessionStream& stream) {
  if (!stream.ListNode<SendTag>::linked()) return;
  --ready_streams_;
  count_ready(stream, std::size_t{0} - stream.pending_.size());
  stream.ListNode<SendTag>::unlink();
}

void Session::pump() {
  if (broken()) return;
  while (!ready_.empty() && send_window_ > 0 && output_.size() < kOutputBytes) move_pending(ready_.front());
}

// One frame of what waits; the stream leaves the list, or goes behind its equals if it shares.
void Session::move_pending(SessionStream& stream) {
  std::size_t size = data_allowed(stream, stream.pending_.size());
  if (size > 0) {
    const bool last = size == stream.pending_.size();
    const bool ends = last && stream.end_queued_ && stream.trailers_to_send_ == nullptr;
    put_data_header(stream, size, ends);
    const std::size_t before = stream.pending_.size();
    while (size > 0) {
      const std::string_view piece = stream.pending_.front().substr(0, size);
      output_.append(piece);
      size -= piece.size();
      stream.pending_.consume(piece.size());
    }
    count_pending(stream, before);
    remember_frame(stream, last_header_);
  }
  if (stream.tell_writable_ && stream.pending_.size() <= stream.writable_at_) {
    stream.tell_writable_ = false;
    tell(stream, Event::writable);
  }
  if (stream.pending_.empty()) {
    leave_ready(stream);
    if (!stream.end_queued_) return;
    finish_local(stream);
    if (!stream.attached_) tell(stream, Event::closed);
    return;
  }
  if (stream.send_window_ > 0 && !stream.incremental_) return;
  leave_ready(stream);
  if (stream.send_window_ > 0) make_ready(stream);
}

}  // namespace weir::http2
