#include "backend_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "http/http1/encoder.h"
#include "http/http2/session.h"

namespace weir::backend {
namespace {

// One connection's share of a turn.
constexpr std::size_t kReadsPerTurn = 4;
constexpr std::uint64_t kPatternPerTurn = 1024 * 1024;
// /bytes up to this goes out with its head in one piece.
constexpr std::uint64_t kSmallBytes = 16 * 1024;

int status_of(http1::DecodeError error) {
  switch (error) {
    case http1::DecodeError::uri_too_long:
      return 414;
    case http1::DecodeError::headers_too_large:
      return 431;
    case http1::DecodeError::version_unsupported:
      return 505;
    default:
      return 400;
  }
}

}  // namespace

BackendConnection::BackendConnection(Shared& shared, ConnectionOwner& owner, SocketId socket)
    : shared_(shared),
      owner_(owner),
      loop_(shared.loop),
      socket_(socket),
      undecided_(shared.options.protocol == Protocol::any),
      arena_(loop_.buffers()),
      head_(arena_),
      trailers_(arena_),
      output_(loop_.buffers()),
      timer_(*this) {}

BackendConnection::~BackendConnection() {
  if (socket_ != kNoSocket) loop_.engine().close(socket_);
}

void BackendConnection::start() {
  if (!loop_.engine().watch(socket_, *this)) close();
}

void BackendConnection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  loop_.timers().disarm(timer_);
  loop_.engine().close(std::exchange(socket_, kNoSocket));
  loop_.retire(*this);
}

void BackendConnection::destroy() {
  owner_.destroyed(*this);
}

void BackendConnection::on_ready(Readiness readiness) {
  if (state_ == State::closed) return;
  if ((readiness.bits & Readiness::failed) != 0) return close();
  if (readiness.peer_gone()) peer_gone_ = true;
  if (readiness.can_read()) {
    if (state_ == State::lingering) return discard();
    process();
  }
  if (state_ != State::closed && readiness.can_write() && (!output_.empty() || bytes_left_ > 0))
    loop_.mark_dirty(*this);
  // It took long to compute, and so do the answers of the turn's other connections: don't let it wait for them.
  if (std::exchange(computed_, false)) flush();
}

void BackendConnection::resume() {
  if (state_ == State::sending) return loop_.mark_dirty(*this);
  if (state_ != State::closed) process();
}

// Decodes what is left over, then reads on, until nothing comes, an answer is in the way, or the share of the turn is
// used.
void BackendConnection::process() {
  paused_ = false;
  if (!input_.empty() && !blocked()) {
    const std::string input = std::exchange(input_, {});
    decode(input);
  }
  for (std::size_t reads = 0; !blocked(); ++reads) {
    if (reads == kReadsPerTurn) return loop_.mark_ready(*this);
    if (!read_more()) return;
  }
  paused_ = true;
}

bool BackendConnection::read_more() {
  const std::span<char> scratch(shared_.scratch.reserve(ReadScratch::kReadBytes), ReadScratch::kReadBytes);
  const IoResult read = loop_.engine().read(socket_, scratch);
  if (read.status == IoStatus::would_block) return false;
  if (read.status == IoStatus::end && decoder_.between_messages() && (!output_.empty() || bytes_left_ > 0)) {
    // A half-close behind complete requests: they are still answered.
    keep_alive_ = false;
    state_ = State::finishing;
    return false;
  }
  if (read.status != IoStatus::ok) {
    close();
    return false;
  }
  const std::string_view fresh(scratch.data(), read.bytes);
  if (input_.empty()) {
    decode(fresh);
  } else {
    std::string input = std::exchange(input_, {});
    input += fresh;
    decode(input);
  }
  // A short read has drained the socket, but for a FIN that the same edge told of.
  return read.bytes == scratch.size() || peer_gone_ || blocked();
}

// Keeps what it could not use in input_, which is empty.
void BackendConnection::decode(std::string_view input) {
  if (undecided_ && look_for_preface(input)) return;
  const std::size_t used = decode_some(input);
  if (state_ != State::closed && state_ != State::finishing) input_.assign(input.substr(used));
}

