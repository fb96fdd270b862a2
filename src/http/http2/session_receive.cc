// Session: the bytes that come in, cut into frames, and DATA.
#include <algorithm>
#include <utility>

#include "http/http2/session.h"

namespace weir::http2 {

bool Session::read_preface(std::string_view input, std::size_t& at, Step& step) {
  const std::size_t known = std::min(input.size(), kPreface.size());
  if (input.substr(0, known) != kPreface.substr(0, known)) {
    return fail(step, ErrorCode::protocol_error, "not the preface of HTTP/2");
  }
  if (known < kPreface.size()) return false;
  at = kPreface.size();
  phase_ = Phase::frames;
  return true;
}

bool Session::skip(std::string_view input, std::size_t& at) {
  const std::size_t size = std::min<std::size_t>(skip_left_, input.size() - at);
  at += size;
  skip_left_ -= static_cast<std::uint32_t>(size);
  if (skip_left_ > 0) return false;
  phase_ = Phase::frames;
  return true;
}

bool Session::read_frame(std::string_view input, std::size_t& at, Step& step) {
  // Something else than HTTP/2 shows with its first byte: the SETTINGS that must come first are not that long.
  if (!settings_received_ && at < input.size() && input[at] != 0) {
    return fail(step, ErrorCode::protocol_error, "the first frame is not SETTINGS");
  }
  if (input.size() - at < kFrameHeaderBytes) return false;
  const FrameHeader header = read_frame_header(input.data() + at);
  if (!check_header(header, step)) return false;
  if (header.type == FrameType::data) return begin_data(header, input, at, step);
  if (header.type > FrameType::continuation && header.type != FrameType::priority_update) {
    if (!flood(Abuse::unknown_frame, step, "frames of unknown types")) return false;
    at += kFrameHeaderBytes;
    skip_left_ = header.length;
    phase_ = Phase::skip;
    return true;
  }
  if (input.size() - at - kFrameHeaderBytes < header.length) return false;
  const std::string_view payload = input.substr(at + kFrameHeaderBytes, header.length);
  if (on_frame(header, payload, step)) {
    at += kFrameHeaderBytes + header.length;
    return true;
  }
  // The frame of a new stream is read again once the owner has said where the request goes.
  if (opening_ != Opening::asked) at += kFrameHeaderBytes + header.length;
  return false;
}

// What a frame's header alone says to be wrong.
bool Session::check_header(const FrameHeader& header, Step& step) {
  if (!settings_received_ && (header.type != FrameType::settings || header.has(kFlagAck))) {
    return fail(step, ErrorCode::protocol_error, "the first frame is not SETTINGS");
  }
  if (header.length > limits_.frame_bytes_max) {
    return fail(step, ErrorCode::frame_size_error, "a frame above SETTINGS_MAX_FRAME_SIZE");
  }
  if (gathering_ != 0 && (header.type != FrameType::continuation || header.stream != gathering_)) {
    return fail(step, ErrorCode::protocol_error, "a frame within a field block");
  }
  if (control_unread_ > limits_.control_bytes_max && written() < control_mark_) {
    return fail(step, ErrorCode::enhance_your_calm, "answers that are not read", Abuse::unread_output);
  }
  std::uint32_t length = header.length;
  switch (header.type) {
    case FrameType::priority:
      if (length != 5 && table_.find(header.stream) != nullptr) return true;  // an error of the stream
      length = length == 5 ? 0 : 1;
      break;
    case FrameType::rst_stream:
    case FrameType::window_update:
      length = length == 4 ? 0 : 1;
      break;
    case FrameType::settings:
      length = header.has(kFlagAck) ? length : length % kSettingBytes;
      break;
    case FrameType::ping:
      length = length == 8 ? 0 : 1;
      break;
    case FrameType::goaway:
      length = length >= 8 ? 0 : 1;
      break;
    case FrameType::priority_update:
      length = length >= 4 ? 0 : 1;
      break;
    case FrameType::data:
    case FrameType::headers:
    case FrameType::push_promise:
    case FrameType::continuation:
      length = 0;
      break;
    default:
      length = 0;
      break;
  }
  if (length == 0) return true;
  return fail(step, ErrorCode::frame_size_error, "a frame of a wrong size");
}

bool Session::on_frame(const FrameHeader& header, std::string_view payload, Step& step) {
  const bool of_connection = header.type == FrameType::settings || header.type == FrameType::ping ||
                             header.type == FrameType::goaway || header.type == FrameType::priority_update;
  if (header.type != FrameType::window_update && of_connection != (header.stream == 0)) {
    return fail(step, ErrorCode::protocol_error, "a frame on a stream where it can't be");
  }
  switch (header.type) {
    case FrameType::headers:
      return on_headers(header, payload, step);
    case FrameType::continuation:
      return on_continuation(header, payload, step);
    case FrameType::priority:
      return on_priority(header, payload, step);
    case FrameType::rst_stream:
      return on_reset(header, payload, step);
    case FrameType::settings:
      return on_settings(header, payload, step);
    case FrameType::push_promise:
      return fail(step, ErrorCode::protocol_error, "PUSH_PROMISE");
    case FrameType::ping:
      return on_ping(header, payload, step);
    case FrameType::goaway:
      return on_goaway(payload, step);
    case FrameType::window_update:
      return on_window_update(header, payload, step);
    case FrameType::priority_update:
      return on_priority_update(payload, step);
    case FrameType::data:
      break;
  }
  return true;
}

bool Session::begin_data(const FrameHeader& header, std::string_view input, std::size_t& at, Step& step) {
  if (header.stream == 0) return fail(step, ErrorCode::protocol_error, "DATA on stream 0");
  std::uint32_t padding = 0;
  std::size_t size = kFrameHeaderBytes;
  if (header.has(kFlagPadded)) {
    if (header.length == 0) return fail(step, ErrorCode::frame_size_error, "padded DATA without its padding's length");
    if (input.size() - at == size) return false;
    padding = static_cast<unsigned char>(input[at + size++]);
    if (padding >= header.length) return fail(step, ErrorCode::protocol_error, "more padding than payload");
  }
  if (header.length > receive_window_) {
    return fail(step, ErrorCode::flow_control_error, "DATA beyond the connection's window");
  }
  const std::uint32_t body = header.length - padding - (header.has(kFlagPadded) ? 1 : 0);
  if (body == 0 && !header.has(kFlagEndStream) && !flood(Abuse::empty_frames, step, "DATA without content")) {
    return false;
  }
  received_bytes(header.length);
  at += size;
  data_left_ = body;
  padding_left_ = padding;
  data_end_ = header.has(kFlagEndStream);
  data_stream_ = nullptr;
  phase_ = Phase::data;

  SessionStream* stream = table_.find(header.stream);
  const StreamState state = stream != nullptr ? stream->state_ : ended_state(header.stream);
  switch (transition(state, StreamEvent::recv_data).verdict) {
    case Verdict::ok:
      return accept_data(*stream, header, body, step);
    case Verdict::stream_closed:
      if (stream != nullptr) return break_stream(*stream, ErrorCode::stream_closed, "DATA after END_STREAM", step);
      put_reset(header.stream, ErrorCode::stream_closed);
      return flood(Abuse::rapid_reset, step, "DATA on reset streams");
    case Verdict::connection_closed:
      return fail(step, ErrorCode::stream_closed, "DATA on a closed stream");
    case Verdict::protocol_error:
      return fail(step, ErrorCode::protocol_error, "DATA on an idle stream");
    default:
      return true;
  }
}

bool Session::accept_data(SessionStream& stream, const FrameHeader& header, std::uint32_t body, Step& step) {
  if (!stream.head_received_ && !stream.deaf_) {
    return break_stream(stream, ErrorCode::protocol_error, "DATA before the head", step);
  }
  if (header.length > stream.receive_window_) {
    return break_stream(stream, ErrorCode::flow_control_error, "DATA beyond the stream's window", step);
  }
  if (stream.body_received_ == 0) stream.window_began_ = now_;
  stream.receive_window_ -= header.length;
  stream.consumed_ += header.length - body;
  data_stream_ = &stream;
  if (stream.deaf_) return true;
  stream.body_received_ += body;
  const bool ends = header.has(kFlagEndStream);
  if (stream.body_received_ > stream.body_expected_ ||
      (ends && stream.body_expected_ != UINT64_MAX && stream.body_received_ != stream.body_expected_)) {
    return break_stream(stream, ErrorCode::protocol_error, "Content-Length and DATA do not agree", step);
  }
  if (body == 0 && !ends) restore_window(stream);  // of padding nobody says that it was consumed
  return true;
}

bool Session::read_data(std::string_view input, std::size_t& at, Step& step) {
  const std::size_t known = input.size() - at;
  if (data_left_ > 0) {
    const std::size_t size = std::min<std::size_t>(data_left_, known);
    if (size == 0) return false;
    const std::string_view piece = input.substr(at, size);
    at += size;
    data_left_ -= static_cast<std::uint32_t>(size);
    if (data_stream_ == nullptr || data_stream_->deaf_) return true;
    step.event = Event::body;
    step.stream = data_stream_;
    step.body = piece;
    if (data_left_ == 0 && padding_left_ == 0 && !data_end_) phase_ = Phase::frames;
    return false;
  }
  const std::size_t padding = std::min<std::size_t>(padding_left_, known);
  at += padding;
  padding_left_ -= static_cast<std::uint32_t>(padding);
  if (padding_left_ > 0) return false;
  phase_ = Phase::frames;
  SessionStream* stream = std::exchange(data_stream_, nullptr);
  if (stream == nullptr || !data_end_) return true;
  if (stream->deaf_) {
    drop_remote_end(*stream);
    return true;
  }
  end_remote(*stream);
  step.event = Event::end;
  step.stream = stream;
  return false;
}

// The peer's END_STREAM. A stream that knows of it stays as it is.
void Session::end_remote(SessionStream& stream) {
  stream.state_ = transition(stream.state_, StreamEvent::recv_end).next;
  if (stream.state_ == StreamState::closed) detach(stream, StreamState::closed);
}

// The same for a stream of which nothing is told.
void Session::drop_remote_end(SessionStream& stream) {
  end_remote(stream);
  if (!stream.attached_) tell(stream, Event::closed);
}

// The head's frame had END_STREAM: the next call tells. Who answers before that answers a complete message.
void Session::announce_end(SessionStream& stream) {
  stream.state_ = transition(stream.state_, StreamEvent::recv_end).next;
  data_stream_ = &stream;
  data_left_ = padding_left_ = 0;
  data_end_ = true;
  phase_ = Phase::data;
}

}  // namespace weir::http2
