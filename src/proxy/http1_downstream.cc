#include "proxy/http1_downstream.h"

#include <algorithm>

#include "http/http1/encoder.h"
#include "http/http2/session.h"
#include "proxy/http2_downstream.h"
#include "proxy/stream.h"

namespace weir::proxy {

using http::BodyKind;
using http::FieldId;
using http1::Event;

namespace {

// How long a connection that has never sent a byte is waited for when draining.
constexpr Duration kFirstWord = 1s;

}  // namespace

Http1Downstream::Http1Downstream(WorkerContext& context, LocalRef<ListenerRuntime> listener,
                                 const ConnectionFacts& facts)
    : Downstream(context, std::move(listener), facts), io_(context.loop), timer_(static_cast<TimerHandler&>(*this)) {}

Http1Downstream::Http1Downstream(Downstream& predecessor)
    : Downstream(predecessor), io_(context_.loop), timer_(static_cast<TimerHandler&>(*this)) {}

Http1Downstream::~Http1Downstream() {
  WEIR_ASSERT(phase_ == Phase::closed && stream_ == nullptr);
}

Result<void> Http1Downstream::start(SocketId socket) {
  io_.open(socket);
  arm(listener_->settings->idle_timeout);
  return context_.loop.engine().watch(socket, *this);
}

Result<void> Http1Downstream::start(Transport&& io) {
  io_ = std::move(io);
  arm(listener_->settings->idle_timeout);
  // What was decrypted, or came behind the handshake, gives no further edge.
  if (io_.secure_layer() != nullptr) readable_ = true;
  if (readable_ || io_.kept() > 0) context_.loop.mark_ready(*this);
  return context_.loop.engine().watch(io_.socket(), *this);
}

void Http1Downstream::drain() {
  draining_ = true;
  // Where a first request has begun, or a preface, its own time runs.
  if (phase_ != Phase::idle || undecided_) return;
  // Who has just connected is about to say what for.
  if (fresh_ && (!readable_ || io_.secure_layer() != nullptr))
    return arm(std::min(kFirstWord, listener_->settings->idle_timeout));
  readable_ = true;
  context_.loop.mark_ready(*this);
}

void Http1Downstream::cut() {
  if (phase_ == Phase::closed) return;
  if (stream_ != nullptr) {
    Stream* stream = std::exchange(stream_, nullptr);
    stream->on_client_gone();
  }
  io_.reset();
  close();
}

void Http1Downstream::on_ready(Readiness readiness) {
  if (phase_ == Phase::closed) return;
  if ((readiness.bits & Readiness::failed) != 0) return client_gone();
  if (readiness.peer_gone()) peer_fin_ = true;
  if (readiness.can_write() && (io_.unsent() > 0 || response_relay_ != nullptr)) context_.loop.mark_dirty(*this);
  if (!readiness.can_read()) return;
  readable_ = true;
  if (request_cut_short()) return client_gone();
  if (wants_input()) read();
}

bool Http1Downstream::wants_input() const {
  switch (phase_) {
    // Nobody takes the answers, or it is about to close: no further request, and no more of one that is answered.
    case Phase::idle:
      return !above_high_ && !linger_after_flush_;
    case Phase::discard:
      return !linger_after_flush_;
    case Phase::head:
    case Phase::linger:
      return true;
    case Phase::body:
    case Phase::tunnel:
      return !paused_;
    case Phase::busy:
    case Phase::closed:
    case Phase::impossible:
      return false;
  }
  return false;
}

void Http1Downstream::resume() {
  if (phase_ == Phase::closed) return;
  if (response_relay_ != nullptr) context_.loop.mark_dirty(*this);
  if (!wants_input()) return;
  read();
  // Drained and still without a request: nothing is lost by closing.
  if (!draining_ || phase_ != Phase::idle || readable_ || io_.kept() > 0) return;
  // Its handshake has just ended; drain() has seen to it that the wait for its first word is short.
  if (fresh_ && io_.secure_layer() != nullptr) return;
  if (io_.unsent() == 0) return close();
  linger_after_flush_ = true;
}

bool Http1Downstream::divert() {
  if (phase_ != Phase::body || diversion_over_ || io_.kept() > 0 || decoder_.body().remaining() < kSpliceBytes)
    return false;
  request_relay_ = stream_->splice_request(decoder_.body().remaining());
  return request_relay_ != nullptr;
}

void Http1Downstream::read() {
  if (phase_ == Phase::linger) return read_linger();
  if (phase_ == Phase::tunnel) return read_tunnel();
  if (request_relay_ != nullptr || divert()) return request_relay_->source_ready();
  if (!readable_ && !peer_fin_) return decode(io_.reread(context_.scratch));
  const Transport::Input input = io_.read(context_.scratch);
  readable_ = !input.drained;
  if (input.wire > 0) listener_->received->add(input.wire);
  if (input.fresh > 0) note_progress(input.fresh);
  decode(input);
}

void Http1Downstream::decode(Transport::Input input) {
  std::string_view bytes = input.bytes;
  if (fresh_ && leave_to_http2(bytes, input.status)) return;
  while (wants_input() && request_relay_ == nullptr) {
    if (stream_ == nullptr && phase_ != Phase::discard) {
      if (bytes.empty()) break;
      begin_request();
    }
    http1::Step step;
    const http::HeadLimits& limits = listener_->settings->head_limits;
    if (stream_ != nullptr) {
      step = decoder_.next(bytes, stream_->request(), stream_->request_trailers(), limits);
    } else {
      Arena arena(context_.loop.buffers());
      http::RequestHead nobody(arena);
      http::FieldList trailers(arena);
      step = decoder_.next(bytes, nobody, trailers, limits);
    }
    bytes.remove_prefix(step.consumed);
    if (!deliver(step)) break;
    if (phase_ == Phase::head && bytes.empty() && decoder_.between_messages()) forget_request();
  }
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::linger) return;
  io_.keep(bytes);
  if (input.status == IoStatus::end || input.status == IoStatus::failed) {
    if (wants_input() && request_relay_ == nullptr) return on_end_of_input(input.status);
    peer_fin_ = true;
    if (input.status == IoStatus::failed) client_gone();
    return;
  }
  // It may have been held back only just now, for a moment.
  if (request_cut_short()) return client_gone();
  if ((readable_ || peer_fin_) && wants_input()) context_.loop.mark_ready(*this);
}

