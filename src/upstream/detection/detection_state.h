#pragma once

#include <cstdint>
#include <string_view>

#include "upstream/cluster.h"

namespace weir::detection {

// How one probe ended.
enum class Verdict : std::uint8_t {
  http2,         // a SETTINGS frame came first, or ALPN chose it
  http1,         // something else, the end, or nothing in time: HTTP/1.1 until it shows otherwise
  down,          // nobody accepts connections, or over TLS no handshake succeeds: asked again when it is back
  inconclusive,  // our own trouble (no descriptors, no ports): asked again soon
};
std::string_view to_string(Verdict verdict);

// When to find out what one backend speaks, and what is believed of it. Pure.
//
//   unknown --probe--> probing --http1, http2--> known       known --it came back, or a worker found otherwise-->
//   probing
//                         `---down---> down                  down --it came back, or a connection was made--> probing
class DetectionState {
 public:
  enum class Phase : std::uint8_t { unknown, probing, known, down };

  // Each returns true if a probe is due.
  // It is there, for the first time or again after its health checks had failed.
  bool on_appeared();
  // A worker met it, and `believed` is what all workers go by: unknown, or what the worker was taught by an answer.
  bool on_met(SpokenProtocol believed);

  void on_probe() { phase_ = Phase::probing; }
  // Returns what to go by from now on. After `inconclusive` a further probe is due.
  SpokenProtocol on_verdict(Verdict verdict);

  Phase phase() const { return phase_; }
  SpokenProtocol known() const { return known_; }

 private:
  Phase phase_ = Phase::unknown;
  SpokenProtocol known_ = SpokenProtocol::unknown;
};

}  // namespace weir::detection
