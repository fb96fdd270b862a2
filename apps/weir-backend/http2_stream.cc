#include "http2_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "http2_connection.h"

namespace weir::backend {

using http::FieldId;
using http2::Session;

namespace {

// How much of a long body is handed to the session at once.
constexpr std::uint64_t kPatternPiece = 64 * 1024;

int status_of(http2::MalformedKind kind) {
  switch (kind) {
    case http2::MalformedKind::uri_too_long:
      return 414;
    case http2::MalformedKind::headers_too_large:
      return 431;
    default:
      return 400;
  }
}

}  // namespace

Http2Stream::Http2Stream(Http2Connection& connection, Shared& shared)
    : http2::SessionStream(shared.loop.buffers()),
      connection_(connection),
      shared_(shared),
      timer_(static_cast<TimerHandler&>(*this)),
      arena_(shared.loop.buffers()),
      head_(arena_),
      trailers_(arena_),
      waiting_(shared.loop.buffers()) {}

void Http2Stream::on_head() {
  wish_ = parse_wish(head_.path);
  const bool has_body =
      head_.body == http::BodyKind::stream_end || (head_.body == http::BodyKind::length && head_.content_length > 0);
  fails_ = shared_.draw_failure();
  echoing_ = wish_.action == Action::echo && has_body && !fails_;
  if (head_.expect_continue && has_body) {
    http::ResponseHead interim(arena_);
    interim.status = 100;
    connection_.session().send_head(*this, interim, false);
  }
  if (echoing_ && !delay()) begin_echo();
}

void Http2Stream::on_body(std::string_view data) {
  held_ += data.size();
  if (echoing_ && head_.method != http::Method::head) {
    // The window bounds what may wait.
    if (!head_out_) return waiting_.append(data);
    echo(data);
  }
  on_writable();
}

void Http2Stream::on_end() {
  at_end_ = true;
  if (echoing_) {
    if (head_out_) end(&trailers_);
  } else if (!delay()) {
    answer();
  }
}

void Http2Stream::on_malformed(http2::MalformedKind kind, std::string_view detail) {
  fmt::memory_buffer text;
  fmt::format_to(std::back_inserter(text), "{}\n", detail);
  reply(status_of(kind), kText, {text.data(), text.size()});
}

// What was sent makes room for more, on either side.
void Http2Stream::on_writable() {
  if (over_ || pending() > Session::kLowWatermark) return;
  if (held_ > 0) connection_.session().consumed(*this, std::exchange(held_, 0), shared_.loop.now());
  if (bytes_left_ > 0) send_pattern();
}

// True if the answer has to wait; on_timer() goes on.
bool Http2Stream::delay() {
  const Duration wait = shared_.draw_delay();
  if (wait == Duration{}) return false;
  shared_.loop.timers().arm(timer_, shared_.loop.now() + wait);
  return true;
}

void Http2Stream::on_timer(Timer&) {
  if (!echoing_) return answer();
  begin_echo();
  waiting_.for_each_piece([this](std::string_view piece) { echo(piece); });
  waiting_.clear();
  on_writable();
  if (at_end_) end(&trailers_);
}

void Http2Stream::begin_echo() {
  const bool with_length = head_.body == http::BodyKind::length;
  send_head(200, kBinary, with_length, head_.content_length, false);
}

void Http2Stream::echo(std::string_view data) {
  connection_.session().send_body(*this, data);
  connection_.mark_dirty();
}

void Http2Stream::answer() {
  if (fails_) return reply(500, kText, "failed as asked by FAIL_PCT\n");
  switch (wish_.action) {
    case Action::echo: {
      fmt::memory_buffer line;
      fmt::format_to(std::back_inserter(line), "{}\n", shared_.name);
      return reply(200, kText, {line.data(), line.size()});
    }
    case Action::health:
      return reply(200, kText, "ok\n");
    case Action::hash:
      return answer_hash();
    case Action::metrics:
      return reply(200, "text/plain; version=0.0.4", render_hash_metrics(shared_.all_counts));
    case Action::bad_size:
      return reply(400, kText, "size must be a number of bytes\n");
    case Action::not_found:
      return reply(404, kText, "not found\n");
    case Action::bytes:
      break;
  }
  const bool bodiless = head_.method == http::Method::head || wish_.size == 0;
  send_head(200, kBinary, true, wish_.size, bodiless);
  if (bodiless) return over();
  bytes_left_ = wish_.size;
  send_pattern();
}

void Http2Stream::answer_hash() {
  // The loop's time stands still within a turn.
  const auto began = std::chrono::steady_clock::now();
  reply(200, "application/json", hash_json(wish_.input, shared_.loop.wall_now()));
  shared_.counts.observe(std::chrono::steady_clock::now() - began);
}

void Http2Stream::send_pattern() {
  while (bytes_left_ > 0 && pending() <= Session::kLowWatermark) {
    const std::size_t offset = bytes_sent_ % kPatternPeriod;
    const auto size = static_cast<std::size_t>(std::min(bytes_left_, kPatternPiece));
    connection_.session().send_body(*this, std::string_view(shared_.pattern).substr(offset, size));
    bytes_left_ -= size;
    bytes_sent_ += size;
  }
  connection_.mark_dirty();
  if (bytes_left_ == 0) end(nullptr);
}

void Http2Stream::send_head(int status, std::string_view content_type, bool with_length, std::uint64_t length,
                            bool end) {
  http::ResponseHead head(arena_);
  head.status = static_cast<std::uint16_t>(status);
  head.fields.add("date", shared_.date.at(shared_.loop.wall_now()), FieldId::date);
  head.fields.add("content-type", content_type, FieldId::content_type);
  head.fields.add("x-backend-name", shared_.name, FieldId::other);
  char digits[20];
  if (with_length) {
    const auto [stop, error] = std::to_chars(std::begin(digits), std::end(digits), length);
    head.fields.add("content-length", {digits, static_cast<std::size_t>(stop - digits)}, FieldId::content_length);
  }
  connection_.session().send_head(*this, head, end);
  connection_.mark_dirty();
  head_out_ = true;
}

void Http2Stream::reply(int status, std::string_view content_type, std::string_view body) {
  const bool bodiless = head_.method == http::Method::head || body.empty();
  send_head(status, content_type, true, body.size(), bodiless);
  if (bodiless) return over();
  connection_.session().send_body(*this, body);
  end(nullptr);
}

void Http2Stream::end(const http::FieldList* trailers) {
  const bool any = trailers != nullptr && trailers->size() > 0;
  connection_.session().send_end(*this, any ? trailers : nullptr);
  connection_.mark_dirty();
  if (detached()) over();
}

void Http2Stream::over() {
  if (std::exchange(over_, true)) return;
  connection_.session().reset(*this, http2::ErrorCode::cancel);
  shared_.loop.timers().disarm(timer_);
  ListNode<OwnedTag>::unlink();
  shared_.loop.retire(*this);
}

void Http2Stream::destroy() {
  shared_.http2_streams.destroy(this);
}

}  // namespace weir::backend
