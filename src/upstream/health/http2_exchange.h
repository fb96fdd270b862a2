#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "http/http2/session.h"
#include "upstream/health/health_settings.h"
#include "upstream/health/probe_result.h"

namespace weir::health {

// One question over HTTP/2 and its answer, as the client of a connection of its own: bytes in, bytes out. For `type:
// http` a GET whose status counts, else a call of gRPC's health service. A result ends it. One thread.
class Http2Exchange {
 public:
  // `settings` outlives it. `authority` is said to the server; `secure`: the bytes go over TLS.
  Http2Exchange(BufferPool& pool, const HealthCheckSettings& settings, std::string_view authority, bool secure,
                TimePoint now);
  Http2Exchange(const Http2Exchange&) = delete;
  Http2Exchange& operator=(const Http2Exchange&) = delete;
  ~Http2Exchange() = default;

  // What is to be sent now, behind what was taken before.
  std::string take_output();
  // Bytes that came.
  std::optional<ProbeResult> receive(std::string_view bytes, TimePoint now);
  // The server has closed.
  ProbeResult ended() const;

  // The connection is about to be closed: take_output() then has the GOAWAY that says so (RFC 9113 6.8).
  void leave() { session_.go_away(http2::ErrorCode::no_error, true); }

  // The server has begun as HTTP/2 wants it.
  bool spoken() const { return session_.settings_received(); }
  // It has begun to answer; 1xx do not count.
  bool head_read() const { return head_read_; }

 private:
  struct Question final : http2::SessionStream {
    using SessionStream::SessionStream;
  };

  void ask(std::string_view authority, bool secure, BufferPool& pool);
  bool calls() const { return settings_.type == CheckType::grpc; }
  std::optional<ProbeResult> on_step(const http2::Step& step, TimePoint now);
  std::optional<ProbeResult> on_head();
  std::optional<ProbeResult> on_body(std::string_view piece, TimePoint now);
  ProbeResult on_end() const;

  const HealthCheckSettings& settings_;
  Buffer output_;
  Arena arena_;
  http::ResponseHead head_;
  http::FieldList trailers_;
  Question question_;  // outlives its place in the session
  http2::Session session_;
  std::string input_;           // that makes no whole frame yet
  std::string message_;         // of a call's answer
  std::size_t body_bytes_ = 0;  // of a GET's
  bool head_read_ = false;
};

}  // namespace weir::health
