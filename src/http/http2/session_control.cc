// Session: SETTINGS, PING, GOAWAY, RST_STREAM, priorities.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "http/http2/session.h"

namespace weir::http2 {
namespace {

// What our own PINGs begin with.
constexpr std::string_view kKeepAlivePing = "weir:ka ";
constexpr std::string_view kProbePing = "weir:rtt";
// A SETTINGS frame that waited for longer than this tells how busy the peer is, not how far.
constexpr Duration kRoundTripMax = 1s;

}  // namespace

void Session::put_settings() {
  std::array<char, 8 * kSettingBytes> payload;
  std::size_t size = 0;
  const auto say = [&](Setting setting, std::uint32_t value) {
    write_u16(&payload[size], static_cast<std::uint16_t>(setting));
    write_u32(&payload[size + 2], value);
    size += kSettingBytes;
  };
  const http::HeadLimits& head = limits_.head;
  if (limits_.table_bytes != kDefaultTableBytes) say(Setting::header_table_size, limits_.table_bytes);
  if (role_ == Role::client) say(Setting::enable_push, 0);
  if (role_ == Role::server) say(Setting::max_concurrent_streams, limits_.concurrent_streams);
  if (limits_.stream_window_bytes != kInitialWindow) say(Setting::initial_window_size, limits_.stream_window_bytes);
  if (limits_.frame_bytes_max != kFrameBytesMin) say(Setting::max_frame_size, limits_.frame_bytes_max);
  // RFC 9113 6.5.2 counts 32 bytes a field, and the pseudo fields with them.
  constexpr std::uint64_t kManyFields = 1'000'000;
  if (head.header_bytes <= kWindowMax && target_bytes_max() <= kWindowMax) {
    const std::uint64_t bytes = head.header_bytes + target_bytes_max() + 32 * std::min(head.headers + 8, kManyFields);
    say(Setting::max_header_list_size, static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, UINT32_MAX)));
  }
  if (role_ == Role::server && limits_.extended_connect) say(Setting::enable_connect_protocol, 1);
  if (role_ == Role::server) say(Setting::no_rfc7540_priorities, 1);
  std::memcpy(put_frame(FrameType::settings, 0, 0, size), payload.data(), size);
  put_window_update(0, static_cast<std::uint32_t>(kConnectionWindow - kInitialWindow));
}

bool Session::on_settings(const FrameHeader& header, std::string_view payload, Step& step) {
  if (!flood(Abuse::settings, step, "too many SETTINGS")) return false;
  if (header.has(kFlagAck)) {
    if (settings_acknowledged_) return true;
    settings_acknowledged_ = true;
    decoder_.set_table_bytes_max(limits_.table_bytes);
    probing_ = false;
    if (now_ - probe_sent_ <= kRoundTripMax) round_trip_ = std::max<Duration>(now_ - probe_sent_, 1ns);
    return true;
  }
  if (!settings_received_) peer_concurrent_ = kConcurrentUnsaid;
  while (!payload.empty()) {
    const auto setting = static_cast<Setting>(read_u16(payload.data()));
    if (!apply_setting(setting, read_u32(payload.data() + 2), step)) return false;
    payload.remove_prefix(kSettingBytes);
  }
  settings_received_ = true;
  put_frame(FrameType::settings, kFlagAck, 0, 0);
  note_control(kFrameHeaderBytes);
  step.event = Event::settings;
  return false;
}

bool Session::apply_setting(Setting setting, std::uint32_t value, Step& step) {
  const auto refuse_value = [&] { return fail(step, ErrorCode::protocol_error, "a setting that can't be"); };
  switch (setting) {
    case Setting::header_table_size:
      encoder_.set_table_bytes_max(value);
      break;
    case Setting::enable_push:
      if (value > (role_ == Role::server ? 1 : 0)) return refuse_value();
      break;
    case Setting::max_concurrent_streams:
      peer_concurrent_ = value;
      break;
    case Setting::initial_window_size:
      return apply_initial_window(value, step);
    case Setting::max_frame_size:
      if (value < kFrameBytesMin || value > kFrameBytesMax) return refuse_value();
      peer_frame_bytes_ = value;
      break;
    case Setting::enable_connect_protocol:
      // What was offered can't be taken back (RFC 8441 3).
      if (value > 1 || (value == 0 && peer_extended_connect_)) return refuse_value();
      peer_extended_connect_ = role_ == Role::client && value == 1;
      break;
    case Setting::no_rfc7540_priorities:
      if (value > 1) return refuse_value();
      break;
    case Setting::max_header_list_size:
      break;  // advice (RFC 9113 6.5.2); what the peer can't take it answers for itself
  }
  return true;
}

bool Session::apply_initial_window(std::uint32_t value, Step& step) {
  if (value > kWindowMax) return fail(step, ErrorCode::flow_control_error, "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1");
  const std::int64_t change = value - peer_initial_window_;
  peer_initial_window_ = value;
  bool fits = true;
  streams_.for_each([&](SessionStream& stream) {
    stream.send_window_ += change;
    fits = fits && stream.send_window_ <= kWindowMax;
    if (stream.pending() > 0 && stream.send_window_ > 0) make_ready(stream);
  });
  return fits || fail(step, ErrorCode::flow_control_error, "SETTINGS_INITIAL_WINDOW_SIZE overflows a window");
}

