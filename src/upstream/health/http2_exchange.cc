#include "upstream/health/http2_exchange.h"

#include <fmt/format.h>

#include <array>

#include "http/grpc.h"
#include "upstream/health/answer.h"
#include "upstream/health/grpc_call.h"

namespace weir::health {
namespace {

using http::FieldId;
using http2::Event;

// The answer to a call has a health and no more.
constexpr std::size_t kMessageBytesMax = 1024;

http2::SessionLimits limits_of(const HealthCheckSettings& settings) {
  http2::SessionLimits limits;
  limits.head = settings.head_limits;
  return limits;
}

ProbeResult failure(std::string reason) {
  return {Outcome::failure, std::move(reason)};
}

}  // namespace

Http2Exchange::Http2Exchange(BufferPool& pool, const HealthCheckSettings& settings, std::string_view authority,
                             bool secure, TimePoint now)
    : settings_(settings),
      output_(pool),
      arena_(pool),
      head_(arena_),
      trailers_(arena_),
      question_(pool),
      session_(http2::Role::client, limits_of(settings), pool, output_, now) {
  ask(authority, secure, pool);
}

void Http2Exchange::ask(std::string_view authority, bool secure, BufferPool& pool) {
  Arena arena(pool);
  http::RequestHead head(arena);
  head.method = calls() ? http::Method::post : http::Method::get;
  head.method_text = calls() ? "POST" : "GET";
  head.target = head.path = calls() ? kGrpcHealthPath : settings_.path;
  head.authority = authority;
  head.version = http::Version::http_2;
  head.fields.add("user-agent", kUserAgent, FieldId::other);
  std::array<char, grpc::kTimeoutSize> room;
  if (calls()) {
    head.body = http::BodyKind::stream_end;
    head.fields.add("content-type", "application/grpc", FieldId::content_type);
    head.fields.add("te", "trailers", FieldId::te);
    if (settings_.timeout < kForever) {
      head.fields.add("grpc-timeout", grpc::format_timeout(settings_.timeout, room), FieldId::other);
    }
  } else {
    head.fields.add("accept", "*/*", FieldId::other);
  }
  session_.open(question_, head, secure ? "https" : "http", !calls(), head_, trailers_);
  if (calls()) {
    session_.send_body(question_, grpc_request(settings_.service));
    session_.send_end(question_, nullptr);
  }
  session_.pump();
}

std::string Http2Exchange::take_output() {
  std::string taken;
  output_.for_each_piece([&taken](std::string_view piece) { taken += piece; });
  output_.clear();
  return taken;
}

std::optional<ProbeResult> Http2Exchange::receive(std::string_view bytes, TimePoint now) {
  input_ += bytes;
  std::size_t used = 0;
  std::optional<ProbeResult> result;
  for (;;) {
    const http2::Step step = session_.next(std::string_view(input_).substr(used), now);
    used += step.consumed;
    if (step.event == Event::need_more) break;
    result = on_step(step, now);
    if (result) break;
  }
  input_.erase(0, used);
  session_.pump();
  return result;
}

std::optional<ProbeResult> Http2Exchange::on_step(const http2::Step& step, TimePoint now) {
  switch (step.event) {
    case Event::head:
      return on_head();
    case Event::body:
      return on_body(step.body, now);
    case Event::end:
      return on_end();
    case Event::reset:
      return failure(fmt::format("stream reset: {}", http2::to_string(step.error)));
    case Event::unprocessed:
      return failure("it takes no more requests");
    case Event::malformed:
    case Event::error:
      return failure(fmt::format("bad answer: {}", step.detail));
    case Event::need_more:
    case Event::stream_begins:
    case Event::writable:
    case Event::closed:
    case Event::settings:
    case Event::going_away:
    case Event::ping_ack:
    case Event::priority:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<ProbeResult> Http2Exchange::on_head() {
  if (head_.status < 200) return std::nullopt;
  head_read_ = true;
  if (calls() && head_.status != 200) return failure(fmt::format("status {}", head_.status));
  if (!calls() && !settings_.expects(head_.status)) return status_verdict(settings_, head_.status);
  return std::nullopt;
}

std::optional<ProbeResult> Http2Exchange::on_body(std::string_view piece, TimePoint now) {
  if (calls()) {
    message_ += piece;
    if (message_.size() > kMessageBytesMax) return failure("its answer is too long");
    return std::nullopt;
  }
  body_bytes_ += piece.size();
  if (body_bytes_ > kBodyBytesMax) return status_verdict(settings_, head_.status);
  session_.consumed(question_, piece.size(), now);
  return std::nullopt;
}

ProbeResult Http2Exchange::on_end() const {
  return calls() ? grpc_verdict(head_, trailers_, message_) : status_verdict(settings_, head_.status);
}

ProbeResult Http2Exchange::ended() const {
  if (head_read_) return failure("closed inside its answer");
  return failure(spoken() ? "closed before it answered" : "it does not speak HTTP/2");
}

}  // namespace weir::health