// A client that knows HTTP/2 is there begins with its preface (RFC 9113 3.3). True if this is one, or may yet be.
bool Http1Downstream::leave_to_http2(std::string_view bytes, IoStatus status) {
  constexpr std::string_view kPreface = http2::Session::kPreface;
  // No request line begins like this much of it.
  constexpr std::size_t kEnough = std::string_view("PRI * HTTP/2.0").size();
  if (bytes.empty() || bytes.front() != kPreface.front() || listener_->settings->protocol != ListenerProtocol::auto_) {
    return false;
  }
  if (!kPreface.starts_with(bytes.substr(0, kPreface.size()))) return false;
  if (bytes.size() < kEnough) {
    if (status != IoStatus::ok && status != IoStatus::would_block) return false;
    if (!std::exchange(undecided_, true)) arm(listener_->settings->header_timeout);
    io_.keep(bytes);
    if (readable_ || peer_fin_) context_.loop.mark_ready(*this);
    return true;
  }
  io_.keep(bytes);
  context_.loop.timers().disarm(timer_);
  advance(DownstreamEvent::closing);
  context_.loop.retire(*this);
  Http2Downstream* next = context_.http2_connections.make(static_cast<Downstream&>(*this));
  if (!next->start(std::move(io_))) {
    next->cut();
  } else if (draining_ || to_be_drained()) {
    next->drain();
  }
  return true;
}

