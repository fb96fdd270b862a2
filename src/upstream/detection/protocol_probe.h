#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "net/event_loop.h"
#include "upstream/detection/detection_state.h"

namespace weir::detection {

struct ProbeResult {
  Verdict verdict = Verdict::http1;
  // Of an HTTP/2 backend, as its SETTINGS said.
  std::uint32_t streams_max = Backend::kStreamsUnsaid;
  bool extended_connect = false;
};

// One try at one backend in the clear: connects, says HTTP/2's preface, and looks at what comes first. The owner hands
// in readiness and keeps the deadline; a result ends the probe, which is then only good to be destroyed (that closes
// the socket). Reads no further than the first SETTINGS frame. One thread.
class ProtocolProbe {
 public:
  // `address` outlives the probe. With a `proxy_protocol` it first says that it speaks for nobody else.
  ProtocolProbe(EventLoop& loop, const SocketAddress& address, std::optional<ProxyVersion> proxy_protocol);
  ProtocolProbe(const ProtocolProbe&) = delete;
  ProtocolProbe& operator=(const ProtocolProbe&) = delete;
  ~ProtocolProbe();

  // Starts to connect; `handler` gets the readiness and passes it to advance(). A result if it is over already.
  std::optional<ProbeResult> start(ReadinessHandler& handler);
  std::optional<ProbeResult> advance(Readiness readiness);
  // The time is over.
  ProbeResult late() const;

 private:
  std::optional<ProbeResult> send();
  std::optional<ProbeResult> receive();
  std::optional<ProbeResult> look() const;

  EventLoop& loop_;
  const SocketAddress& address_;
  SocketId socket_ = kNoSocket;
  std::string unsent_;
  std::string received_;
  bool connected_ = false;
};

}  // namespace weir::detection
