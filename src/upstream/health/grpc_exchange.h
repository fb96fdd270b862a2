#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "http/grpc.h"
#include "http/http2/session.h"
#include "upstream/health/health_settings.h"
#include "upstream/health/probe_result.h"

namespace weir::health {

// One call of gRPC's own health service (grpc.health.v1.Health/Check) over HTTP/2, as its client: bytes in, bytes out.
// SERVING is a success; any other status, an error of the call, or a server that does not know the service is a
// failure. A result ends it. One thread.
class GrpcExchange {
 public:
  // `authority` is said to the server; `secure`: the bytes go over TLS.
  GrpcExchange(BufferPool& pool, const HealthCheckSettings& settings, std::string_view authority, bool secure,
               TimePoint now);
  GrpcExchange(const GrpcExchange&) = delete;
  GrpcExchange& operator=(const GrpcExchange&) = delete;
  ~GrpcExchange() = default;

  // What is to be sent now, behind what was taken before.
  std::string take_output();
  // Bytes that came.
  std::optional<ProbeResult> receive(std::string_view bytes, TimePoint now);
  // The server has closed.
  ProbeResult ended() const;

 private:
  struct Call final : http2::SessionStream {
    using SessionStream::SessionStream;
  };

  void ask(const HealthCheckSettings& settings, std::string_view authority, bool secure, BufferPool& pool);
  std::optional<ProbeResult> on_step(const http2::Step& step);
  ProbeResult verdict() const;

  Buffer output_;
  Arena arena_;
  http::ResponseHead head_;
  http::FieldList trailers_;
  Call call_;  // outlives its place in the session
  http2::Session session_;
  std::string input_;    // that makes no whole frame yet
  std::string message_;  // of the answer
  bool head_read_ = false;
};

}  // namespace weir::health
