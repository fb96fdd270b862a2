#include "proxy/reply_reason.h"

#include <array>

namespace weir::proxy {

namespace {

struct Entry {
  std::string_view text;
  std::uint16_t status;
};

constexpr std::array<Entry, static_cast<std::size_t>(ReplyReason::count_)> kReasons = {{
    {"", 0},
    {"bad_request", 400},
    {"no_route", 404},
    {"connect_not_allowed", 405},
    {"request_timeout", 408},
    {"body_too_large", 413},
    {"uri_too_long", 414},
    {"headers_too_large", 431},
    {"connect_failed", 502},
    {"upstream_reset", 502},
    {"upstream_protocol_error", 502},
    {"upstream_tls_failed", 502},
    {"no_healthy_backend", 503},
    {"overloaded", 503},
    {"upstream_timeout", 504},
    {"connect_timeout", 504},
    {"http_version_unsupported", 505},
    {"response_held", 503},
}};

}  // namespace

std::string_view to_string(ReplyReason reason) {
  return kReasons[static_cast<std::size_t>(reason)].text;
}
std::uint16_t status_of(ReplyReason reason) {
  return kReasons[static_cast<std::size_t>(reason)].status;
}

grpc::Status grpc_status_of(ReplyReason reason) {
  switch (reason) {
    case ReplyReason::none:
      return grpc::Status::unavailable;
    case ReplyReason::request_timeout:
    case ReplyReason::upstream_timeout:
      return grpc::Status::deadline_exceeded;
    case ReplyReason::body_too_large:
    case ReplyReason::uri_too_long:
    case ReplyReason::headers_too_large:
      return grpc::Status::resource_exhausted;
    default:
      return grpc::status_of_http(status_of(reason));
  }
}

ReplyReason reason_of(http1::DecodeError error) {
  switch (error) {
    case http1::DecodeError::uri_too_long:
      return ReplyReason::uri_too_long;
    case http1::DecodeError::headers_too_large:
      return ReplyReason::headers_too_large;
    case http1::DecodeError::version_unsupported:
      return ReplyReason::http_version_unsupported;
    default:
      return ReplyReason::bad_request;
  }
}

ReplyReason reason_of(UpstreamFailure failure) {
  switch (failure) {
    case UpstreamFailure::connect_refused:
    case UpstreamFailure::connect_failed:
      return ReplyReason::connect_failed;
    case UpstreamFailure::connect_timeout:
      return ReplyReason::connect_timeout;
    case UpstreamFailure::tls_failed:
      return ReplyReason::upstream_tls_failed;
    case UpstreamFailure::protocol_error:
      return ReplyReason::upstream_protocol_error;
    case UpstreamFailure::overloaded:
    case UpstreamFailure::own_trouble:
      return ReplyReason::overloaded;
    case UpstreamFailure::none:
    case UpstreamFailure::reset:
      return ReplyReason::upstream_reset;
  }
  return ReplyReason::upstream_reset;
}

}  // namespace weir::proxy
