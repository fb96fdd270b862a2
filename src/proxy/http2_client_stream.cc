#include "proxy/http2_client_stream.h"

#include <algorithm>

#include "proxy/http2_downstream.h"
#include "proxy/stream.h"

namespace weir::proxy {

using http::BodyKind;
using http2::ErrorCode;

Http2ClientStream::Http2ClientStream(Http2Downstream& connection)
    : http2::SessionStream(connection.context().loop.buffers()),
      connection_(connection),
      stream_(connection.context().streams.make(connection.context(), connection.listener_ref(), *this,
                                                connection.facts())),
      timer_(static_cast<TimerHandler&>(*this)),
      early_(connection.context().loop.buffers()),
      arena_(connection.context().loop.buffers()),
      trailers_(arena_),
      progress_(connection.context().loop.now()),
      begun_held_(connection.session().begins_held()) {
  if (begun_held_) ++connection_.listener().held.begun;
}

Http2ClientStream::~Http2ClientStream() {
  WEIR_ASSERT(over_ && detached() && stream_ == nullptr);
}

void Http2ClientStream::on_head() {
  http::RequestHead& head = stream_->request();
  if (head.upgrade_websocket) {
    // What an HTTP/1.1 client says by a GET with Upgrade (RFC 8441 5): the request ends here, its DATA is the tunnel's.
    wants_tunnel_ = true;
    head.body = BodyKind::none;
  }
  const bool has_body = head.body != BodyKind::none;
  stream_->on_request_head();
  if (stream_ == nullptr) return;
  if (wants_tunnel_) return stream_->on_request_end();
  awaits_100_ = head.expect_continue && has_body;
  if (has_body) watch_body();
}

void Http2ClientStream::on_body(std::string_view data) {
  if (wants_tunnel_ && stream_ != nullptr && (!in_tunnel_ || !early_.empty())) {
    // Nothing goes to the backend before its 101. The window bounds what comes.
    return early_.append(data);
  }
  held_ += data.size();
  if (stream_ != nullptr) {
    stop_awaiting_100();
    if (timer_.armed()) {
      const ListenerSettings& settings = *connection_.listener().settings;
      TimerWheel& timers = connection_.context().loop.timers();
      const TimePoint now = connection_.context().loop.now();
      const bool slow = pace_.too_slow(data.size(), settings.body_bytes_per_s_min, now);
      timers.arm(timer_, slow ? now : deadline_after(now, settings.body_timeout));
    }
    stream_->on_request_body(data);
  }
  give_back();
}

void Http2ClientStream::on_end() {
  if (wants_tunnel_ && (!in_tunnel_ || !early_.empty())) {
    end_waits_ = true;
    return;
  }
  if (stream_ == nullptr) return;
  awaits_100_ = false;
  connection_.context().loop.timers().disarm(timer_);
  stream_->on_request_end();
}

void Http2ClientStream::on_malformed(http2::MalformedKind kind) {
  if (stream_ == nullptr) {
    connection_.session().reset(*this, ErrorCode::protocol_error);
    connection_.mark_dirty();
    return over();
  }
  ReplyReason reason = ReplyReason::bad_request;
  if (kind == http2::MalformedKind::uri_too_long) reason = ReplyReason::uri_too_long;
  if (kind == http2::MalformedKind::headers_too_large) reason = ReplyReason::headers_too_large;
  // The session sends PROTOCOL_ERROR behind the answer to what was malformed (RFC 9113 8.1.1).
  stream_->on_request_error(reason);
}

void Http2ClientStream::on_writable() {
  if (stream_ != nullptr) stream_->on_response_writable();
}

void Http2ClientStream::on_gone() {
  if (stream_ != nullptr) {
    Stream* stream = std::exchange(stream_, nullptr);
    stream->on_client_gone();
  }
  connection_.session().reset(*this, ErrorCode::cancel);
  over();
}

void Http2ClientStream::settle() {
  if (stream_ != nullptr) {
    deliver_early();
    if (early_.empty()) ListNode<TailTag>::unlink();
    return;
  }
  if (detached()) over();
}

void Http2ClientStream::send_informational(http::ResponseHead& head) {
  if (detached()) return;
  connection_.session().send_head(*this, head, false);
  connection_.mark_dirty();
  if (head.status == 100) stop_awaiting_100();
}

// From now on it is the client's turn to send its body.
void Http2ClientStream::stop_awaiting_100() {
  if (std::exchange(awaits_100_, false)) watch_body();
}

void Http2ClientStream::send_head(http::ResponseHead& head) {
  if (detached()) return;
  // An extended CONNECT has no key to be proven (RFC 8441 5).
  if (head.status == 101) head.fields.remove("sec-websocket-accept");
  // Behind an empty body trailers may follow.
  bodiless_ = head.status != 101 && head.body == BodyKind::none;
  connection_.session().send_head(*this, head, bodiless_);
  connection_.mark_dirty();
}

void Http2ClientStream::send_body(std::string_view data) {
  if (detached() || bodiless_ || data.empty()) return;
  connection_.session().send_body(*this, data);
  progress_.given(*this, connection_.taken(), connection_.context().loop.now());
  connection_.mark_dirty();
}

void Http2ClientStream::send_end(const http::FieldList* trailers) {
  if (detached() || bodiless_) return;
  if (stream_ != nullptr && stream_->in_tunnel()) {
    connection_.session().send_end(*this, nullptr, true);
    return connection_.mark_dirty();
  }
  // They are the backend's connection's, and may have to wait for the body to go out.
  if (trailers != nullptr) {
    for (const http::Field& field : *trailers) {
      if (!field.removed) trailers_.add_copy(field.name(), field.value(), field.never_indexed);
    }
  }
  connection_.session().send_end(*this, trailers_.size() > 0 ? &trailers_ : nullptr);
  connection_.mark_dirty();
}

void Http2ClientStream::abort() {
  stream_ = nullptr;
  const ErrorCode code = in_tunnel_ ? ErrorCode::connect_error : ErrorCode::internal_error;
  connection_.session().reset(*this, cut_ ? ErrorCode::enhance_your_calm : code);
  connection_.mark_dirty();
  over();
}

// The Stream has ended; it destroys itself at the end of the turn.
void Http2ClientStream::finished() {
  stream_ = nullptr;
  ListNode<ParkedTag>::unlink();
  note_held(0);
  paused_ = false;
  give_back();
  if (detached()) return over();
  begin_tail();
}

bool Http2ClientStream::tight() const {
  const ListenerRuntime& listener = connection_.listener();
  return listener.held.tight(listener.settings->http2_held_bytes);
}

// Nothing is read ahead for a client that does not read its socket, nor, while much is held, for one whose windows are
// shut: what its windows will let through is read when they do.
bool Http2ClientStream::full() {
  if (pending() > kLowWatermark && (pending() > kHighWatermark || connection_.stuck())) return true;
  if (pending() == 0 || !tight() || connection_.session().send_room(*this) > 0) return false;
  connection_.session().tell_when_down_to(*this, 0);
  return true;
}

// Only a backend that can wait asks. (One of HTTP/2 that is tried after such a one counts as if it could.)
std::size_t Http2ClientStream::response_room() {
  connection_.session().note_can_wait(*this);
  const std::size_t room = connection_.room(*this);
  if (room == 0) {
    connection_.park(*this);
    return 0;
  }
  if (!tight()) return room;
  return std::min(room, std::max(connection_.session().send_room(*this), HeldResponses::kNarrowBytes));
}

void Http2ClientStream::note_held(std::size_t bytes) {
  if (bytes == upstream_held_) return;
  connection_.listener().held.upstream_bytes += bytes - upstream_held_;
  upstream_held_ = bytes;
  connection_.mark_dirty();
}

std::size_t Http2ClientStream::held_bytes() const {
  if (connection_.session().held(*this)) return pending() + upstream_held_ + HeldResponses::kStreamBytes;
  const std::size_t kept = connection_.overdrawn() ? kept_bytes() : 0;
  return kept > 0 ? kept + HeldResponses::kStreamBytes : 0;
}

std::size_t Http2ClientStream::kept_bytes() const {
  const std::size_t request = early_.size() + (stream_ != nullptr ? stream_->request_kept() : 0);
  return pending() + upstream_held_ + (request > HeldResponses::kNarrowBytes ? request : 0);
}

void Http2ClientStream::cut_held() {
  cut_ = true;
  if (stream_ != nullptr) return stream_->on_response_held_too_long();
  connection_.session().reset(*this, ErrorCode::enhance_your_calm);
  connection_.mark_dirty();
  over();
}

TimePoint Http2ClientStream::last_written() const {
  return progress_.last(*this, connection_.taken(), connection_.last_written());
}

void Http2ClientStream::resume_request() {
  paused_ = false;
  if (timer_.armed()) watch_body();
  give_back();
  if (!early_.empty()) connection_.mark_dirty();
}

void Http2ClientStream::start_tunnel() {
  in_tunnel_ = true;
  connection_.context().loop.timers().disarm(timer_);
  if (early_.empty() && !end_waits_) return;
  // Not from within this call: see settle().
  connection_.look_after(*this);
  connection_.mark_dirty();
}

Downstream& Http2ClientStream::connection() {
  return connection_;
}

Flushable& Http2ClientStream::flusher() {
  return connection_.flusher();
}

void Http2ClientStream::deliver_early() {
  while (stream_ != nullptr && !paused_ && !early_.empty()) {
    const std::string_view piece = early_.front();
    held_ += piece.size();
    stream_->on_request_body(piece);
    early_.consume(piece.size());
    give_back();
  }
  if (stream_ == nullptr || !early_.empty() || !end_waits_) return;
  end_waits_ = false;
  stream_->on_request_end();
}

// Lets the client send as much again as has been passed on.
void Http2ClientStream::give_back() {
  if (paused_ || held_ == 0) return;
  connection_.session().consumed(*this, std::exchange(held_, 0), connection_.context().loop.now());
  connection_.mark_dirty();
}

void Http2ClientStream::watch_body() {
  if (awaits_100_) return;
  EventLoop& loop = connection_.context().loop;
  pace_.begin(loop.now());
  loop.timers().arm(timer_, deadline_after(loop.now(), connection_.listener().settings->body_timeout));
}

// All of the answer is there, and waits for the client's windows. Nobody may hold it back for ever.
void Http2ClientStream::begin_tail() {
  EventLoop& loop = connection_.context().loop;
  early_.clear();
  connection_.look_after(*this);
  loop.timers().arm(timer_, deadline_after(loop.now(), connection_.listener().settings->idle_timeout));
}

void Http2ClientStream::on_timer(Timer&) {
  if (over_) return;
  if (stream_ != nullptr) {
    // Who is held back is not to blame.
    if (paused_) return watch_body();
    return stream_->on_request_error(ReplyReason::request_timeout);
  }
  const Duration patience = connection_.listener().settings->idle_timeout;
  if (const TimePoint until = deadline_after(last_written(), patience); until > connection_.context().loop.now()) {
    return connection_.context().loop.timers().arm(timer_, until);
  }
  connection_.count_abuse("held_tail");
  connection_.session().reset(*this, ErrorCode::cancel);
  connection_.mark_dirty();
  over();
}

void Http2ClientStream::over() {
  if (over_) return;
  over_ = true;
  WEIR_ASSERT(stream_ == nullptr);
  note_held(0);
  if (begun_held_) --connection_.listener().held.begun;
  EventLoop& loop = connection_.context().loop;
  loop.timers().disarm(timer_);
  ListNode<OwnedTag>::unlink();
  ListNode<TailTag>::unlink();
  ListNode<ParkedTag>::unlink();
  loop.retire(*this);
  connection_.stream_over();
}

void Http2ClientStream::destroy() {
  connection_.context().http2_streams.destroy(this);
}

}  // namespace weir::proxy