// True if what came is HTTP/2's preface, or may become it: the connection has another owner, or waits for more.
bool BackendConnection::look_for_preface(std::string_view input) {
  constexpr std::string_view kPreface = http2::Session::kPreface;
  const std::size_t size = std::min(input.size(), kPreface.size());
  undecided_ = input.substr(0, size) == kPreface.substr(0, size);
  if (!undecided_) return false;
  if (size < kPreface.size()) {
    input_.assign(input);
    return true;
  }
  state_ = State::closed;
  loop_.retire(*this);
  owner_.speaks_http2(std::exchange(socket_, kNoSocket), input);
  return true;
}

std::size_t BackendConnection::decode_some(std::string_view input) {
  std::size_t used = 0;
  while (!blocked()) {
    if (used == input.size() && decoder_.between_messages()) return used;
    const http1::Step step = decoder_.next(input.substr(used), head_, trailers_, kHeadLimits);
    used += step.consumed;
    switch (step.event) {
      case http1::Event::need_more:
        return used;
      case http1::Event::head:
        on_head();
        break;
      case http1::Event::body:
        on_body(step.body);
        break;
      case http1::Event::end:
        on_end();
        break;
      case http1::Event::error:
        if (echoing_) {
          close();  // the answer is under way: it must not look complete
          return used;
        }
        keep_alive_ = false;
        head_only_ = false;
        reply(status_of(step.error), kText, fmt::format("{}\n", step.detail));
        state_ = State::finishing;
        return used;
    }
  }
  return used;
}

void BackendConnection::on_head() {
  wish_ = parse_wish(head_.path);
  keep_alive_ = head_.keep_alive;
  http_1_0_ = head_.version == http::Version::http_1_0;
  head_only_ = head_.method == http::Method::head;
  at_end_ = false;
  const bool has_body =
      head_.body == http::BodyKind::chunked || (head_.body == http::BodyKind::length && head_.content_length > 0);
  fails_ = shared_.draw_failure();
  echoing_ = wish_.action == Action::echo && has_body && !fails_;
  echo_chunked_ = head_.body == http::BodyKind::chunked;
  echo_length_ = head_.content_length;
  if (head_.expect_continue && has_body) {
    output_.append("HTTP/1.1 100 Continue\r\n\r\n");
    loop_.mark_dirty(*this);
  }
  head_.clear();
  if (echoing_ && !delay()) begin_echo();
}

void BackendConnection::on_body(std::string_view piece) {
  if (!echoing_ || head_only_) return;
  if (echo_chunked_) {
    http1::write_chunk(output_, piece);
  } else {
    output_.append(piece);
  }
  loop_.mark_dirty(*this);
}

void BackendConnection::on_end() {
  at_end_ = true;
  if (echoing_) {
    if (echo_chunked_ && !head_only_) http1::write_last_chunk(output_, &trailers_);
    loop_.mark_dirty(*this);
    message_done();
  } else if (!delay()) {
    answer();
  }
}

// True if the answer has to wait; after_delay() goes on.
bool BackendConnection::delay() {
  const Duration wait = shared_.draw_delay();
  if (wait == Duration{}) return false;
  state_ = State::delaying;
  loop_.timers().arm(timer_, loop_.now() + wait);
  return true;
}

void BackendConnection::on_timer(Timer&) {
  if (state_ == State::lingering) return close();
  if (state_ == State::delaying) after_delay();
}

void BackendConnection::after_delay() {
  state_ = State::reading;
  if (at_end_) {
    answer();
  } else {
    begin_echo();
  }
  if (state_ == State::reading && paused_) loop_.mark_ready(*this);
}

void BackendConnection::begin_echo() {
  write_head(200, kBinary, echo_length_, echo_chunked_);
}

void BackendConnection::answer() {
  if (fails_) {
    reply(500, kText, "failed as asked by FAIL_PCT\n");
    return message_done();
  }
  switch (wish_.action) {
    case Action::echo:
      reply(200, kText, shared_.name + "\n");
      break;
    case Action::health:
      reply(200, kText, "ok\n");
      break;
    case Action::hash:
      answer_hash();
      break;
    case Action::metrics:
      reply(200, "text/plain; version=0.0.4", render_hash_metrics(shared_.all_counts));
      break;
    case Action::bad_size:
      reply(400, kText, "size must be a number of bytes\n");
      break;
    case Action::not_found:
      reply(404, kText, "not found\n");
      break;
    case Action::bytes:
      if (wish_.size <= kSmallBytes) {
        reply(200, kBinary, std::string_view(shared_.pattern).substr(0, wish_.size));
        break;
      }
      write_head(200, kBinary, wish_.size);
      if (head_only_) break;
      bytes_left_ = wish_.size;
      bytes_sent_ = 0;
      state_ = State::sending;
      return;
  }
  message_done();
}

