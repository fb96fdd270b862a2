#include "http/http2/session.h"

#include <algorithm>
#include <utility>

namespace weir::http2 {

void SessionStream::begin(std::uint32_t id) {
  WEIR_ASSERT(!attached_);
  pending_.clear();
  request_ = nullptr;
  response_ = nullptr;
  trailers_ = nullptr;
  trailers_to_send_ = nullptr;
  body_expected_ = UINT64_MAX;
  body_received_ = data_end_ = 0;
  consumed_ = measured_ = 0;
  id_ = id;
  state_ = StreamState::open;
  queued_event_ = Event::need_more;
  urgency_ = 3;
  interim_heads_ = 0;
  incremental_ = true;
  attached_ = true;
  head_received_ = head_sent_ = answers_head_ = asks_for_tunnel_ = deaf_ = bad_request_ = false;
  end_queued_ = keep_reading_ = tell_writable_ = can_wait_ = false;
}

Session::Session(Role role, const SessionLimits& limits, BufferPool& pool, Buffer& output, TimePoint now)
    : limits_(limits),
      pool_(pool),
      output_(output),
      block_(pool),
      now_(now),
      role_(role),
      phase_(role == Role::server ? Phase::preface : Phase::frames) {
  if (role == Role::client) {
    output_.append(kPreface);
    appended_ += kPreface.size();
    decoder_.take_memory_at_once();
    encoder_.take_memory_at_once();
  }
  put_settings();
  probe_sent_ = now;
}

Session::~Session() {
  streams_.for_each([this](SessionStream& stream) { detach(stream, StreamState::reset_local); });
}

Step Session::next(std::string_view input, TimePoint now) {
  now_ = now;
  Step step;
  if (phase_ == Phase::broken) {
    step.consumed = input.size();
    return step;
  }
  if (waiting_event(step)) return step;
  std::size_t at = 0;
  bool goes_on = true;
  while (goes_on) {
    switch (phase_) {
      case Phase::preface:
        goes_on = read_preface(input, at, step);
        break;
      case Phase::frames:
        goes_on = read_frame(input, at, step);
        break;
      case Phase::data:
        goes_on = read_data(input, at, step);
        break;
      case Phase::skip:
        goes_on = skip(input, at);
        break;
      case Phase::block:
        goes_on = read_gathered(step);
        break;
      case Phase::broken:
        goes_on = false;
        break;
    }
  }
  step.consumed = phase_ == Phase::broken ? input.size() : at;
  return step;
}

bool Session::has_events() const {
  if (phase_ == Phase::broken) return false;
  if (!events_.empty() || phase_ == Phase::block) return true;
  return phase_ == Phase::data && data_left_ == 0 && padding_left_ == 0 && data_end_ && data_stream_ != nullptr;
}

// The first of what pump() and the peer's GOAWAY have left to be told.
bool Session::waiting_event(Step& step) {
  SessionStream* stream = events_.pop_front();
  if (stream == nullptr) return false;
  step.event = std::exchange(stream->queued_event_, Event::need_more);
  step.stream = stream;
  if (step.event == Event::unprocessed) step.error = ErrorCode::refused_stream;
  return true;
}

// What is newer replaces what was not told yet.
void Session::tell(SessionStream& stream, Event event) {
  stream.queued_event_ = event;
  if (!stream.ListNode<EventTag>::linked()) events_.push_back(stream);
}

// The connection is over.
bool Session::fail(Step& step, ErrorCode code, std::string_view detail, Abuse abuse) {
  put_goaway(role_ == Role::server ? std::min(last_peer_id_, goaway_id_) : 0, code, detail);
  phase_ = Phase::broken;
  data_stream_ = nullptr;
  block_.clear();
  step = {};
  step.event = Event::error;
  step.error = code;
  step.abuse = abuse;
  step.detail = detail;
  return false;
}

// Counts it. False, with the connection's end in `step`, if there are too many.
bool Session::flood(Abuse kind, Step& step, std::string_view detail) {
  if (floods_.count(kind, now_, limits_)) return true;
  return fail(step, ErrorCode::enhance_your_calm, detail, kind);
}

// An error of one stream (RFC 9113 5.4.2).
bool Session::break_stream(SessionStream& stream, ErrorCode code, std::string_view detail, Step& step) {
  put_reset(stream.id_, code);
  detach(stream, StreamState::reset_local);
  if (role_ == Role::server && !flood(Abuse::rapid_reset, step, "streams that had to be reset")) return false;
  step.event = role_ == Role::server ? Event::reset : Event::malformed;
  step.malformed = role_ == Role::server ? MalformedKind::none : MalformedKind::bad_request;
  step.stream = &stream;
  step.error = code;
  step.detail = detail;
  return false;
}

void Session::insert(SessionStream& stream, std::uint32_t id) {
  stream.begin(id);
  stream.send_window_ = peer_initial_window_;
  stream.receive_window_ = limits_.stream_window_bytes;
  stream.receive_window_size_ = limits_.stream_window_bytes;
  table_.insert(stream);
  streams_.push_back(stream);
}

void Session::detach(SessionStream& stream, StreamState how) {
  if (!stream.attached_) return;
  table_.erase(stream.id_);
  stream.ListNode<StreamTag>::unlink();
  leave_ready(stream);
  stream.ListNode<EventTag>::unlink();
  stream.attached_ = false;
  stream.state_ = how;
  stream.tell_writable_ = false;
  const std::size_t waited = stream.pending_.size();
  stream.pending_.clear();
  count_pending(stream, waited);
  grown_bytes_ -= stream.receive_window_size_ - limits_.stream_window_bytes;
  if (data_stream_ == &stream) data_stream_ = nullptr;
  if (last_id_ == stream.id_) last_id_ = 0;
  note_ended(stream.id_, how);
}

// Keeps how a stream ended for a while: what is on its way for it is judged by that.
void Session::note_ended(std::uint32_t id, StreamState how) {
  const std::uint32_t kind = how == StreamState::reset_local ? 1 : how == StreamState::reset_remote ? 2 : 3;
  std::uint32_t& place = ended_[ended_at_];
  if (place % 4 == 1) forgotten_id_ = std::max(forgotten_id_, place / 4 * 2 + 1);
  place = id / 2 * 4 + kind;
  ended_at_ = static_cast<std::uint8_t>((ended_at_ + 1) % kEnded);
}

// Of a stream that is not attached.
StreamState Session::ended_state(std::uint32_t id) const {
  if (is_idle(id)) return StreamState::idle;
  if (id > goaway_id_) return StreamState::reset_local;
  for (const std::uint32_t ended : ended_) {
    if (ended / 4 != id / 2 || ended == 0) continue;
    const std::uint32_t kind = ended % 4;
    return kind == 1 ? StreamState::reset_local : kind == 2 ? StreamState::reset_remote : StreamState::closed;
  }
  return id <= forgotten_id_ ? StreamState::reset_local : StreamState::closed;
}

// Neither side has opened it: those of the other side we refuse to know (there is no push).
bool Session::is_idle(std::uint32_t id) const {
  if (ours(id)) return role_ == Role::server || id >= next_id_;
  return role_ == Role::client || id > last_peer_id_;
}

void Session::attach(SessionStream& stream, http::RequestHead& head, http::FieldList& trailers) {
  WEIR_ASSERT(opening_ == Opening::asked);
  opening_ = Opening::attached;
  last_peer_id_ = begin_id_;
  insert(stream, begin_id_);
  stream.request_ = &head;
  stream.trailers_ = &trailers;
}

void Session::refuse(ErrorCode code) {
  WEIR_ASSERT(opening_ == Opening::asked);
  opening_ = Opening::refused;
  last_peer_id_ = begin_id_;
  put_reset(begin_id_, code);
  note_ended(begin_id_, StreamState::reset_local);
}

bool Session::can_open() const {
  return role_ == Role::client && !broken() && !peer_going_away_ && !sent_goaway_ && ids_left() &&
         table_.size() < peer_concurrent_;
}

void Session::reset(SessionStream& stream, ErrorCode code) {
  if (!stream.attached_) return;
  if (stream.state_ == StreamState::closed) return detach(stream, StreamState::closed);
  // What a client gives up is its own affair, and no answer to anything.
  if (!broken()) role_ == Role::client ? put_cancel(stream.id_, code) : put_reset(stream.id_, code);
  detach(stream, StreamState::reset_local);
}

void Session::rest() {
  if (broken() || table_.size() > 0) return;
  table_.release();
  encoder_.rest();
  early_priorities_.reset();
}

void Session::go_away(ErrorCode code, bool final) {
  if (broken()) return;
  sent_goaway_ = true;
  if (role_ == Role::client) return put_goaway(0, code, {});
  if (final) goaway_id_ = std::min(goaway_id_, last_peer_id_);
  put_goaway(goaway_id_, code, {});
}

}  // namespace weir::http2