// False if there is nothing more to decode just now.
bool Http1Downstream::deliver(const http1::Step& step) {
  switch (step.event) {
    case Event::need_more:
      if (phase_ == Phase::head && decoder_.between_messages() && step.consumed > 0) return true;
      return false;
    case Event::head:
      client_is_1_0_ = stream_->request().version == http::Version::http_1_0;
      keep_alive_ = stream_->request().keep_alive;
      advance(DownstreamEvent::head_read);
      stream_->on_request_head();
      if (phase_ == Phase::body && stream_ != nullptr && stream_->request().body != BodyKind::none) {
        awaits_100_ = stream_->request().expect_continue;
        arm_body_timer();
      }
      return phase_ != Phase::closed;
    case Event::body:
      if (stream_ != nullptr) {
        stop_awaiting_100();
        stream_->on_request_body(step.body);
      } else if ((discarded_ += step.body.size()) > kDiscardBytes) {
        close_after_ = true;
        linger_soon();
        return false;
      }
      return true;
    case Event::end:
      if (phase_ == Phase::discard) {
        next_request(DownstreamEvent::rest_read);
        return true;
      }
      end_request();
      return true;
    case Event::error:
      request_error(reason_of(step.error));
      return false;
  }
  return false;
}

void Http1Downstream::begin_request() {
  advance(DownstreamEvent::request_began);
  fresh_ = diversion_over_ = awaits_100_ = false;
  stream_ = context_.streams.make(context_, listener_, *this, facts_);
  // It runs already for what might have been HTTP/2's first bytes.
  if (!std::exchange(undecided_, false)) arm(listener_->settings->header_timeout);
}

// What came was only an empty line behind the last request (RFC 9112 2.2).
void Http1Downstream::forget_request() {
  Stream* stream = std::exchange(stream_, nullptr);
  stream->on_client_gone();
  advance(DownstreamEvent::blank_line);
  arm(listener_->settings->idle_timeout);
}

void Http1Downstream::end_request() {
  advance(DownstreamEvent::request_read);
  context_.loop.timers().disarm(timer_);
  if (stream_ != nullptr) stream_->on_request_end();
}

void Http1Downstream::request_error(ReplyReason reason) {
  close_after_ = true;
  if (stream_ != nullptr) return stream_->on_request_error(reason);
  // The rest of a body that nobody wants turned out broken: the answer is out, only the connection can't go on.
  linger_soon();
}

void Http1Downstream::on_end_of_input(IoStatus status) {
  if (status == IoStatus::failed || phase_ == Phase::body || phase_ == Phase::head) return client_gone();
  if (io_.unsent() == 0) return close();
  linger_soon();
}

// A FIN came inside the request's body: what is left to be read can't make it whole, although reading it may have to
// wait for the backend. (Where that isn't clear from the number of bytes, reading them will tell.)
bool Http1Downstream::request_cut_short() {
  if (!peer_fin_ || phase_ != Phase::body || !decoder_.body().in_body()) return false;
  // Over TLS to look is to read, which will be done anyway unless the body is held back.
  if (io_.secure_layer() != nullptr && !paused_) return false;
  const std::uint64_t spliced = request_relay_ != nullptr ? request_relay_->taken() : 0;
  const std::uint64_t wanted = decoder_.body().remaining() - spliced;
  const Transport::Left left = io_.left(context_.scratch, wanted);
  if (left.wire > 0) listener_->received->add(left.wire);
  return wanted > left.bytes;
}

void Http1Downstream::client_gone() {
  if (stream_ != nullptr) {
    Stream* stream = std::exchange(stream_, nullptr);
    stream->on_client_gone();
  }
  close();
}