void Session::ping() {
  if (broken()) return;
  std::memcpy(put_frame(FrameType::ping, 0, 0, 8), kKeepAlivePing.data(), 8);
}

// At most one at a time, and one a second.
void Session::probe_round_trip() {
  if (probing_ || (round_trip_ != Duration{} && now_ - probe_sent_ < 1s)) return;
  probing_ = true;
  probe_sent_ = now_;
  std::memcpy(put_frame(FrameType::ping, 0, 0, 8), kProbePing.data(), 8);
}

bool Session::on_ping(const FrameHeader& header, std::string_view payload, Step& step) {
  if (header.has(kFlagAck) && payload == kProbePing && probing_ && settings_acknowledged_) {
    probing_ = false;
    round_trip_ = std::max<Duration>(now_ - probe_sent_, 1ns);
    return true;
  }
  if (!flood(Abuse::ping, step, "too many PINGs")) return false;
  if (header.has(kFlagAck)) {
    if (payload != kKeepAlivePing) return true;
    step.event = Event::ping_ack;
    return false;
  }
  std::memcpy(put_frame(FrameType::ping, kFlagAck, 0, 8), payload.data(), 8);
  note_control(kFrameHeaderBytes + 8);
  return true;
}

bool Session::on_goaway(std::string_view payload, Step& step) {
  if (!flood(Abuse::settings, step, "too many GOAWAYs")) return false;
  const std::uint32_t last = read_u32(payload.data()) & kStreamIdMax;
  peer_going_away_ = true;
  step.event = Event::going_away;
  step.error = static_cast<ErrorCode>(read_u32(payload.data() + 4));
  if (role_ == Role::server) return false;
  streams_.for_each([&](SessionStream& stream) {
    if (stream.id_ <= last) return;
    detach(stream, StreamState::reset_remote);
    tell(stream, Event::unprocessed);
  });
  return false;
}

bool Session::on_reset(const FrameHeader& header, std::string_view payload, Step& step) {
  SessionStream* stream = table_.find(header.stream);
  const StreamState state = stream != nullptr ? stream->state_ : ended_state(header.stream);
  switch (transition(state, StreamEvent::recv_reset).verdict) {
    case Verdict::ok:
      break;
    case Verdict::protocol_error:
      return fail(step, ErrorCode::protocol_error, "RST_STREAM on an idle stream");
    default:
      return flood(Abuse::reset, step, "RST_STREAM on streams that are over");
  }
  const bool answered = stream->head_sent_;
  step.error = static_cast<ErrorCode>(read_u32(payload.data()));
  const bool untouched = role_ == Role::client && step.error == ErrorCode::refused_stream && !stream->head_received_;
  detach(*stream, StreamState::reset_remote);
  if (role_ == Role::server && !answered && !flood(Abuse::rapid_reset, step, "streams reset unanswered")) return false;
  step.event = untouched ? Event::unprocessed : Event::reset;
  step.stream = stream;
  return false;
}

// The tree of RFC 7540 is not built; its frames are only checked.
bool Session::on_priority(const FrameHeader& header, std::string_view payload, Step& step) {
  if (!flood(Abuse::priority, step, "too many PRIORITYs")) return false;
  if (payload.size() != 5) {
    return break_stream(*table_.find(header.stream), ErrorCode::frame_size_error, "PRIORITY of a wrong size", step);
  }
  if ((read_u32(payload.data()) & kStreamIdMax) != header.stream) return true;
  return fail(step, ErrorCode::protocol_error, "a stream that depends on itself");
}

// RFC 9218 7.1.
bool Session::on_priority_update(std::string_view payload, Step& step) {
  if (!flood(Abuse::priority, step, "too many PRIORITY_UPDATEs")) return false;
  const std::uint32_t id = read_u32(payload.data()) & kStreamIdMax;
  if (role_ == Role::client || ours(id) || id == 0) {
    return fail(step, ErrorCode::protocol_error, "PRIORITY_UPDATE that can't be");
  }
  const Priority priority = parse_priority(payload.substr(4));
  if (id > last_peer_id_) {
    if (early_priorities_ == nullptr) early_priorities_ = std::make_unique<EarlyPriorities>();
    early_priorities_->note(id, priority);
    return true;
  }
  SessionStream* stream = table_.find(id);
  if (stream == nullptr) return true;
  const bool ready = stream->ListNode<SendTag>::linked();
  leave_ready(*stream);
  const bool moved = std::exchange(stream->urgency_, priority.urgency) != priority.urgency;
  stream->incremental_ = priority.incremental;
  if (ready) make_ready(*stream);
  if (!moved) return true;
  step.event = Event::priority;
  step.stream = stream;
  return false;
}

}  // namespace weir::http2
