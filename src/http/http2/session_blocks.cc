// Session: field blocks, from HEADERS to heads and trailers.
#include <algorithm>
#include <optional>
#include <utility>

#include "http/http2/priority.h"
#include "http/http2/session.h"

namespace weir::http2 {
namespace {

// How many 1xx may come before a response.
constexpr std::uint8_t kInterimHeadsMax = 100;
// What a block may need beyond the sizes of what it says: representations' lengths and pseudo fields.
constexpr std::size_t kBlockSlack = 16 * 1024;
// However far the limits on heads were raised.
constexpr std::size_t kBlockBytesMax = 16 * 1024 * 1024;

MalformedKind kind_of(BlockError error) {
  switch (error) {
    case BlockError::none:
    case BlockError::compression:
      return MalformedKind::none;
    case BlockError::malformed:
      return MalformedKind::bad_request;
    case BlockError::too_large:
      return MalformedKind::headers_too_large;
    case BlockError::uri_too_long:
      return MalformedKind::uri_too_long;
  }
  return MalformedKind::bad_request;
}

}  // namespace

std::size_t Session::block_bytes_max() const {
  const std::uint64_t fields = std::min<std::uint64_t>(limits_.head.header_bytes, kBlockBytesMax);
  const std::uint64_t target = std::min<std::uint64_t>(target_bytes_max(), kBlockBytesMax);
  return std::min<std::uint64_t>(fields + target + kBlockSlack, kBlockBytesMax);
}

bool Session::on_headers(const FrameHeader& header, std::string_view payload, Step& step) {
  std::size_t padding = 0;
  if (header.has(kFlagPadded)) {
    if (payload.empty()) return fail(step, ErrorCode::frame_size_error, "padded HEADERS without its padding's length");
    padding = static_cast<unsigned char>(payload.front());
    payload.remove_prefix(1);
  }
  if (header.has(kFlagPriority)) {
    if (payload.size() < 5) return fail(step, ErrorCode::frame_size_error, "HEADERS too short for their priority");
    if ((read_u32(payload.data()) & kStreamIdMax) == header.stream) {
      return fail(step, ErrorCode::protocol_error, "a stream that depends on itself");
    }
    payload.remove_prefix(5);
  }
  if (padding > payload.size()) return fail(step, ErrorCode::protocol_error, "more padding than payload");
  payload.remove_suffix(padding);
  const bool end = header.has(kFlagEndStream);
  if (header.has(kFlagEndHeaders)) return on_block(header.stream, end, payload, step);
  if (payload.empty() && !flood(Abuse::empty_frames, step, "HEADERS without content")) return false;
  block_.append(payload);
  gathering_ = header.stream;
  gathered_end_ = end;
  continuations_ = 0;
  return true;
}

bool Session::on_continuation(const FrameHeader& header, std::string_view payload, Step& step) {
  if (gathering_ == 0) return fail(step, ErrorCode::protocol_error, "CONTINUATION without HEADERS");
  const std::size_t max = block_bytes_max();
  if (block_.size() + payload.size() > max || ++continuations_ > 8 + max / 1024) {
    return fail(step, ErrorCode::enhance_your_calm, "endless CONTINUATIONs", Abuse::continuation);
  }
  const bool last = header.has(kFlagEndHeaders);
  if (payload.empty() && !last && !flood(Abuse::empty_frames, step, "CONTINUATION without content")) return false;
  block_.append(payload);
  if (last) phase_ = Phase::block;
  return true;
}

bool Session::read_gathered(Step& step) {
  Arena arena(pool_);
  std::string_view block = block_.front();
  if (block.size() < block_.size()) {
    char* whole = arena.allocate(block_.size());
    block_.peek(whole, block_.size());
    block = {whole, block_.size()};
  }
  const bool goes_on = on_block(gathering_, gathered_end_, block, step);
  if (opening_ == Opening::asked) return goes_on;
  block_.clear();
  gathering_ = 0;
  if (phase_ == Phase::block) phase_ = Phase::frames;
  return goes_on;
}

bool Session::on_block(std::uint32_t id, bool end, std::string_view block, Step& step) {
  const Opening opening = std::exchange(opening_, Opening::none);
  WEIR_ASSERT(opening != Opening::asked);
  SessionStream* stream = table_.find(id);
  if (stream == nullptr) {
    if (opening != Opening::none) return discard(block, step);  // refused, or reset before it was read
    if (role_ == Role::server && !ours(id) && id > last_peer_id_) return on_new_stream(id, block, step);
    return on_stray_block(id, block, step);
  }
  if (stream->deaf_) {
    if (!discard(block, step)) return false;
    if (end) drop_remote_end(*stream);
    return true;
  }
  if (opening == Opening::attached) return on_request(*stream, end, block, step);
  if (transition(stream->state_, StreamEvent::recv_headers).verdict == Verdict::stream_closed) {
    return discard(block, step) && break_stream(*stream, ErrorCode::stream_closed, "HEADERS after END_STREAM", step);
  }
  return stream->head_received_ ? on_trailers(*stream, end, block, step) : on_response(*stream, end, block, step);
}

bool Session::on_new_stream(std::uint32_t id, std::string_view block, Step& step) {
  if (goaway_id_ != kStreamIdMax) {
    last_peer_id_ = id;  // above goaway_id_: ignored
    return discard(block, step);
  }
  if (table_.size() >= limits_.concurrent_streams) {
    last_peer_id_ = id;
    ++refused_streams_;
    put_reset(id, ErrorCode::refused_stream);
    note_ended(id, StreamState::reset_local);
    return discard(block, step) && flood(Abuse::rapid_reset, step, "streams past the limit");
  }
  opening_ = Opening::asked;
  begin_id_ = id;
  step.event = Event::stream_begins;
  return false;
}

// A block for a stream that is over, or never was.
bool Session::on_stray_block(std::uint32_t id, std::string_view block, Step& step) {
  const StreamState state = ended_state(id);
  switch (transition(state, StreamEvent::recv_headers).verdict) {
    case Verdict::ignore:
      return flood(Abuse::reset, step, "HEADERS on streams that are over") && discard(block, step);
    case Verdict::stream_closed:
      put_reset(id, ErrorCode::stream_closed);
      return flood(Abuse::rapid_reset, step, "HEADERS on streams that are over") && discard(block, step);
    case Verdict::connection_closed: {
      // A stream that we know to be over, or one that was passed over and is idle no more (RFC 9113 5.1.1).
      const auto knows = [id](std::uint32_t ended) { return ended != 0 && ended / 4 == id / 2; };
      const bool known = std::any_of(std::begin(ended_), std::end(ended_), knows);
      return fail(step, known ? ErrorCode::stream_closed : ErrorCode::protocol_error, "HEADERS on a closed stream");
    }
    default:
      return fail(step, ErrorCode::protocol_error, "HEADERS on a stream that the peer can't open");
  }
}

bool Session::discard(std::string_view block, Step& step) {
  Arena arena(pool_);
  const BlockResult result = discard_block(decoder_, block, arena);
  if (result.error != BlockError::compression) return true;
  return fail(step, ErrorCode::compression_error, result.detail);
}

bool Session::on_request(SessionStream& stream, bool end, std::string_view block, Step& step) {
  http::RequestHead& head = *stream.request_;
  BlockResult result = decode_request(decoder_, block, end, limits_.extended_connect, limits_.head, head);
  if (result.error == BlockError::compression) return fail(step, ErrorCode::compression_error, result.detail);
  step.stream = &stream;
  if (result.error != BlockError::none) {
    stream.deaf_ = true;
    stream.bad_request_ = result.error == BlockError::malformed;
    if (end) drop_remote_end(stream);
    if (!flood(Abuse::rapid_reset, step, "malformed requests")) return false;
    step.event = Event::malformed;
    step.malformed = kind_of(result.error);
    step.detail = result.detail;
    return false;
  }
  stream.head_received_ = true;
  if (head.body == http::BodyKind::length) stream.body_expected_ = head.content_length;
  std::optional<Priority> priority;
  if (early_priorities_ != nullptr) priority = early_priorities_->take(stream.id_);
  if (!priority) {
    if (const http::Field* field = head.fields.find("priority")) priority = parse_priority(field->value());
  }
  if (priority) {
    stream.urgency_ = priority->urgency;
    stream.incremental_ = priority->incremental;
  }
  step.event = Event::head;
  if (end) announce_end(stream);
  return false;
}

bool Session::on_response(SessionStream& stream, bool end, std::string_view block, Step& step) {
  http::ResponseHead& head = *stream.response_;
  if (stream.interim_heads_ > 0) head.clear();
  const BlockResult result = decode_response(decoder_, block, end, stream.answers_head_, limits_.head, head);
  if (result.error == BlockError::compression) return fail(step, ErrorCode::compression_error, result.detail);
  if (result.error != BlockError::none) {
    const MalformedKind kind = kind_of(result.error);
    break_stream(stream, ErrorCode::protocol_error, result.detail, step);
    step.malformed = kind;
    return false;
  }
  const bool interim = head.status < 200;
  if (interim && (end || ++stream.interim_heads_ > kInterimHeadsMax)) {
    return break_stream(stream, ErrorCode::protocol_error, end ? "an interim response that ends" : "too many 1xx",
                        step);
  }
  step.event = Event::head;
  step.stream = &stream;
  if (interim) return false;
  stream.head_received_ = true;
  // A length in an answer that opens a tunnel is to be ignored (RFC 9110 9.3.6).
  const bool tunnel = stream.asks_for_tunnel_ && head.status < 300;
  if (head.body == http::BodyKind::length && !tunnel) stream.body_expected_ = head.content_length;
  if (stream.answers_head_ || head.status == 204 || head.status == 304) stream.body_expected_ = 0;
  if (end) announce_end(stream);
  return false;
}

bool Session::on_trailers(SessionStream& stream, bool end, std::string_view block, Step& step) {
  if (!end) {
    return discard(block, step) && break_stream(stream, ErrorCode::protocol_error, "trailers without END_STREAM", step);
  }
  const BlockResult result = decode_trailers(decoder_, block, limits_.head, *stream.trailers_);
  if (result.error == BlockError::compression) return fail(step, ErrorCode::compression_error, result.detail);
  if (result.error != BlockError::none) {
    return break_stream(stream, ErrorCode::protocol_error, result.detail, step);
  }
  if (stream.body_expected_ != UINT64_MAX && stream.body_received_ != stream.body_expected_) {
    return break_stream(stream, ErrorCode::protocol_error, "Content-Length and DATA do not agree", step);
  }
  end_remote(stream);
  step.event = Event::end;
  step.stream = &stream;
  return false;
}

}  // namespace weir::http2
