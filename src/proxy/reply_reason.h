#pragma once

#include <cstdint>
#include <string_view>

#include "http/grpc.h"
#include "http/http1/decoder.h"
#include "upstream/pool/upstream_stream.h"

namespace weir::proxy {

// Why Weir answered a request itself. The text is stable: it is the reply's body, the log's `reason` and a metric's
// label.
enum class ReplyReason : std::uint8_t {
  none,
  bad_request,
  no_route,
  connect_not_allowed,
  request_timeout,
  body_too_large,
  uri_too_long,
  headers_too_large,
  connect_failed,
  upstream_reset,
  upstream_protocol_error,
  upstream_tls_failed,
  no_healthy_backend,
  overloaded,
  upstream_timeout,
  connect_timeout,
  http_version_unsupported,
  response_held,  // only in the log: the response had begun
  count_
};

std::string_view to_string(ReplyReason reason);
std::uint16_t status_of(ReplyReason reason);
// What the answer to a request of gRPC says instead of the status.
grpc::Status grpc_status_of(ReplyReason reason);
ReplyReason reason_of(http1::DecodeError error);
ReplyReason reason_of(UpstreamFailure failure);

}  // namespace weir::proxy
