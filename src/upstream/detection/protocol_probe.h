#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "upstream/detection/detection_state.h"
#include "upstream/probe_connection.h"

namespace weir::detection {

struct ProbeResult {
  Verdict verdict = Verdict::http1;
  // Of an HTTP/2 backend, as its SETTINGS said.
  std::uint32_t streams_max = Backend::kStreamsUnsaid;
  bool extended_connect = false;
  // Of a TLS handshake that failed, for a log.
  std::string tls_failure = {};
};

// One try at one backend: connects, says HTTP/2's preface (over TLS only if ALPN has chosen HTTP/2), and looks at what
// comes first. The owner hands in readiness and keeps the deadline; a result ends the probe, which is then only good to
// be destroyed (that closes the socket). Reads no further than the first SETTINGS frame. One thread.
class ProtocolProbe {
 public:
  ProtocolProbe(EventLoop& loop, const Approach& approach) : connection_(loop, approach) {}
  ProtocolProbe(const ProtocolProbe&) = delete;
  ProtocolProbe& operator=(const ProtocolProbe&) = delete;
  ~ProtocolProbe() = default;

  // Starts to connect; `handler` gets the readiness and passes it to advance(). A result if it is over already.
  std::optional<ProbeResult> start(ReadinessHandler& handler);
  std::optional<ProbeResult> advance(Readiness readiness);
  // The time is over.
  ProbeResult late() const;

 private:
  ProbeResult unconnected() const;
  std::optional<ProbeResult> receive();
  std::optional<ProbeResult> look() const;
  ProbeResult without_settings() const;

  ProbeConnection connection_;
  std::string received_;
};

}  // namespace weir::detection
