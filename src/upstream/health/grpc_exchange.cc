#include "upstream/health/grpc_exchange.h"

#include <fmt/format.h>

#include <array>

namespace weir::health {
namespace {

using http::FieldId;
using http2::Event;

// An answer has a status and no more: five bytes before the message, and few in it.
constexpr std::size_t kPrefixBytes = 5;
constexpr std::size_t kMessageBytesMax = 1024;

http2::SessionLimits limits() {
  http2::SessionLimits limits;
  limits.head = {.header_bytes = 8 * 1024, .headers = 200, .uri_bytes = 1024};
  return limits;
}

void append_varint(std::string& out, std::size_t number) {
  for (; number >= 0x80; number >>= 7U) out += static_cast<char>((number & 0x7fU) | 0x80U);
  out += static_cast<char>(number);
}

// HealthCheckRequest{service}, as gRPC puts a message into a body. A field with its default value is not sent.
std::string request_of(std::string_view service) {
  std::string message;
  if (!service.empty()) {
    message = "\x0a";  // field 1, of a length
    append_varint(message, service.size());
    message += service;
  }
  std::string body(kPrefixBytes, '\0');
  http2::write_u32(body.data() + 1, static_cast<std::uint32_t>(message.size()));
  return body + message;
}

std::optional<std::uint64_t> take_varint(std::string_view& in) {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    number |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if (byte < 0x80) return number;
  }
  return std::nullopt;
}

bool skip(std::string_view& in, std::uint64_t bytes) {
  if (bytes > in.size()) return false;
  in.remove_prefix(static_cast<std::size_t>(bytes));
  return true;
}

// HealthCheckResponse's status (field 1); 0 (UNKNOWN) if it is not said. Other fields are for later versions.
std::optional<std::uint64_t> status_of(std::string_view body) {
  if (body.size() < kPrefixBytes || body[0] != '\0') return std::nullopt;
  if (http2::read_u32(body.data() + 1) != body.size() - kPrefixBytes) return std::nullopt;
  std::string_view in = body.substr(kPrefixBytes);
  std::uint64_t status = 0;
  while (!in.empty()) {
    const auto key = take_varint(in);
    if (!key) return std::nullopt;
    std::optional<std::uint64_t> value;
    switch (*key & 7U) {
      case 0:
        value = take_varint(in);
        if (!value) return std::nullopt;
        if (*key >> 3U == 1) status = *value;
        break;
      case 1:
        if (!skip(in, 8)) return std::nullopt;
        break;
      case 2:
        value = take_varint(in);
        if (!value || !skip(in, *value)) return std::nullopt;
        break;
      case 5:
        if (!skip(in, 4)) return std::nullopt;
        break;
      default:
        return std::nullopt;
    }
  }
  return status;
}

std::string name_of(std::uint64_t status) {
  static constexpr std::string_view kNames[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
  return status < std::size(kNames) ? std::string(kNames[status]) : fmt::format("health status {}", status);
}

std::string name_of(grpc::Status status) {
  switch (status) {
    case grpc::Status::unimplemented:
      return "grpc-status 12: it has no health service";
    case grpc::Status::not_found:
      return "grpc-status 5: it does not know the service";
    default:
      return fmt::format("grpc-status {}", grpc::to_string(status));
  }
}

ProbeResult failure(std::string reason) {
  return {Outcome::failure, std::move(reason)};
}

}  // namespace

GrpcExchange::GrpcExchange(BufferPool& pool, const HealthCheckSettings& settings, std::string_view authority,
                           bool secure, TimePoint now)
    : output_(pool),
      arena_(pool),
      head_(arena_),
      trailers_(arena_),
      call_(pool),
      session_(http2::Role::client, limits(), pool, output_, now) {
  ask(settings, authority, secure, pool);
}

void GrpcExchange::ask(const HealthCheckSettings& settings, std::string_view authority, bool secure, BufferPool& pool) {
  Arena arena(pool);
  http::RequestHead head(arena);
  head.method = http::Method::post;
  head.method_text = "POST";
  head.target = head.path = "/grpc.health.v1.Health/Check";
  head.authority = authority;
  head.version = http::Version::http_2;
  head.body = http::BodyKind::stream_end;
  head.fields.add("content-type", "application/grpc", FieldId::content_type);
  head.fields.add("te", "trailers", FieldId::te);
  head.fields.add("user-agent", "weir-health-check", FieldId::other);
  std::array<char, grpc::kTimeoutSize> room;
  if (settings.timeout < kForever) {
    head.fields.add("grpc-timeout", grpc::format_timeout(settings.timeout, room), FieldId::other);
  }
  session_.open(call_, head, secure ? "https" : "http", false, head_, trailers_);
  session_.send_body(call_, request_of(settings.service));
  session_.send_end(call_, nullptr);
  session_.pump();
}

std::string GrpcExchange::take_output() {
  std::string taken;
  output_.for_each_piece([&taken](std::string_view piece) { taken += piece; });
  output_.clear();
  return taken;
}

std::optional<ProbeResult> GrpcExchange::receive(std::string_view bytes, TimePoint now) {
  input_ += bytes;
  std::size_t used = 0;
  std::optional<ProbeResult> result;
  for (;;) {
    const http2::Step step = session_.next(std::string_view(input_).substr(used), now);
    used += step.consumed;
    if (step.event == Event::need_more) break;
    result = on_step(step);
    if (result) break;
  }
  input_.erase(0, used);
  session_.pump();
  return result;
}

std::optional<ProbeResult> GrpcExchange::on_step(const http2::Step& step) {
  switch (step.event) {
    case Event::head:
      if (head_.status < 200) return std::nullopt;
      head_read_ = true;
      if (head_.status != 200) return failure(fmt::format("status {}", head_.status));
      return std::nullopt;
    case Event::body:
      message_ += step.body;
      if (message_.size() > kMessageBytesMax) return failure("its answer is too long");
      return std::nullopt;
    case Event::end:
      return verdict();
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
      return std::nullopt;
  }
  return std::nullopt;
}

ProbeResult GrpcExchange::verdict() const {
  if (!grpc::is_grpc(head_.fields)) return failure("its answer is not gRPC's");
  std::optional<grpc::Status> outcome = grpc::status_in(trailers_);
  // Without a body it may stand in the head.
  if (!outcome && message_.empty()) outcome = grpc::status_in(head_.fields);
  if (!outcome) return failure("its answer has no grpc-status");
  if (*outcome != grpc::Status::ok) return failure(name_of(*outcome));
  const auto status = status_of(message_);
  if (!status) return failure("its answer can't be read");
  constexpr std::uint64_t kServing = 1;
  return {*status == kServing ? Outcome::success : Outcome::failure, name_of(*status)};
}

ProbeResult GrpcExchange::ended() const {
  if (head_read_) return failure("closed inside its answer");
  return failure(session_.settings_received() ? "closed before it answered" : "it does not speak HTTP/2");
}

}  // namespace weir::health