void Http1Downstream::read_tunnel() {
  const Transport::Input input = io_.kept() > 0 ? io_.reread(context_.scratch) : io_.read(context_.scratch);
  if (input.wire > 0) listener_->received->add(input.wire);
  const bool from_socket = input.fresh > 0 || input.status != IoStatus::ok;
  if (from_socket) readable_ = !input.drained;
  if (!input.bytes.empty()) stream_->on_request_body(input.bytes);
  if (phase_ != Phase::tunnel) return;
  if (input.status == IoStatus::failed) return client_gone();
  if (input.status == IoStatus::end) {
    advance(DownstreamEvent::half_closed);
    return stream_->on_request_end();
  }
  if (readable_ || peer_fin_) context_.loop.mark_ready(*this);
}

void Http1Downstream::send_informational(http::ResponseHead& head) {
  if (client_is_1_0_ || phase_ == Phase::closed) return;
  http1::write_response_head(io_.output(), head);
  context_.loop.mark_dirty(*this);
  if (head.status == 100) stop_awaiting_100();
}

// From now on it is the client's turn to send its body.
void Http1Downstream::stop_awaiting_100() {
  if (!std::exchange(awaits_100_, false)) return;
  if (phase_ == Phase::body) arm_body_timer();
}

void Http1Downstream::send_head(http::ResponseHead& head) {
  if (phase_ == Phase::closed) return;
  const bool chunks =
      head.body == BodyKind::chunked || head.body == BodyKind::until_close || head.body == BodyKind::stream_end;
  response_body_ = head.body;
  if (chunks && client_is_1_0_) {  // which knows no chunks: the close is the end
    response_body_ = BodyKind::until_close;
    close_after_ = true;
  } else {
    if (chunks) response_body_ = BodyKind::chunked;
    frame_response(head, stream_->request().method);
  }
  if (draining_ || to_be_drained() || !keep_alive_) close_after_ = true;
  if (head.status == 101) {
    head.fields.add("connection", "upgrade", FieldId::connection);
  } else if (close_after_) {
    head.fields.add("connection", "close", FieldId::connection);
  } else if (client_is_1_0_) {
    head.fields.add("connection", "keep-alive", FieldId::connection);
  }
  http1::write_response_head(io_.output(), head);
  if (io_.unsent() > kHighWatermark) above_high_ = true;
  context_.loop.mark_dirty(*this);
}

void Http1Downstream::send_body(std::string_view data) {
  if (phase_ == Phase::closed || data.empty() || response_body_ == BodyKind::none) return;
  if (response_body_ == BodyKind::chunked) {
    http1::write_chunk(io_.output(), data);
  } else {
    io_.output().append(data);
  }
  if (io_.unsent() > kHighWatermark) above_high_ = true;
  context_.loop.mark_dirty(*this);
}

void Http1Downstream::send_end(const http::FieldList* trailers) {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::tunnel || (stream_ != nullptr && stream_->in_tunnel())) {
    shut_after_flush_ = true;
  } else if (response_body_ == BodyKind::chunked) {
    http1::write_last_chunk(io_.output(), trailers);
  }
  context_.loop.mark_dirty(*this);
}

void Http1Downstream::abort() {
  stream_ = nullptr;
  // A message without its end: for chunks and lengths the close alone would do, an until_close body needs the reset.
  if (phase_ == Phase::closed) return;
  std::size_t sent = 0;
  if (response_body_ == BodyKind::until_close || io_.flush(sent) == Transport::Flush::blocked) io_.reset();
  listener_->sent->add(sent);
  close();
}

// The stream has ended; it destroys itself at the end of the turn.
void Http1Downstream::finished() {
  const bool tunnel = stream_ != nullptr && stream_->in_tunnel();
  stream_ = nullptr;
  response_relay_ = nullptr;
  request_relay_ = nullptr;
  paused_ = relay_held_back_ = false;
  if (phase_ == Phase::closed) return;
  if (close_after_ || tunnel) {
    advance(DownstreamEvent::answered_last);
    return linger_soon();
  }
  if (phase_ == Phase::body) {
    advance(DownstreamEvent::answered);
    discarded_ = 0;
    arm(listener_->settings->body_timeout);
    if (readable_ || peer_fin_ || io_.kept() > 0) context_.loop.mark_ready(*this);
    return;
  }
  next_request(DownstreamEvent::answered);
}

