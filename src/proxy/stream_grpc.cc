#include "http/grpc.h"
#include "proxy/stream.h"

// What Stream does differently for a request of gRPC.
namespace weir::proxy {

using http::FieldId;

// The client's own deadline: it holds for the whole exchange, all attempts together, if it comes before the configured
// one. `total` becomes the smaller of the two. False: it can't be read.
bool Stream::limit_by_grpc_timeout(Duration& total) {
  const http::Field* given = request_.fields.find("grpc-timeout");
  if (given == nullptr) return true;
  const std::optional<Duration> timeout = grpc::parse_timeout(given->value());
  if (!timeout) return false;
  for (const http::Field& field : request_.fields) {
    if (&field != given && !field.removed && http::equals_ignoring_case(field.name(), "grpc-timeout")) return false;
  }
  total = std::min(total, *timeout);
  grpc_deadline_ = deadline_after(context_.loop.now(), total);
  return true;
}

// The backend is told what is left of the deadline.
void Stream::say_grpc_timeout() {
  if (grpc_deadline_ == kNever) return;
  for (http::Field& field : request_.fields) {
    if (field.removed || !http::equals_ignoring_case(field.name(), "grpc-timeout")) continue;
    if (grpc_timeout_text_ == nullptr) grpc_timeout_text_ = arena_.allocate(grpc::kTimeoutSize);
    const std::span<char, grpc::kTimeoutSize> room(grpc_timeout_text_, grpc::kTimeoutSize);
    const std::string_view text = grpc::format_timeout(grpc_deadline_ - context_.loop.now(), room);
    field.value_data = text.data();
    field.value_size = static_cast<std::uint32_t>(text.size());
  }
}

// A local reply: a head alone, in which the status and the reason stand.
void Stream::reply_to_grpc(ReplyReason reason) {
  http::ResponseHead head(arena_);
  head.status = 200;
  head.body = http::BodyKind::none;
  head.fields.add("content-type", "application/grpc", FieldId::content_type);
  head.fields.add("grpc-status", grpc::to_string(grpc_status_of(reason)), FieldId::other);
  head.fields.add("grpc-message", grpc::encode_message(to_string(reason), arena_), FieldId::other);
  // In HTTP/1 nothing else would say that no body follows.
  if (request_.version != http::Version::http_2) head.fields.add("content-length", "0", FieldId::content_length);
  prepare(head);
  status_ = head.status;
  advance(ResponseEvent::head_sent);
  client_->send_head(head);
  advance(ResponseEvent::end_sent);
  client_->send_end(nullptr);
  finish();
}

// What the exchange ended with, as the client sees it.
grpc::Status Stream::grpc_outcome() const {
  if (reason_ != ReplyReason::none) return grpc_status_of(reason_);
  if (response_ != ResponsePhase::done) return grpc::Status::cancelled;
  return grpc_status_ ? *grpc_status_ : grpc::status_of_http(status_);
}

void Stream::record_grpc(RouteRuntime& route) {
  const grpc::Status status = grpc_outcome();
  const std::string_view name = route.route == nullptr ? std::string_view() : std::string_view(route.route->name);
  route.grpc_requests
      .get(static_cast<std::uint32_t>(status),
           [&] { return context_.metrics.counter(observe::Family::kGrpcRequests, {name, grpc::to_string(status)}); })
      .add(1);
}

}  // namespace weir::proxy
