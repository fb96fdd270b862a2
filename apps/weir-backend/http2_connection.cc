#include "http2_connection.h"

#include <utility>

namespace weir::backend {

using http2::Event;

namespace {

// It serves whoever wants to measure something: floods are not its business.
http2::SessionLimits session_limits() {
  http2::SessionLimits limits;
  limits.concurrent_streams = 1000;
  limits.head = kHeadLimits;
  limits.resets_per_window = UINT32_MAX;
  limits.control_frames_per_window = UINT32_MAX;
  limits.extended_connect = false;
  return limits;
}

}  // namespace

Http2Connection::Http2Connection(Shared& shared, ConnectionOwner& owner, SocketId socket)
    : shared_(shared),
      owner_(owner),
      loop_(shared.loop),
      io_(loop_),
      session_(http2::Role::server, session_limits(), loop_.buffers(), io_.output(), loop_.now()),
      timer_(static_cast<TimerHandler&>(*this)) {
  io_.open(socket);
}

Http2Connection::~Http2Connection() {
  while (!streams_.empty()) {
    Http2Stream& stream = streams_.front();
    session_.reset(stream, http2::ErrorCode::cancel);
    shared_.http2_streams.destroy(&stream);
  }
}

void Http2Connection::start(std::string_view input) {
  mark_dirty();
  decode(input);
  if (state_ != State::closed && !loop_.engine().watch(io_.socket(), *this)) close();
}

void Http2Connection::on_ready(Readiness readiness) {
  if (state_ == State::closed) return;
  if ((readiness.bits & Readiness::failed) != 0) return close();
  if (readiness.peer_gone()) peer_gone_ = true;
  if (readiness.can_write() && io_.unsent() > 0) mark_dirty();
  if (!readiness.can_read()) return;
  readable_ = true;
  read();
}

void Http2Connection::resume() {
  if (state_ == State::closed) return;
  if (session_.sendable()) mark_dirty();
  read();
}

void Http2Connection::read() {
  if (state_ == State::lingering) return discard();
  if (state_ != State::open || choked_) return;
  const bool fresh = readable_ || peer_gone_;
  const Transport::Input input = fresh ? io_.read(shared_.scratch) : io_.reread(shared_.scratch);
  if (fresh) readable_ = !input.drained;
  decode(input.bytes);
  if (state_ != State::open) return;
  if (fresh && (input.status == IoStatus::end || input.status == IoStatus::failed)) return close();
  if ((readable_ || peer_gone_) && !choked_) loop_.mark_ready(*this);
}

void Http2Connection::decode(std::string_view input) {
  while (state_ == State::open && !choked_) {
    const http2::Step step = session_.next(input, loop_.now());
    input.remove_prefix(step.consumed);
    if (step.event == Event::need_more) break;
    handle(step);
    choked_ = io_.unsent() > kOutputHigh;
  }
  mark_dirty();  // the session answers what it reads
  if (state_ == State::open) io_.keep(input);
}

void Http2Connection::handle(const http2::Step& step) {
  const auto stream = [&]() -> Http2Stream& { return static_cast<Http2Stream&>(*step.stream); };
  switch (step.event) {
    case Event::stream_begins: {
      Http2Stream* fresh = shared_.http2_streams.make(*this, shared_);
      streams_.push_back(*fresh);
      return session_.attach(*fresh, fresh->head(), fresh->trailers());
    }
    case Event::head:
      return stream().on_head();
    case Event::body:
      return stream().on_body(step.body);
    case Event::end:
      return stream().on_end();
    case Event::malformed:
      return stream().on_malformed(step.malformed, step.detail);
    case Event::writable:
      return stream().on_writable();
    case Event::reset:
    case Event::closed:
      return stream().over();
    case Event::error:
      end_streams();
      state_ = State::finishing;
      return;
    case Event::need_more:
    case Event::settings:
    case Event::unprocessed:
    case Event::going_away:
    case Event::ping_ack:
    case Event::priority:
      return;
  }
}

void Http2Connection::flush() {
  if (state_ == State::closed || state_ == State::lingering) return;
  session_.pump();
  while (state_ == State::open && session_.has_events()) handle(session_.next({}, loop_.now()));
  std::size_t sent = 0;
  const Transport::Flush result = io_.flush(sent);
  if (result == Transport::Flush::failed) return close();
  if (choked_ && io_.unsent() <= kOutputHigh / 2) {
    choked_ = false;
    loop_.mark_ready(*this);
  }
  if (result != Transport::Flush::done) return;
  if (state_ == State::finishing) {
    state_ = State::lingering;
    io_.shutdown_write();
    loop_.timers().arm(timer_, loop_.now() + kLinger);
    return discard();
  }
  // The output takes so much a turn; the rest goes out in the next one.
  if (session_.sendable()) loop_.mark_ready(*this);
}

void Http2Connection::discard() {
  io_.keep({});
  while (discarded_ <= kLingerBytes) {
    const Transport::Input input = io_.read(shared_.scratch);
    if (input.status == IoStatus::would_block) return;
    if (input.status != IoStatus::ok) return close();
    discarded_ += input.fresh;
  }
  close();
}

void Http2Connection::on_timer(Timer&) {
  close();
}

void Http2Connection::end_streams() {
  while (!streams_.empty()) streams_.front().over();
}

void Http2Connection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  end_streams();
  loop_.timers().disarm(timer_);
  io_.close();
  loop_.retire(*this);
}

void Http2Connection::destroy() {
  owner_.destroyed(*this);
}

}  // namespace weir::backend
