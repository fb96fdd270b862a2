#pragma once

#include <string>
#include <string_view>

#include "http/head.h"
#include "upstream/health/probe_result.h"

// One call of gRPC's own health service (grpc.health.v1.Health/Check): its messages, without their transport. Pure.
namespace weir::health {

inline constexpr std::string_view kGrpcHealthPath = "/grpc.health.v1.Health/Check";

// The body of a call: HealthCheckRequest{service}, as gRPC puts a message into a body. An empty `service` asks for the
// server as a whole.
std::string grpc_request(std::string_view service);
// Of a whole answer with status 200. SERVING is a success; any other health, an error of the call, or a server that
// does not know the service is a failure.
ProbeResult grpc_verdict(const http::ResponseHead& head, const http::FieldList& trailers, std::string_view message);

}  // namespace weir::health
