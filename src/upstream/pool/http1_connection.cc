#include "upstream/pool/http1_connection.h"

#include "http/http1/encoder.h"
#include "http/http2/frame.h"
#include "http/websocket.h"
#include "upstream/pool/pool.h"

namespace weir {

using http1::Event;

namespace {

constexpr std::size_t kHeadReadBytes = 1024;

}  // namespace

std::string_view to_string(UpstreamFailure failure) {
  switch (failure) {
    case UpstreamFailure::none:
      return "none";
    case UpstreamFailure::connect_refused:
      return "connect_refused";
    case UpstreamFailure::connect_failed:
      return "connect_failed";
    case UpstreamFailure::connect_timeout:
      return "connect_timeout";
    case UpstreamFailure::tls_failed:
      return "tls_failed";
    case UpstreamFailure::reset:
      return "reset";
    case UpstreamFailure::protocol_error:
      return "protocol_error";
    case UpstreamFailure::overloaded:
      return "overloaded";
    case UpstreamFailure::own_trouble:
      return "own_trouble";
  }
  return "";
}

Http1Connection::Http1Connection(Pool& pool, Transport io)
    : pool_(pool),
      context_(pool.context()),
      io_(std::move(io)),
      timer_(static_cast<TimerHandler&>(*this)),
      arena_(io_.loop().buffers()),
      head_(arena_),
      trailers_(arena_),
      epoch_(pool.epoch()) {}

Result<void> Http1Connection::start(Readiness readiness) {
  // What was read behind the handshake gives no further edge.
  readable_ = readiness.can_read() || io_.secure_layer() != nullptr;
  peer_gone_ = readiness.peer_gone();
  return io_.loop().engine().watch(io_.socket(), *this);
}

void Http1Connection::lease_to(UpstreamHandler& handler) {
  advance(ConnectionEvent::lent);
  handler_ = &handler;
  request_done_ = response_done_ = paused_ = written_ = answered_ = head_seen_ = tunnel_ = above_high_ = false;
  keep_alive_ = true;
  diversion_over_ = false;
  io_.loop().timers().disarm(timer_);
  if (readable_) io_.loop().mark_ready(*this);
}

void Http1Connection::rest_until(TimePoint deadline) {
  advance(ConnectionEvent::kept);
  idle_since_ = io_.loop().now();
  io_.loop().timers().arm(timer_, deadline);
}

void Http1Connection::close_unused() {
  WEIR_ASSERT(state_ == State::idle);
  close();
  pool_.on_idle_closed(*this);
}

bool Http1Connection::still_quiet() {
  if (peer_gone_) return false;
  if (io_.secure_layer() == nullptr) return !readable_ && io_.loop().engine().quiet(io_.socket());
  readable_ = false;
  return io_.quiet(context_.look_scratch);
}

// Over TLS ALPN has told.
bool Http1Connection::may_be_misunderstood() const {
  return leased() && !head_seen_ && served_ == 0 && io_.secure_layer() == nullptr &&
         pool_.cluster().protocol == UpstreamProtocol::auto_;
}

void Http1Connection::send_head(const http::RequestHead& head) {
  request_body_ = head.body;
  // What ends with an HTTP/2 client's stream is sent in chunks.
  if (request_body_ == http::BodyKind::stream_end) request_body_ = http::BodyKind::chunked;
  head_.clear();
  if (head.method == http::Method::connect) return send_tunnel_head(head);
  decoder_.expect(head.method);
  http1::write_request_head(io_.output(), head);
  io_.loop().mark_dirty(*this);
}

// An extended CONNECT of an HTTP/2 client (RFC 8441) is a GET with an upgrade here, and a key to be answered.
void Http1Connection::send_tunnel_head(const http::RequestHead& head) {
  http::RequestHead get = head;
  get.method = http::Method::get;
  get.method_text = "GET";
  Rng& rng = io_.loop().rng();
  const auto key = http::websocket_key(rng.next(), rng.next());
  websocket_key_ = arena_.copy({key.data(), key.size()});
  get.fields.remove(http::FieldId::sec_websocket_key);
  get.fields.remove(http::FieldId::transfer_encoding);
  get.fields.remove(http::FieldId::content_length);
  get.fields.add("sec-websocket-key", websocket_key_, http::FieldId::sec_websocket_key);
  if (get.fields.find("sec-websocket-version") == nullptr) {
    get.fields.add("sec-websocket-version", "13", http::FieldId::other);
  }
  request_body_ = http::BodyKind::none;
  decoder_.expect(http::Method::get);
  http1::write_request_head(io_.output(), get);
  io_.loop().mark_dirty(*this);
}

// Of a 101: it answers the key that was made here (RFC 6455 4.1), of which the client knows nothing.
bool Http1Connection::tunnel_head_is_right() {
  if (websocket_key_.empty()) return true;
  const http::Field* accept = head_.fields.find("sec-websocket-accept");
  if (accept == nullptr || !http::is_websocket_accept(accept->value(), websocket_key_)) return false;
  head_.fields.remove("sec-websocket-accept");
  return true;
}

void Http1Connection::send_body(std::string_view data) {
  if (write_broken_ || data.empty()) return;
  if (request_body_ == http::BodyKind::chunked && !tunnel_) {
    http1::write_chunk(io_.output(), data);
  } else {
    io_.output().append(data);
  }
  if (io_.unsent() > kHighWatermark) above_high_ = true;
  io_.loop().mark_dirty(*this);
}

void Http1Connection::send_end(const http::FieldList* trailers) {
  request_done_ = true;
  if (write_broken_) return;
  if (tunnel_) {
    shut_after_flush_ = true;
  } else if (request_body_ == http::BodyKind::chunked) {
    http1::write_last_chunk(io_.output(), trailers);
  }
  io_.loop().mark_dirty(*this);
}

void Http1Connection::resume_response() {
  paused_ = false;
  // Also with nothing left to read: the end of the message may be all that is still to be told.
  io_.loop().mark_ready(*this);
}

void Http1Connection::start_tunnel() {
  tunnel_ = true;
  keep_alive_ = false;
  request_done_ = false;
  if (readable_ || io_.kept() > 0) io_.loop().mark_ready(*this);
}

void Http1Connection::cancel() {
  if (state_ != State::leased) return;
  handler_ = nullptr;
  // A reset tells a backend that still computes the answer, or is still sending, that nobody wants it any more.
  if (!response_done_) io_.reset();
  close();
  pool_.on_released(*this, false);
}

void Http1Connection::end_diversion(std::uint64_t taken) {
  response_relay_ = nullptr;
  if (state_ != State::leased) return;
  decoder_.body().skip(taken);
  // What ended a relay early (a FIN, a reset) is found by reading; a further relay would only end again.
  diversion_over_ = decoder_.body().remaining() > 0;
  readable_ = true;
  io_.loop().mark_ready(*this);
}

void Http1Connection::pump_request_from(SpliceRelay* relay) {
  request_relay_ = relay;
  if (relay != nullptr) io_.loop().mark_dirty(*this);
}

void Http1Connection::on_ready(Readiness readiness) {
  if (readiness.peer_gone()) peer_gone_ = true;
  if (state_ == State::idle) {
    // Nothing may come unasked: a close, or bytes that belong to no request.
    if (readiness.can_read() && !(io_.secure_layer() != nullptr && io_.quiet(context_.look_scratch))) close_unused();
    return;
  }
  if (state_ != State::leased) return;
  if ((readiness.bits & Readiness::failed) != 0) failed_ = true;
  if (readiness.can_write() && (io_.unsent() > 0 || request_relay_ != nullptr)) io_.loop().mark_dirty(*this);
  if (!readiness.can_read()) return;
  readable_ = true;
  read();
}

void Http1Connection::resume() {
  if (state_ != State::leased) return;
  if (request_relay_ != nullptr) io_.loop().mark_dirty(*this);
  read();
}

// True if a relay reads the response's body from now on.
bool Http1Connection::divert() {
  if (diversion_over_ || io_.kept() > 0 || decoder_.body().remaining() < kSpliceBytes) return false;
  response_relay_ = handler_->splice_response(decoder_.body().remaining());
  diverted_ = response_relay_ != nullptr;
  return diverted_;
}

void Http1Connection::read() {
  if (response_relay_ != nullptr || (!paused_ && !tunnel_ && divert())) return response_relay_->source_ready();
  if (paused_) return;
  if (tunnel_) return read_tunnel();
  if (!readable_ && !peer_gone_) return decode(io_.reread(*context_.scratch));
  const std::size_t room = handler_->response_room();
  if (room == 0) return;
  // Where the last body was spliced, the next one will be too: what is read with its head would only be copied.
  const std::size_t at_most = expect_large_ && !answered_ ? kHeadReadBytes : ReadScratch::kReadBytes;
  const Transport::Input input = io_.read(*context_.scratch, std::min(at_most, room));
  if (input.fresh > 0) {
    // It came unasked, before a byte of the request had gone out: to be found while idle, had it come a moment earlier.
    if (!written_ && reused()) return fail(UpstreamFailure::reset);
    answered_ = true;
  }
  readable_ = !input.drained;
  decode(input);
}

void Http1Connection::decode(Transport::Input input) {
  std::string_view bytes = input.bytes;
  if (!head_seen_ && served_ == 0 && http2::begins_with_settings(bytes)) {
    pool_.on_http1_contradicted();
    return fail(UpstreamFailure::protocol_error, true);
  }
  const http::HeadLimits limits{pool_.cluster().response_header_bytes, pool_.cluster().response_headers, UINT64_MAX};
  while (leased() && !paused_ && !tunnel_ && response_relay_ == nullptr && !response_done_) {
    const http1::Step step = decoder_.next(bytes, head_, trailers_, limits);
    bytes.remove_prefix(step.consumed);
    if (!deliver(step)) break;
  }
  if (!leased()) return;
  if (response_done_) {
    // Bytes behind the response belong to no request: the connection is not to be trusted any more.
    if (!bytes.empty() || input.status == IoStatus::end || input.status == IoStatus::failed) keep_alive_ = false;
    return finish_response();
  }
  io_.keep(bytes);
  if (paused_ || response_relay_ != nullptr) {
    if (input.status != IoStatus::ok && input.status != IoStatus::would_block) peer_gone_ = true;
    return;
  }
  if (input.status == IoStatus::failed) return fail(UpstreamFailure::reset);
  if (input.status == IoStatus::end) return on_end_of_input();
  if (readable_ && !tunnel_ && divert()) return response_relay_->source_ready();
  if (readable_ || peer_gone_ || tunnel_) io_.loop().mark_ready(*this);
}

// False if there is nothing more to decode just now.
bool Http1Connection::deliver(const http1::Step& step) {
  switch (step.event) {
    case Event::need_more:
      return false;
    case Event::head:
      head_seen_ = true;
      if (head_.status < 200 && head_.status != 101) {
        handler_->on_informational(head_);
        head_.clear();
        return true;
      }
      if (head_.status == 101 && !tunnel_head_is_right()) {
        fail(UpstreamFailure::protocol_error);
        return false;
      }
      if (!head_.keep_alive) keep_alive_ = false;
      if (head_.keep_alive_timeout_s >= 0) keep_alive_timeout_s_ = head_.keep_alive_timeout_s;
      handler_->on_response_head(head_);
      forget_head();
      return true;
    case Event::body:
      handler_->on_response_body(step.body);
      return true;
    case Event::end:
      response_done_ = true;
      return false;
    case Event::error:
      fail(UpstreamFailure::protocol_error);
      return false;
  }
  return false;
}

void Http1Connection::on_end_of_input() {
  const http1::Step step = decoder_.finish();
  keep_alive_ = false;
  // Once a write has failed, the end of the input may as well be the reset, which is told only once; and over TLS
  // anybody on the way may have cut it off.
  if (step.event == Event::end && !write_broken_ && !io_.truncated()) {
    response_done_ = true;
    return finish_response();
  }
  fail(UpstreamFailure::reset);
}

void Http1Connection::finish_response() {
  UpstreamHandler* handler = handler_;
  handler_ = nullptr;
  ++served_;
  expect_large_ = diverted_;
  diverted_ = false;
  bool reusable = keep_alive_ && request_done_ && io_.unsent() == 0 && !write_broken_ && !peer_gone_;
  // The last read was full: whatever lies behind the response has given its edge already.
  if (reusable && readable_) reusable = io_.quiet(context_.look_scratch);
  readable_ = false;
  http::FieldList* trailers = trailers_.size() > 0 ? &trailers_ : nullptr;
  // The connection stays borrowed while the handler looks at the trailers, so that it is not lent out under its hands.
  handler->on_response_end(trailers);
  forget_head();
  if (!reusable) close();
  pool_.on_released(*this, reusable);
}

// A long body or tunnel holds no memory for a head that has been dealt with.
void Http1Connection::forget_head() {
  head_.clear();
  trailers_.clear();
  head_.fields = http::FieldList(arena_);
  trailers_ = http::FieldList(arena_);
  arena_.clear();
  websocket_key_ = {};
}

void Http1Connection::read_tunnel() {
  if (io_.kept() > 0) {
    const Transport::Input rest = io_.reread(*context_.scratch);
    handler_->on_response_body(rest.bytes);
    if (leased() && (readable_ || peer_gone_)) io_.loop().mark_ready(*this);
    return;
  }
  if (response_done_) {
    // Its half is closed: there is nothing to read but that the other one is gone too.
    if (write_broken_ || failed_) fail(UpstreamFailure::reset);
    return;
  }
  const std::size_t room = handler_->response_room();
  if (room == 0) return;
  const Transport::Input input = io_.read(*context_.scratch, std::min(ReadScratch::kReadBytes, room));
  readable_ = !input.drained;
  if (!input.bytes.empty()) handler_->on_response_body(input.bytes);
  if (!leased()) return;
  if (input.status == IoStatus::failed) return fail(UpstreamFailure::reset);
  if (input.status == IoStatus::end) {
    response_done_ = true;
    return handler_->on_response_end(nullptr);
  }
  if (readable_ || peer_gone_) io_.loop().mark_ready(*this);
}

void Http1Connection::flush() {
  if (state_ != State::leased) return;
  std::size_t sent = 0;
  const Transport::Flush result = io_.flush(sent, request_relay_ != nullptr);
  if (sent > 0) written_ = true;
  if (result == Transport::Flush::failed) return write_failed();
  if (above_high_ && io_.unsent() <= kLowWatermark) {
    above_high_ = false;
    if (handler_ != nullptr) handler_->on_request_writable();
  }
  if (result != Transport::Flush::done || !leased()) return;
  if (shut_after_flush_) {
    shut_after_flush_ = false;
    io_.shutdown_write();
    // A tunnel whose both halves are closed ends once all is written.
    handler_->on_request_writable();
    if (!leased()) return;
  }
  if (request_relay_ != nullptr) {
    const SpliceRelay::Pumped pumped = request_relay_->pump();
    if (pumped.bytes > 0) written_ = true;
    if (pumped.outcome == SpliceRelay::Outcome::sink_failed) return write_failed();
    // No edge comes for what waits already.
    if (pumped.outcome == SpliceRelay::Outcome::unfinished) io_.loop().mark_ready(*this);
    handler_->on_request_pumped(pumped);
  }
}

// The backend takes no more. It may have answered before it closed: what it sent is read first.
void Http1Connection::write_failed() {
  write_broken_ = true;
  written_ = true;
  keep_alive_ = false;
  readable_ = true;  // once: what comes later gives its own edge
  if (request_relay_ != nullptr) {
    request_relay_ = nullptr;
    handler_->on_request_pumped({SpliceRelay::Outcome::sink_failed, 0});
  }
  if (!leased()) return;
  if (above_high_) {
    above_high_ = false;
    handler_->on_request_writable();
  }
  if (leased()) io_.loop().mark_ready(*this);
}

void Http1Connection::on_timer(Timer&) {
  if (state_ == State::idle) close_unused();
}

void Http1Connection::fail(UpstreamFailure failure, bool unprocessed) {
  const UpstreamError error{.failure = failure,
                            .reused = reused(),
                            .written = written_,
                            .answered = answered_,
                            .unprocessed = unprocessed,
                            .misunderstood = unprocessed && may_be_misunderstood()};
  UpstreamHandler* handler = handler_;
  handler_ = nullptr;
  close();
  pool_.on_released(*this, false);
  handler->on_upstream_failed(error);
}

void Http1Connection::close() {
  advance(ConnectionEvent::closing);
  io_.close();
  io_.loop().timers().disarm(timer_);
  io_.loop().retire(*this);
}

void Http1Connection::destroy() {
  context_.connections.destroy(this);
}

}  // namespace weir