void BackendConnection::answer_hash() {
  // The loop's time stands still within a turn.
  const auto began = std::chrono::steady_clock::now();
  reply(200, "application/json", hash_json(wish_.input, loop_.wall_now()));
  shared_.counts.observe(std::chrono::steady_clock::now() - began);
  computed_ = true;
}

void BackendConnection::write_head(int status, std::string_view content_type, std::uint64_t length, bool chunked) {
  fmt::memory_buffer head;
  auto out = std::back_inserter(head);
  fmt::format_to(out, "HTTP/1.1 {} {}\r\ndate: {}\r\ncontent-type: {}\r\nx-backend-name: {}\r\n", status,
                 http1::reason_phrase(static_cast<std::uint16_t>(status)), shared_.date.at(loop_.wall_now()),
                 content_type, shared_.name);
  if (chunked) {
    fmt::format_to(out, "transfer-encoding: chunked\r\n");
  } else {
    fmt::format_to(out, "content-length: {}\r\n", length);
  }
  fmt::format_to(out, "{}",
                 !keep_alive_ ? "connection: close\r\n\r\n"
                 : http_1_0_  ? "connection: keep-alive\r\n\r\n"
                              : "\r\n");
  output_.append({head.data(), head.size()});
  loop_.mark_dirty(*this);
}

void BackendConnection::reply(int status, std::string_view content_type, std::string_view body) {
  write_head(status, content_type, body.size());
  if (!head_only_) output_.append(body);
}

// Request and answer are complete, but for output that waits.
void BackendConnection::message_done() {
  echoing_ = false;
  head_.clear();
  trailers_.clear();
  arena_.clear();
  state_ = keep_alive_ ? State::reading : State::finishing;
}

void BackendConnection::flush() {
  if (state_ == State::closed || state_ == State::lingering) return;
  while (!output_.empty()) {
    std::array<iovec, 64> pieces;
    const std::size_t count = output_.gather(pieces);
    const IoResult written = loop_.engine().write(socket_, std::span(pieces.data(), count), bytes_left_ > 0);
    if (written.status == IoStatus::would_block) return;
    if (written.status != IoStatus::ok) return close();
    output_.consume(written.bytes);
  }
  if (state_ == State::sending) {
    if (!write_pattern()) return;
    message_done();
  }
  if (state_ == State::finishing) return linger();
  // What reading paused for has gone.
  if (state_ == State::reading && paused_) loop_.mark_ready(*this);
}

// True if the whole pattern is out.
bool BackendConnection::write_pattern() {
  std::uint64_t share = kPatternPerTurn;
  while (bytes_left_ > 0 && share > 0) {
    const std::size_t offset = bytes_sent_ % kPatternPeriod;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(bytes_left_, shared_.pattern.size() - offset));
    const iovec piece{shared_.pattern.data() + offset, size};
    const IoResult written = loop_.engine().write(socket_, std::span(&piece, 1), bytes_left_ > size);
    if (written.status == IoStatus::would_block) return false;
    if (written.status != IoStatus::ok) {
      close();
      return false;
    }
    bytes_left_ -= written.bytes;
    bytes_sent_ += written.bytes;
    share -= std::min<std::uint64_t>(share, written.bytes);
  }
  // The others' turn; resume() comes back here.
  if (bytes_left_ > 0) loop_.mark_ready(*this);
  return bytes_left_ == 0;
}

void BackendConnection::linger() {
  state_ = State::lingering;
  loop_.engine().shutdown_write(socket_);
  loop_.timers().arm(timer_, loop_.now() + kLinger);
  discard();
}

void BackendConnection::discard() {
  const std::span<char> scratch(shared_.scratch.reserve(ReadScratch::kReadBytes), ReadScratch::kReadBytes);
  while (discarded_ <= kLingerBytes) {
    const IoResult read = loop_.engine().read(socket_, scratch);
    if (read.status == IoStatus::would_block) return;
    if (read.status != IoStatus::ok) return close();
    discarded_ += read.bytes;
  }
  close();
}

}  // namespace weir::backend
