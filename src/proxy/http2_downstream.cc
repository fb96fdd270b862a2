#include "proxy/http2_downstream.h"

#include "proxy/stream.h"

namespace weir::proxy {

using http2::ErrorCode;
using http2::Event;

namespace {

// How long the client's answer to the first GOAWAY's PING is waited for.
constexpr Duration kDrainGrace = 1s;
// Without streams for so long, a connection frees what it kept for the next ones.
constexpr Duration kRestsAfter = 5s;
// Bodies enter the output only while it holds less than Session::kOutputBytes. With so much in it, a client asks
// without reading the answers.
constexpr std::size_t kChokeBytes = 4 * http2::Session::kOutputBytes;
// So many backends are read from again at once: some may have little to say.
constexpr int kUnparkedAtOnce = 8;

http2::SessionLimits session_limits(const ListenerSettings& settings) {
  http2::SessionLimits limits;
  limits.concurrent_streams = settings.concurrent_streams;
  limits.head = settings.head_limits;
  limits.resets_per_window = settings.http2_limits.resets_per_window;
  limits.control_frames_per_window = settings.http2_limits.control_frames_per_window;
  limits.grown_bytes_max = settings.http2_limits.grown_bytes_max;
  return limits;
}

}  // namespace

Http2Downstream::Http2Downstream(WorkerContext& context, LocalRef<ListenerRuntime> listener,
                                 const ConnectionFacts& facts)
    : Downstream(context, std::move(listener), facts),
      io_(context_.loop),
      session_(http2::Role::server, session_limits(*listener_->settings), context_.loop.buffers(), io_.output(),
               context_.loop.now()),
      timer_(static_cast<TimerHandler&>(*this)),
      frame_timer_(static_cast<TimerHandler&>(*this)),
      pace_timer_(static_cast<TimerHandler&>(*this)) {
  session_.count_pending_in(listener_->held.pending);
}

Http2Downstream::Http2Downstream(Downstream& predecessor)
    : Downstream(predecessor),
      io_(context_.loop),
      session_(http2::Role::server, session_limits(*listener_->settings), context_.loop.buffers(), io_.output(),
               context_.loop.now()),
      timer_(static_cast<TimerHandler&>(*this)),
      frame_timer_(static_cast<TimerHandler&>(*this)),
      pace_timer_(static_cast<TimerHandler&>(*this)) {
  session_.count_pending_in(listener_->held.pending);
}

Http2Downstream::~Http2Downstream() {
  WEIR_ASSERT(phase_ == Phase::closed && streams_.empty());
}

Result<void> Http2Downstream::start(SocketId socket) {
  io_.open(socket);
  become_idle();
  mark_dirty();
  return context_.loop.engine().watch(socket, *this);
}

Result<void> Http2Downstream::start(Transport&& io) {
  // Our SETTINGS are in the output already, behind whatever the connection's owner before us had to say.
  Buffer settings = std::move(io_.output());
  io_ = std::move(io);
  io_.output().splice_back(settings);
  become_idle();
  mark_dirty();
  // What was decrypted, or came behind the handshake, gives no further edge.
  if (io_.secure_layer() != nullptr) readable_ = true;
  if (readable_ || io_.kept() > 0) context_.loop.mark_ready(*this);
  return context_.loop.engine().watch(io_.socket(), *this);
}

void Http2Downstream::drain() {
  if (draining_ || drain_over_ || phase_ != Phase::open) return;
  draining_ = true;
  session_.go_away(ErrorCode::no_error, false);
  session_.ping();
  arm(std::min(kDrainGrace, listener_->settings->idle_timeout));
  mark_dirty();
}

// A round trip later: whatever the client had sent before it knew is here.
void Http2Downstream::end_drain() {
  if (!draining_ || drain_over_ || phase_ != Phase::open) return;
  drain_over_ = true;
  session_.go_away(ErrorCode::no_error, true);
  context_.loop.timers().disarm(timer_);
  mark_dirty();
  if (streams_.empty()) begin_close();
}

void Http2Downstream::cut() {
  if (phase_ == Phase::closed) return;
  end_streams();
  io_.reset();
  close();
}

void Http2Downstream::on_ready(Readiness readiness) {
  if (phase_ == Phase::closed) return;
  if ((readiness.bits & Readiness::failed) != 0) return client_gone();
  if (readiness.peer_gone()) peer_fin_ = true;
  if (readiness.can_write() && io_.unsent() > 0) mark_dirty();
  if (!readiness.can_read()) return;
  readable_ = true;
  if (!choked_) read();
}

void Http2Downstream::resume() {
  if (phase_ == Phase::closed) return;
  if (session_.sendable() || !parked_.empty()) mark_dirty();
  if (!choked_ && (readable_ || peer_fin_ || io_.kept() > 0)) read();
}

void Http2Downstream::read() {
  if (phase_ != Phase::open) return read_linger();
  if (!readable_ && !peer_fin_) return decode(io_.reread(context_.scratch));
  const Transport::Input input = io_.read(context_.scratch);
  readable_ = !input.drained;
  if (input.wire > 0) listener_->received->add(input.wire);
  decode(input);
}

void Http2Downstream::decode(Transport::Input input) {
  std::string_view bytes = input.bytes;
  const std::size_t before = bytes.size();
  while (phase_ == Phase::open && !choked_) {
    const http2::Step step = session_.next(bytes, context_.loop.now());
    bytes.remove_prefix(step.consumed);
    if (step.event == Event::need_more) break;
    handle(step);
    choked_ = io_.unsent() > kChokeBytes;
  }
  if (phase_ == Phase::closed) return;
  mark_dirty();  // the session answers what it reads
  if (phase_ == Phase::open) {
    io_.keep(bytes);
    watch_frames(!bytes.empty() && !choked_, bytes.size() < before);
    const std::uint64_t refused = session_.refused_streams();
    if (refused > refused_seen_) count_abuse("stream_limit", refused - std::exchange(refused_seen_, refused));
  }
  // A FIN says that nobody is there to read the answers either.
  if (input.status == IoStatus::end || input.status == IoStatus::failed) return client_gone();
  if ((readable_ || peer_fin_) && !choked_) context_.loop.mark_ready(*this);
}

void Http2Downstream::handle(const http2::Step& step) {
  const auto stream = [&]() -> Http2ClientStream& { return static_cast<Http2ClientStream&>(*step.stream); };
  switch (step.event) {
    case Event::stream_begins:
      return begin_stream();
    case Event::head:
      return stream().on_head();
    case Event::body:
      return stream().on_body(step.body);
    case Event::end:
      return stream().on_end();
    case Event::reset:
      return stream().on_gone();
    case Event::closed:
      return stream().settle();
    case Event::malformed:
      return stream().on_malformed(step.malformed);
    case Event::writable:
      return stream().on_writable();
    case Event::going_away:
      // The client opens no more streams, and neither shall it.
      if (drain_over_) return;
      drain_over_ = true;
      session_.go_away(ErrorCode::no_error, true);
      if (streams_.empty()) begin_close();
      return;
    case Event::ping_ack:
      return end_drain();
    case Event::priority:
      return park_anew(stream());
    case Event::error:
      count_abuse(step.abuse != http2::Abuse::none ? http2::to_string(step.abuse) : http2::to_string(step.error));
      end_streams();
      return begin_close();
    case Event::need_more:
    case Event::settings:
    case Event::unprocessed:
      return;
  }
}

void Http2Downstream::begin_stream() {
  if (session_.begins_held() && listener_->held.refuses(listener_->settings->http2_held_bytes)) {
    count_abuse("held_response");
    return session_.refuse(ErrorCode::enhance_your_calm);
  }
  Http2ClientStream* stream = context_.http2_streams.make(*this);
  streams_.push_back(*stream);
  if (!draining_ || drain_over_) context_.loop.timers().disarm(timer_);
  session_.attach(*stream, stream->stream().request(), stream->stream().request_trailers());
}

void Http2Downstream::look_after(Http2ClientStream& stream) {
  if (!stream.ListNode<TailTag>::linked()) looked_after_.push_back(stream);
}

void Http2Downstream::stream_over() {
  if (phase_ != Phase::open || !streams_.empty()) return;
  if (drain_over_) return begin_close();
  if (!draining_) become_idle();
}

// What the session has to tell without input: streams whose output has gone down.
void Http2Downstream::hand_out_events() {
  while (phase_ == Phase::open && session_.has_events()) handle(session_.next({}, context_.loop.now()));
}

void Http2Downstream::flush() {
  if (phase_ == Phase::closed) return;
  if (phase_ == Phase::open) {
    session_.pump();
    hand_out_events();
    if (phase_ == Phase::closed) return;
  }
  std::size_t sent = 0;
  const Transport::Flush result = io_.flush(sent);
  if (sent > 0) listener_->sent->add(sent);
  if (result == Transport::Flush::failed) return client_gone();
  if (sent > 0) listener_->held.note_progress(*this);
  if (sent > 0 && blocked_) pace_.note(sent, context_.loop.now());
  blocked_ = result == Transport::Flush::blocked;
  looked_after_.for_each([](Http2ClientStream& stream) { stream.settle(); });
  settle_held();
  if (phase_ == Phase::closing) {
    // Nobody may hold the last words back for ever.
    return result == Transport::Flush::blocked ? arm(listener_->settings->idle_timeout) : begin_linger();
  }
  if (phase_ != Phase::open) return;
  if (choked_ && io_.unsent() <= kChokeBytes / 2) {
    choked_ = false;
    context_.loop.mark_ready(*this);
  }
  // The output takes so much a turn; the rest goes out in the next one.
  if (result == Transport::Flush::done && session_.sendable()) context_.loop.mark_ready(*this);
  if (!parked_.empty()) unpark();
}

// What goes out before what the stream has, as far as it could be left at its backend too. Where others fill the
// output, which are less urgent or can't be held back, it is as good as empty: the session gives the stream its turn
// there. Only heads, which wait for no turn, go beyond what bodies fill.
std::size_t Http2Downstream::waiting_before(const Http2ClientStream& stream) const {
  const std::size_t waiting = session_.in_turn(stream);
  if (session_.in_turn() == waiting) return waiting + io_.unsent();
  const std::size_t output = io_.unsent() - io_.encrypted_unsent();
  return waiting + output - std::min(output, http2::Session::kOutputBytes);
}

void Http2Downstream::park(Http2ClientStream& stream) {
  if (stream.ListNode<ParkedTag>::linked()) return;
  parked_.insert_sorted(
      stream, [](const Http2ClientStream& a, const Http2ClientStream& b) { return a.urgency() < b.urgency(); });
}

// Its urgency has changed.
void Http2Downstream::park_anew(Http2ClientStream& stream) {
  if (!stream.ListNode<ParkedTag>::linked()) return;
  stream.ListNode<ParkedTag>::unlink();
  park(stream);
}

void Http2Downstream::unpark() {
  for (int i = 0; i < kUnparkedAtOnce; ++i) {
    if (parked_.empty() || waiting_before(parked_.front()) > kCrowdedBytes / 2) return;
    parked_.pop_front()->on_writable();
  }
  context_.loop.mark_ready(*this);
}

// Counts what is held for the client, and sees to it that all clients together don't hold too much.
void Http2Downstream::settle_held() {
  const bool slow = blocked_ && unwritten() > 0;
  if (!slow && session_.held_streams() == 0 && !counted()) return;
  count_held(slow);
  HeldResponses& held = listener_->held;
  if (held.above(listener_->settings->http2_held_bytes)) held.relieve(listener_->settings->http2_held_bytes);
}

// What windows hold back counts as it is. Of what waits for a slow socket, something is the connection's own.
void Http2Downstream::count_held(bool slow) {
  std::size_t waiting = slow ? io_.unsent() : 0;
  std::size_t streams = 0;
  const std::size_t allowed = slow ? allowance() : 0;
  if (slow && allowed < kFastBytes) {
    streams_.for_each([&](const Http2ClientStream& stream) {
      const std::size_t kept = session_.held(stream) ? 0 : stream.kept_bytes();
      waiting += kept;
      if (kept > 0) ++streams;
    });
  }
  const std::size_t own_max = streams > 1 ? kOwnBytes : kOwnSingleBytes;
  const std::size_t own = std::min(waiting, own_max);
  overdrawn_ = waiting > own + allowed;
  if (allowed > 0 && !pace_timer_.armed()) {
    context_.loop.timers().arm(pace_timer_, context_.loop.now() + 2 * ReadingPace::kTime);
  }
  std::size_t bytes = overdrawn_ ? waiting - own + streams * HeldResponses::kStreamBytes : 0;
  if (session_.held_streams() > 0) {
    streams_.for_each([&](const Http2ClientStream& stream) {
      if (session_.held(stream)) bytes += stream.held_bytes();
    });
  }
  listener_->held.settle(*this, bytes, session_.held_streams() + (overdrawn_ ? streams : 0), own);
}

std::size_t Http2Downstream::cut_held(std::size_t wanted) {
  std::size_t freed = 0;
  std::uint64_t cut = 0;
  streams_.for_each([&](Http2ClientStream& stream) {
    const std::size_t bytes = freed < wanted ? stream.held_bytes() : 0;
    if (bytes == 0) return;
    freed += bytes;
    ++cut;
    stream.cut_held();
  });
  const std::size_t before = held_bytes();
  if (cut > 0) count_abuse("held_response", cut);
  count_held(blocked_);
  if (cut == 0 && overdrawn_) {
    // Heads alone wait: they can't be taken back.
    count_abuse("held_response");
    give_up();
  }
  return std::max(freed, before - std::min(before, held_bytes()));
}

// Whoever begins a frame or a header block must finish it.
void Http2Downstream::watch_frames(bool something_left, bool progress) {
  const bool in_block = session_.in_header_block() || !session_.settings_received();
  if (!in_block && !something_left) {
    context_.loop.timers().disarm(frame_timer_);
  } else if (!frame_timer_.armed() || (progress && !(in_block && in_block_))) {
    context_.loop.timers().arm(frame_timer_, deadline_after(context_.loop.now(), listener_->settings->header_timeout));
  }
  in_block_ = in_block;
}

void Http2Downstream::count_abuse(std::string_view kind, std::uint64_t count) {
  context_.metrics.counter(observe::Family::kHttp2Abuse, {listener_->settings->name, kind})->add(count);
}

void Http2Downstream::on_timer(Timer& timer) {
  if (phase_ == Phase::closed) return;
  if (&timer == &pace_timer_) return settle_held();
  if (&timer == &frame_timer_) {
    if (phase_ != Phase::open) return;
    count_abuse("slow_frame");
    end_streams();
    return go_away(ErrorCode::enhance_your_calm);
  }
  switch (phase_) {
    case Phase::open:
      if (draining_ && !drain_over_) return end_drain();
      if (!streams_.empty()) return;
      if (!rested_) return rest();
      if (io_.unsent() == 0) return go_away(ErrorCode::no_error);
      // Nobody may hold answers back for ever.
      if (const TimePoint until = deadline_after(io_.last_written(), listener_->settings->idle_timeout);
          until > context_.loop.now()) {
        return context_.loop.timers().arm(timer_, until);
      }
      return give_up();
    case Phase::closing:
      return give_up();
    case Phase::linger:
    case Phase::closed:
      return close();
  }
}

// Nothing runs: idle_timeout begins.
void Http2Downstream::become_idle() {
  rested_ = listener_->settings->idle_timeout <= kRestsAfter;
  arm(rested_ ? listener_->settings->idle_timeout : kRestsAfter);
}

void Http2Downstream::rest() {
  rested_ = true;
  session_.rest();
  const Duration patience = listener_->settings->idle_timeout;
  arm(patience == kForever ? kForever : patience - kRestsAfter);
}

void Http2Downstream::go_away(ErrorCode code) {
  session_.go_away(code, true);
  begin_close();
}

// What is in the output goes out, then the connection ends in a way that lets the client read it.
void Http2Downstream::begin_close() {
  if (phase_ != Phase::open) return;
  phase_ = Phase::closing;
  // What still comes asks for nothing.
  if (std::exchange(choked_, false) && readable_) context_.loop.mark_ready(*this);
  context_.loop.timers().disarm(frame_timer_);
  arm(listener_->settings->idle_timeout);
  mark_dirty();
}

void Http2Downstream::begin_linger() {
  phase_ = Phase::linger;
  discarded_ = io_.kept();
  io_.keep({});
  io_.shutdown_write();
  linger_began_ = context_.loop.now();
  arm(kLingerGap);
  if (readable_ || peer_fin_) context_.loop.mark_ready(*this);
}

void Http2Downstream::read_linger() {
  const Transport::Input input = io_.read(context_.scratch);
  readable_ = !input.drained;
  discarded_ += input.fresh;
  if (input.wire > 0) listener_->received->add(input.wire);
  const bool too_long = phase_ == Phase::linger && context_.loop.now() - linger_began_ > kLingerTime;
  if (input.status == IoStatus::end || input.status == IoStatus::failed || too_long || discarded_ > kLingerBytes) {
    return close();
  }
  if (phase_ == Phase::linger) arm(kLingerGap);
  if (readable_ || peer_fin_) context_.loop.mark_ready(*this);
}

void Http2Downstream::end_streams() {
  while (!streams_.empty()) streams_.front().on_gone();
}

void Http2Downstream::client_gone() {
  end_streams();
  close();
}

// The client takes nothing any more.
void Http2Downstream::give_up() {
  end_streams();
  if (io_.unsent() > 0) io_.reset();
  close();
}

void Http2Downstream::close() {
  if (phase_ == Phase::closed) return;
  WEIR_ASSERT(streams_.empty());
  phase_ = Phase::closed;
  listener_->held.settle(*this, 0, 0);
  io_.close();
  context_.loop.timers().disarm(timer_);
  context_.loop.timers().disarm(frame_timer_);
  context_.loop.timers().disarm(pace_timer_);
  leave();
  context_.loop.retire(*this);
}

void Http2Downstream::destroy() {
  context_.http2_connections.destroy(this);
}

void Http2Downstream::arm(Duration timeout) {
  context_.loop.timers().arm(timer_, deadline_after(context_.loop.now(), timeout));
}

Result<void> start_http2(WorkerContext& context, LocalRef<ListenerRuntime> listener, Transport&& io,
                         const ConnectionFacts& facts) {
  const bool draining = context.draining || listener->draining;
  Http2Downstream* connection = context.http2_connections.make(context, std::move(listener), facts);
  Result<void> started = connection->start(std::move(io));
  if (!started) {
    connection->cut();
  } else if (draining) {
    connection->drain();
  }
  return started;
}

}  // namespace weir::proxy