void Http1Downstream::next_request(DownstreamEvent event) {
  advance(event);
  response_body_ = BodyKind::none;
  arm(listener_->settings->idle_timeout);
  if (draining_ || to_be_drained()) {
    draining_ = true;
    readable_ = true;
  }
  if (readable_ || peer_fin_ || io_.kept() > 0) context_.loop.mark_ready(*this);
}

void Http1Downstream::resume_request() {
  paused_ = false;
  if (phase_ == Phase::body) arm_body_timer();
  // Also with nothing left to read: the end of the message may be all that is still to be told.
  context_.loop.mark_ready(*this);
}

void Http1Downstream::start_tunnel() {
  advance(DownstreamEvent::switched);
  response_body_ = BodyKind::until_close;
  context_.loop.timers().disarm(timer_);
  if (readable_ || peer_fin_ || io_.kept() > 0) context_.loop.mark_ready(*this);
}

// Asked by divert(), which knows that a body of known length comes next.
SocketId Http1Downstream::splice_source() const {
  return phase_ == Phase::body ? io_.plain_socket() : kNoSocket;
}

SocketId Http1Downstream::splice_sink() const {
  const bool as_it_is = response_body_ == BodyKind::length || response_body_ == BodyKind::until_close;
  return as_it_is && phase_ != Phase::closed && phase_ != Phase::tunnel ? io_.plain_socket() : kNoSocket;
}

void Http1Downstream::pump_response_from(SpliceRelay* relay) {
  response_relay_ = relay;
  if (relay != nullptr) context_.loop.mark_dirty(*this);
}

void Http1Downstream::end_diversion(std::uint64_t taken) {
  request_relay_ = nullptr;
  relay_held_back_ = false;
  if (phase_ == Phase::closed) return;
  decoder_.body().skip(taken);
  // What ended it early is found by reading; a further relay would only end again.
  diversion_over_ = decoder_.body().remaining() > 0;
  readable_ = true;
  context_.loop.mark_ready(*this);
}

void Http1Downstream::request_moved(std::size_t bytes, bool held_back) {
  if (bytes > 0) {
    listener_->received->add(bytes);
    stop_awaiting_100();
  }
  // The client is not to blame for time that the backend takes.
  const bool was_held_back = std::exchange(relay_held_back_, held_back);
  if (held_back || was_held_back) {
    if (phase_ == Phase::body) arm_body_timer();
  } else if (bytes > 0) {
    note_progress(bytes);
  }
}

void Http1Downstream::flush() {
  if (phase_ == Phase::closed) return;
  std::size_t sent = 0;
  const Transport::Flush result = io_.flush(sent, response_relay_ != nullptr);
  if (sent > 0) listener_->sent->add(sent);
  if (result == Transport::Flush::failed) return client_gone();
  if (above_high_ && io_.unsent() <= kLowWatermark) {
    above_high_ = false;
    if (stream_ != nullptr) {
      stream_->on_response_writable();
    } else if (phase_ == Phase::idle) {
      context_.loop.mark_ready(*this);
    }
  }
  if (result == Transport::Flush::blocked) {
    // Nobody may hold an answer back for ever; while a stream lives, its own timeouts see to that. What else the client
    // does gives it no more time.
    if (sent > 0 && stream_ == nullptr && (linger_after_flush_ || phase_ == Phase::idle)) {
      arm(listener_->settings->idle_timeout);
    }
    return;
  }
  if (response_relay_ != nullptr) {
    const SpliceRelay::Pumped pumped = response_relay_->pump();
    listener_->sent->add(pumped.bytes);
    if (pumped.outcome == SpliceRelay::Outcome::sink_failed) return client_gone();
    if (pumped.outcome == SpliceRelay::Outcome::unfinished) context_.loop.mark_ready(*this);
    stream_->on_response_pumped(pumped);
    return;
  }
  if (shut_after_flush_) {
    shut_after_flush_ = false;
    io_.shutdown_write();
  }
  if (linger_after_flush_) begin_linger();
}

