#include "upstream/pool/http2_stream.h"

#include "http/websocket.h"
#include "upstream/pool/http2_connection.h"
#include "upstream/pool/pool.h"

namespace weir {

using http2::ErrorCode;

Http2UpstreamStream::Http2UpstreamStream(Http2Connection& connection, UpstreamHandler& handler, bool reused)
    : SessionStream(connection.io_.loop().buffers()),
      connection_(connection),
      context_(connection.context_),
      handler_(&handler),
      arena_(connection.io_.loop().buffers()),
      head_(arena_),
      trailers_(arena_),
      held_(connection.io_.loop().buffers()),
      progress_(connection.now()),
      lent_at_(connection.now()),
      reused_(reused) {}

Flushable& Http2UpstreamStream::flusher() {
  return connection_;
}

void Http2UpstreamStream::send_head(const http::RequestHead& head) {
  if (handler_ == nullptr) return;
  wants_tunnel_ = head.upgrade_websocket;
  if (wants_tunnel_) {
    const http::Field* key = head.fields.find(http::FieldId::sec_websocket_key);
    if (key != nullptr) key_ = key->value();
  }
  // Who borrowed it did not begin in the same turn, and the backend has closed its door meanwhile.
  if (!connection_.session_.can_open()) return resume_response();
  opened_ = true;
  written_from_ = connection_.sent_ + connection_.io_.unsent();
  const bool end = head.body == http::BodyKind::none && !wants_tunnel_;
  connection_.session_.open(*this, head, connection_.scheme_, end, head_, trailers_);
  if (!connection_.session_.ids_left()) connection_.finish_up();
  connection_.io_.loop().mark_dirty(connection_);
}

void Http2UpstreamStream::send_body(std::string_view data) {
  if (!opened_ || detached() || data.empty()) return;
  connection_.session_.send_body(*this, data);
  progress_.given(*this, connection_.taken(), connection_.now());
  if (pending() > kHighWatermark) above_high_ = true;
  connection_.io_.loop().mark_dirty(connection_);
}

void Http2UpstreamStream::send_end(const http::FieldList* trailers) {
  if (!opened_ || detached() || local_done()) return;
  if (wants_tunnel_ && !tunnel_) return;  // the request is complete, but what the client says in the tunnel follows
  connection_.session_.send_end(*this, trailers);
  connection_.io_.loop().mark_dirty(connection_);
  if (tunnel_ && pending() > 0 && !ListNode<ClosingTag>::linked()) connection_.closing_.push_back(*this);
}

TimePoint Http2UpstreamStream::last_written() const {
  return progress_.last(*this, connection_.taken(), connection_.io_.last_written());
}

void Http2UpstreamStream::resume_response() {
  paused_ = false;
  if (handler_ == nullptr) return;
  if (!ListNode<ResumedTag>::linked()) connection_.resumed_.push_back(*this);
  connection_.io_.loop().mark_ready(connection_);
}

void Http2UpstreamStream::cancel() {
  if (handler_ == nullptr) return;
  handler_ = nullptr;
  connection_.session_.reset(*this, ErrorCode::cancel);
  connection_.io_.loop().mark_dirty(connection_);
  if (opened_) connection_.note_cancelled(lent_at_);
  connection_.release(*this);
}

void Http2UpstreamStream::on_head() {
  answered_ = true;
  if (head_.status < 200 && head_.status != 101) {
    handler_->on_informational(head_);
    return forget_head();
  }
  if (wants_tunnel_ && head_.status < 300) accept_tunnel();
  handler_->on_response_head(head_);
  forget_head();
}

// The Stream, and an HTTP/1.1 client behind it, know a tunnel's beginning as 101 (RFC 8441 5.1).
void Http2UpstreamStream::accept_tunnel() {
  head_.status = 101;
  head_.reason = {};
  head_.body = http::BodyKind::none;
  head_.fields.remove(http::FieldId::content_length);
  head_.fields.remove("sec-websocket-accept");
  if (key_.empty()) return;
  const auto accept = http::websocket_accept(key_);
  head_.fields.add("sec-websocket-accept", arena_.copy({accept.data(), accept.size()}), http::FieldId::other);
}

// A long body holds no memory for a head that has been dealt with.
void Http2UpstreamStream::forget_head() {
  if (handler_ == nullptr) return;  // the arena goes with the stream
  head_.clear();
  trailers_.clear();
  head_.fields = http::FieldList(arena_);
  trailers_ = http::FieldList(arena_);
  arena_.clear();
}

void Http2UpstreamStream::on_body(std::string_view data) {
  if (paused_ || !held_.empty()) {
    held_.append(data);
    return handler_->on_response_held(held_.size());
  }
  handler_->on_response_body(data);
  if (handler_ == nullptr) return;
  if (paused_) {
    unconsumed_ += data.size();
  } else {
    connection_.session_.consumed(*this, data.size(), connection_.now());
  }
}

void Http2UpstreamStream::deliver_held() {
  if (!opened_) return fail(UpstreamFailure::reset, true);
  const std::size_t passed = std::exchange(unconsumed_, 0) + pass_held(false);
  if (handler_ == nullptr) return;
  if (passed > 0 && !detached()) {
    connection_.session_.consumed(*this, passed, connection_.now());
    connection_.io_.loop().mark_dirty(connection_);  // the window's update
  }
  if (ended_ && held_.empty()) finish();
}

// How much it was.
std::size_t Http2UpstreamStream::pass_held(bool all) {
  if (held_.empty()) return 0;
  std::size_t passed = 0;
  while (handler_ != nullptr && (all || !paused_) && !held_.empty()) {
    const std::string_view piece = held_.front();
    handler_->on_response_body(piece);
    passed += piece.size();
    held_.consume(piece.size());
  }
  if (handler_ != nullptr) handler_->on_response_held(held_.size());
  return passed;
}

void Http2UpstreamStream::deliver_rest() {
  pass_held(true);
  if (handler_ != nullptr) finish();
}

void Http2UpstreamStream::on_end() {
  ended_ = true;
  if (held_.empty()) finish();
}

// The response is complete and passed on.
void Http2UpstreamStream::finish() {
  if (tunnel_) {
    if (!std::exchange(end_told_, true)) handler_->on_response_end(nullptr);
    return;
  }
  UpstreamHandler* handler = std::exchange(handler_, nullptr);
  ++connection_.served_;
  // An answer before the end of the request: nobody needs the rest (RFC 9113 8.1).
  if (!detached()) {
    connection_.session_.reset(*this, ErrorCode::cancel);
    connection_.io_.loop().mark_dirty(connection_);
  }
  handler->on_response_end(trailers_.size() > 0 ? &trailers_ : nullptr);
  connection_.release(*this);
}

void Http2UpstreamStream::on_writable() {
  if (!above_high_) return;
  above_high_ = false;
  handler_->on_request_writable();
}

void Http2UpstreamStream::on_closing_written() {
  handler_->on_request_writable();
}

bool Http2UpstreamStream::may_be_misunderstood() const {
  return connection_.may_be_misunderstood();
}

void Http2UpstreamStream::fail(UpstreamFailure failure, bool unprocessed) {
  UpstreamHandler* handler = std::exchange(handler_, nullptr);
  UpstreamError error;
  error.failure = failure;
  error.reused = reused_;
  error.written = opened_ && connection_.sent_ > written_from_;
  error.answered = answered_;
  error.unprocessed = (unprocessed || !opened_) && !answered_;
  error.misunderstood = error.unprocessed && failure == UpstreamFailure::protocol_error && may_be_misunderstood();
  connection_.release(*this);
  error.connection_stays = !connection_.finishing();
  handler->on_upstream_failed(error);
}

void Http2UpstreamStream::destroy() {
  context_.http2_streams.destroy(this);
}

}  // namespace weir
