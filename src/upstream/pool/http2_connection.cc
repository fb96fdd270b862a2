#include "upstream/pool/http2_connection.h"

#include <algorithm>
#include <utility>

#include "upstream/pool/pool.h"

namespace weir {

using http2::Event;

namespace {

// Streams wait and nothing comes: a PING asks whether the backend is still there. A second one in the same silence
// comes late, since some servers take more for an attack.
constexpr Duration kPingAfter = 30s;
constexpr Duration kPingAgainAfter = 5min + 5s;
constexpr Duration kPingTimeout = 10s;
// How long the backend may take to answer the PING that stands before a request.
constexpr Duration kCheckTimeout = 1s;
// No stream is lent while so much waits for a socket that takes no more: each would add its head, and then its end.
constexpr std::size_t kCrowdedBytes = 256 * 1024;
// Give or take a tenth, so that the connections of a worker don't all end at once.
constexpr Duration kAgeMax = 1h;

http2::SessionLimits limits_of(const ClusterSettings& cluster) {
  http2::SessionLimits limits;
  limits.head = {cluster.response_header_bytes, cluster.response_headers, UINT64_MAX};
  limits.resets_per_window = cluster.http2_limits.resets_per_window;
  limits.control_frames_per_window = cluster.http2_limits.control_frames_per_window;
  limits.grown_bytes_max = cluster.http2_limits.grown_bytes_max;
  return limits;
}

}  // namespace

Http2Connection::Http2Connection(Pool& pool, Transport io)
    : pool_(pool),
      context_(pool.context()),
      io_(std::move(io)),
      scheme_(pool.backend().secure() ? "https" : "http"),
      session_(http2::Role::client, limits_of(pool.cluster()), io_.loop().buffers(), io_.output(), io_.loop().now()),
      timer_(static_cast<TimerHandler&>(*this)),
      heard_(io_.loop().now()) {
  const auto tenth = static_cast<std::uint64_t>(kAgeMax.count() / 10);
  retire_at_ = now() + kAgeMax - kAgeMax / 10 + Duration(io_.loop().rng().between(0, 2 * tenth));
}

Result<void> Http2Connection::start(Readiness readiness) {
  peer_gone_ = readiness.peer_gone();
  // One at least, also where none was allowed before: whoever waits gets an answer, if only a refusal.
  session_.expect_concurrent_streams(std::max<std::uint32_t>(pool_.backend().http2_streams_max(), 1));
  // What was read behind the TLS handshake gives no further edge.
  if (readiness.can_read() || io_.secure_layer() != nullptr) {
    readable_ = true;
    io_.loop().mark_ready(*this);
  }
  io_.loop().mark_dirty(*this);
  return io_.loop().engine().watch(io_.socket(), *this);
}

std::size_t Http2Connection::room() const {
  if (state_ != State::live || crowded_ || !session_.can_open()) return 0;
  const std::size_t allowed = session_.concurrent_streams();
  return allowed > load_ ? allowed - load_ : 0;
}

bool Http2Connection::too_old() const {
  return now() >= retire_at_;
}

bool Http2Connection::doubtful() const {
  return load_ == 0 && (doubted_ > heard_ || now() - heard_ > kPingAfter);
}

Http2UpstreamStream& Http2Connection::lend(UpstreamHandler& handler) {
  WEIR_ASSERT(room() > 0);
  Http2UpstreamStream& stream = *context_.http2_streams.make(*this, handler, served_ > 0);
  streams_.push_back(stream);
  if (++load_ == 1) {
    busy_since_ = now();
    pinged_ = {};
    io_.loop().timers().arm(timer_, now() + kPingAfter);
  }
  return stream;
}

// Over TLS ALPN has told.
bool Http2Connection::may_be_misunderstood() const {
  return !settled() && !pool_.backend().secure() && pool_.cluster().protocol == UpstreamProtocol::auto_;
}

void Http2Connection::rest_until(TimePoint deadline) {
  if (state_ == State::live) io_.loop().timers().arm(timer_, deadline);
}

void Http2Connection::close_unused() {
  WEIR_ASSERT(load_ == 0 && open());
  close();
  pool_.on_http2_closed(*this);
}

void Http2Connection::check() {
  advance(Http2ConnectionEvent::asks);
  session_.ping();
  ping_out_ = true;
  io_.loop().mark_dirty(*this);
  // Whoever asked may have left meanwhile, and then it is idle.
  io_.loop().timers().arm(timer_, now() + std::min<Duration>(kCheckTimeout, pool_.cluster().timeouts.idle));
}

void Http2Connection::end_check() {
  if (state_ != State::checking) return;
  advance(Http2ConnectionEvent::check_over);
  pool_.on_http2_check_over();
}

void Http2Connection::look() {
  if (readable_ || peer_gone_ || !io_.loop().engine().quiet(io_.socket())) {
    readable_ = true;
    // Whoever asks may still have a client's bytes in the worker's.
    read(context_.look_scratch);
  }
}

void Http2Connection::finish_up() {
  if (!open() || state_ == State::finishing) return;
  end_check();
  advance(Http2ConnectionEvent::leaves);
  if (load_ == 0) return close_unused();
  pool_.on_http2_changed(*this);
}

void Http2Connection::on_ready(Readiness readiness) {
  if (!open()) return;
  if (readiness.peer_gone()) peer_gone_ = true;
  if (readiness.can_write() && io_.unsent() > 0) io_.loop().mark_dirty(*this);
  if (!readiness.can_read()) return;
  readable_ = true;
  read(*context_.scratch);
}

void Http2Connection::resume() {
  // Those that resume_response() was called for while the walk goes on wait for the next turn.
  IntrusiveList<Http2UpstreamStream, ResumedTag> resumed;
  resumed.splice_back(resumed_);
  while (Http2UpstreamStream* stream = resumed.pop_front()) stream->deliver_held();
  if (open()) read(*context_.scratch);
}

void Http2Connection::read(ReadScratch& scratch) {
  if (!readable_ && !peer_gone_) {
    if (session_.has_events()) process(io_.reread(scratch).bytes);
    return;
  }
  const Transport::Input input = io_.read(scratch);
  readable_ = !input.drained;
  if (input.fresh > 0) heard_ = now();
  process(input.bytes);
  if (!open()) return;
  if (input.status == IoStatus::failed || input.status == IoStatus::end) return on_end_of_input();
  if (readable_ || peer_gone_) io_.loop().mark_ready(*this);
}

void Http2Connection::process(std::string_view bytes) {
  while (open()) {
    const http2::Step step = session_.next(bytes, now());
    bytes.remove_prefix(step.consumed);
    if (step.event == Event::need_more) break;
    handle(step);
  }
  if (!open()) return;
  io_.keep(bytes);
  // Acknowledgements and windows.
  io_.loop().mark_dirty(*this);
}

void Http2Connection::handle(const http2::Step& step) {
  auto* stream = static_cast<Http2UpstreamStream*>(step.stream);
  switch (step.event) {
    case Event::need_more:
    case Event::stream_begins:
      return;
    case Event::head:
      pinged_ = {};
      return stream->on_head();
    case Event::body:
      pinged_ = {};
      return stream->on_body(step.body);
    case Event::end:
      pinged_ = {};
      return stream->on_end();
    case Event::reset:
      // Behind a complete response: the backend needs no more of the request (RFC 9113 8.1).
      if (stream->ended_ && !stream->tunnel_) return;
      return stream->fail(UpstreamFailure::reset, false);
    case Event::malformed:
      return stream->fail(UpstreamFailure::protocol_error, false);
    case Event::unprocessed:
      return stream->fail(UpstreamFailure::reset, true);
    case Event::writable:
      return stream->on_writable();
    case Event::closed:
    case Event::priority:
      return;
    case Event::settings:
      return on_settings();
    case Event::going_away:
      return finish_up();
    case Event::ping_ack:
      ping_out_ = false;
      if (state_ != State::checking) return;
      end_check();
      return pool_.on_http2_changed(*this);
    case Event::error:
      return on_session_error(step);
  }
}

void Http2Connection::on_settings() {
  pool_.backend().learn_http2(session_.concurrent_streams(), session_.extended_connect());
  pool_.on_http2_changed(*this);
}

void Http2Connection::on_end_of_input() {
  if (!settled()) pool_.on_http2_contradicted();
  lose(UpstreamFailure::reset, false);
}

// Whatever was sent instead of SETTINGS: who doesn't know HTTP/2 has not understood any of the requests either.
void Http2Connection::on_session_error(const http2::Step& step) {
  const bool contradicted = !settled();
  if (!may_be_misunderstood()) pool_.on_http2_broken(step);
  if (contradicted) pool_.on_http2_contradicted();
  // Our GOAWAY says why, if the socket takes it.
  std::size_t sent = 0;
  static_cast<void>(io_.flush(sent));
  lose(UpstreamFailure::protocol_error, contradicted);
}

// The connection is gone, with all that it carried. It closes first: its session lets go of the streams when it is
// destroyed, and they are destroyed in the order in which they retire.
void Http2Connection::lose(UpstreamFailure failure, bool unprocessed) {
  close();
  fail_all(failure, unprocessed);
  pool_.on_http2_closed(*this);
}

void Http2Connection::fail_all(UpstreamFailure failure, bool unprocessed) {
  while (!streams_.empty()) {
    Http2UpstreamStream& stream = streams_.front();
    // A response that has come as a whole is as good as any: only its reader is slow.
    if (stream.ended_ && !stream.tunnel_) {
      stream.deliver_rest();
    } else {
      stream.fail(failure, unprocessed);
    }
  }
}

void Http2Connection::release(Http2UpstreamStream& stream) {
  stream.ListNode<BorrowedTag>::unlink();
  stream.ListNode<ResumedTag>::unlink();
  stream.ListNode<ClosingTag>::unlink();
  --load_;
  io_.loop().retire(stream);
  pool_.on_http2_released(*this);
}

// Before a write and after: what may go out is moved into the output, until windows or the socket are full.
void Http2Connection::flush() {
  if (state_ == State::closed) return;
  std::size_t sent = 0;
  Transport::Flush result = Transport::Flush::done;
  if (write_broken_) io_.output().clear();
  do {
    if (!write_broken_) session_.pump();
    result = io_.flush(sent);
  } while (result == Transport::Flush::done && !write_broken_ && session_.sendable());
  sent_ += sent;
  if (result == Transport::Flush::failed) return write_failed();
  note_crowd(result == Transport::Flush::blocked && io_.unsent() > kCrowdedBytes);
  closing_.for_each([](Http2UpstreamStream& stream) {
    if (stream.pending() > 0) return;
    stream.ListNode<ClosingTag>::unlink();
    stream.on_closing_written();
  });
  if (open() && session_.has_events()) io_.loop().mark_ready(*this);
}

void Http2Connection::note_crowd(bool crowded) {
  if (std::exchange(crowded_, crowded) != crowded) pool_.on_http2_changed(*this);
}

// The backend takes no more. It may have answered before it closed: what it sent is read first.
void Http2Connection::write_failed() {
  write_broken_ = true;
  io_.output().clear();
  finish_up();
  if (!open()) return;
  readable_ = true;  // once: what comes later gives its own edge
  io_.loop().mark_ready(*this);
}

void Http2Connection::on_timer(Timer&) {
  switch (state_) {
    case State::live:
      if (load_ == 0) return pool_.on_http2_rested(*this);
      return look_for_silence();
    case State::checking:
      return close_unused();
    case State::finishing:
      return look_for_silence();
    case State::closed:
    case State::impossible:
      return;
  }
}

// Streams wait. Whatever came is a sign of life.
void Http2Connection::look_for_silence() {
  if (heard_ > pinged_) ping_out_ = false;
  if (ping_out_ && now() - pinged_ >= kPingTimeout) return lose(UpstreamFailure::reset, false);
  // A silence begins with who waits for its end.
  TimePoint next = std::max(heard_, busy_since_) + kPingAfter;
  if (pinged_ != TimePoint{}) next = std::max(next, pinged_ + (ping_out_ ? kPingTimeout : kPingAgainAfter));
  if (next <= now()) {
    session_.ping();
    ping_out_ = true;
    pinged_ = now();
    io_.loop().mark_dirty(*this);
    next = now() + kPingTimeout;
  }
  io_.loop().timers().arm(timer_, next);
}

void Http2Connection::close() {
  end_check();
  advance(Http2ConnectionEvent::closing);
  io_.close();
  io_.loop().timers().disarm(timer_);
  io_.loop().retire(*this);
}

void Http2Connection::destroy() {
  context_.http2_connections.destroy(this);
}

}  // namespace weir