// Once what is to be written is out.
void Http1Downstream::linger_soon() {
  linger_after_flush_ = true;
  arm(listener_->settings->idle_timeout);
  context_.loop.mark_dirty(*this);
}

// RFC 9112 9.6: a close with unread input would reset the connection and destroy the reply on its way.
void Http1Downstream::begin_linger() {
  linger_after_flush_ = false;
  advance(DownstreamEvent::lingering);
  discarded_ = io_.kept();
  io_.shutdown_write();
  linger_began_ = context_.loop.now();
  arm(kLingerGap);
  if (readable_ || peer_fin_) context_.loop.mark_ready(*this);
}

void Http1Downstream::read_linger() {
  const Transport::Input input = io_.read(context_.scratch);
  readable_ = !input.drained;
  discarded_ += input.fresh;
  if (input.wire > 0) listener_->received->add(input.wire);
  const bool too_long = context_.loop.now() - linger_began_ > kLingerTime || discarded_ > kLingerBytes;
  if (input.status == IoStatus::end || input.status == IoStatus::failed || too_long) return close();
  arm(kLingerGap);
  if (readable_ || peer_fin_) context_.loop.mark_ready(*this);
}

void Http1Downstream::close() {
  if (phase_ == Phase::closed) return;
  WEIR_ASSERT(stream_ == nullptr);
  advance(DownstreamEvent::closing);
  io_.close();
  context_.loop.timers().disarm(timer_);
  leave();
  context_.loop.retire(*this);
}

void Http1Downstream::destroy() {
  context_.connections.destroy(this);
}

void Http1Downstream::on_timer(Timer&) {
  switch (phase_) {
    case Phase::discard:
      return linger_after_flush_ ? give_up_writing() : linger_soon();
    case Phase::idle:
      if (undecided_ && fresh_) {
        begin_request();
        return request_error(ReplyReason::request_timeout);
      }
      return give_up_writing();
    case Phase::busy:
      return give_up_writing();
    case Phase::linger:
      return close();
    case Phase::head:
      return request_error(ReplyReason::request_timeout);
    case Phase::body:
      if (paused_ || (request_relay_ != nullptr && stream_->request_held_back())) return arm_body_timer();
      return request_error(ReplyReason::request_timeout);
    case Phase::tunnel:
    case Phase::closed:
    case Phase::impossible:
      return;
  }
}

// The client takes nothing any more. A reset, where a mere close would make the rest of an answer look like all of it.
void Http1Downstream::give_up_writing() {
  if (io_.unsent() > 0) io_.reset();
  close();
}

void Http1Downstream::arm(Duration timeout) {
  context_.loop.timers().arm(timer_, deadline_after(context_.loop.now(), timeout));
}

void Http1Downstream::arm_body_timer() {
  if (awaits_100_) return context_.loop.timers().disarm(timer_);
  pace_.begin(context_.loop.now());
  arm(listener_->settings->body_timeout);
}

// Body bytes came. The longest gap begins anew; over each window the least rate must have been reached.
void Http1Downstream::note_progress(std::size_t bytes) {
  if (phase_ != Phase::body || awaits_100_) return;
  arm(listener_->settings->body_timeout);
  const TimePoint now = context_.loop.now();
  if (pace_.too_slow(bytes, listener_->settings->body_bytes_per_s_min, now)) context_.loop.timers().arm(timer_, now);
}

}  // namespace weir::proxy
