#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/http1/decoder.h"
#include "net/event_loop.h"
#include "net/secure_layer.h"
#include "upstream/health/health_settings.h"
#include "upstream/health/probe_result.h"

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
  // `settings`, `address` and the hosts must outlive the probe. Over TLS if `tls_host` is not empty: ALPN then says
  // which HTTP it is. In the clear `http2` does.
  HealthProbe(EventLoop& loop, const HealthCheckSettings& settings, const SocketAddress& address, std::string_view host,
              std::string_view tls_host, bool http2);
  HealthProbe(const HealthProbe&) = delete;
  HealthProbe& operator=(const HealthProbe&) = delete;
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
  enum class Phase : std::uint8_t { connecting, handshake, sending, receiving };

  std::optional<ProbeResult> go_on(Readiness readiness);
  void say_goodbye();
  std::optional<ProbeResult> connected();
  std::optional<ProbeResult> secure();
  std::optional<ProbeResult> shake_hands();
  std::optional<ProbeResult> secured();
  std::optional<ProbeResult> send();
  std::optional<ProbeResult> send_secure();
  IoResult read(std::span<char> into);
  std::optional<ProbeResult> receive();
  std::optional<ProbeResult> decode();
  std::optional<ProbeResult> receive_http2();
  void note_end();
  std::optional<ProbeResult> ended();
  void ask();

  EventLoop& loop_;
  const HealthCheckSettings& settings_;
  const SocketAddress& address_;
  const std::string_view host_;
  const std::string_view tls_host_;
  std::unique_ptr<SecureLayer> layer_;  // null in the clear
  SocketId socket_ = kNoSocket;
  Phase phase_ = Phase::connecting;
  bool http2_;
  Heard heard_ = Heard::nothing;
  bool head_read_ = false;
  std::uint16_t status_ = 0;
  std::size_t body_bytes_ = 0;
  std::string unsent_;
  std::unique_ptr<Http2Exchange> exchange_;  // once connected, if it asks over HTTP/2
  Slice* input_ = nullptr;
  Arena arena_;
  http::ResponseHead head_;
  http::FieldList trailers_;
  http1::ResponseDecoder decoder_;
};

}  // namespace weir::health
