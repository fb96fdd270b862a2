#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "http/http1/decoder.h"
#include "upstream/health/health_settings.h"
#include "upstream/health/probe_result.h"
#include "upstream/probe_connection.h"

namespace weir::health {

class Http2Exchange;

// How a backend has begun, on one connection.
enum class Heard : std::uint8_t {
  nothing,  // not connected, or no byte and no end yet
  end,      // it closed without a word
  http1,
  http2,
  other,
};

// One try at one backend: connect and, for HTTP and gRPC, ask and read the answer. The owner hands in readiness and
// keeps the deadline; a result ends the probe, which is then only good to be destroyed (that closes the socket). Memory
// for the answer is taken when it comes, not while waiting. One thread.
class HealthProbe {
 public:
  // `settings` and `host` must outlive the probe. Over TLS if `tls_host` is not empty: ALPN then says which HTTP it is.
  // In the clear `http2` does.
  HealthProbe(EventLoop& loop, const HealthCheckSettings& settings, const SocketAddress& address, std::string_view host,
              std::string_view tls_host, bool http2);
  HealthProbe(const HealthProbe&) = delete;
  HealthProbe& operator=(const HealthProbe&) = delete;
  // Says goodbye as far as that can be said at once.
  ~HealthProbe();

  // Starts to connect; `handler` gets the readiness and passes it to advance(). A result if it is over already.
  std::optional<ProbeResult> start(ReadinessHandler& handler);
  std::optional<ProbeResult> advance(Readiness readiness);
  // What it was waiting for, for the reason of a timeout: "connecting", "in the TLS handshake", "waiting for the
  // answer".
  std::string_view waiting_for() const;

  // What a check over HTTP has asked in, and what it met.
  bool http2() const { return http2_; }
  Heard heard() const { return heard_; }

 private:
  ProbeResult unconnected() const;
  std::optional<ProbeResult> connected();
  bool asks_http2() const;
  void ask();
  std::optional<ProbeResult> send();
  std::optional<ProbeResult> receive();
  std::optional<ProbeResult> decode(std::string_view bytes);
  std::optional<ProbeResult> decode_http1(std::string_view bytes);
  std::optional<ProbeResult> decode_http2(std::string_view bytes);
  void note_end();
  std::optional<ProbeResult> ended();

  EventLoop& loop_;
  const HealthCheckSettings& settings_;
  const std::string_view host_;
  ProbeConnection connection_;
  bool http2_;
  Heard heard_ = Heard::nothing;
  bool head_read_ = false;
  std::uint16_t status_ = 0;
  std::size_t body_bytes_ = 0;
  std::unique_ptr<Http2Exchange> exchange_;  // once connected, if it asks over HTTP/2
  Arena arena_;
  http::ResponseHead head_;
  http::FieldList trailers_;
  http1::ResponseDecoder decoder_;
};

}  // namespace weir::health
