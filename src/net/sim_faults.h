#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/rng.h"
#include "base/time.h"
#include "net/address.h"

namespace weir {

// What the simulated network can do to a connection. Each is counted when it takes effect.
enum class Fault : std::uint8_t {
  refuse,              // nobody listens, whoever does
  blackhole,           // the SYN is lost: connecting hangs
  out_of_ports,        // EADDRNOTAVAIL
  out_of_buffers,      // ENOBUFS
  out_of_descriptors,  // EMFILE: the process is at its limit
  reset,
  early_close,
  stall,
  slow_drip,
  short_write,
  short_read,
  delay,
  spurious_edge,
};
inline constexpr std::size_t kFaultCount = static_cast<std::size_t>(Fault::spurious_edge) + 1;
std::string_view to_string(Fault fault);

class FaultCounts {
 public:
  void count(Fault fault) { ++counts_[static_cast<std::size_t>(fault)]; }
  std::uint64_t operator[](Fault fault) const { return counts_[static_cast<std::size_t>(fault)]; }

 private:
  std::array<std::uint64_t, kFaultCount> counts_{};
};

// What befalls the bytes of one direction of a connection.
struct DirectionPlan {
  std::optional<std::uint64_t> reset_after_bytes;  // both ends see a reset once so many bytes were sent
  std::optional<std::uint64_t> close_after_bytes;  // the receiver sees FIN after so many, the sender is reset
  std::optional<std::uint64_t> stall_after_bytes;  // what follows is held up for stall_duration
  Duration stall_duration = kForever;
  std::size_t drip_bytes = 0;  // > 0: no more than this arrives per drip_interval
  Duration drip_interval{0};
  bool short_writes = false;  // a write takes a random part of what fits
  bool short_reads = false;   // a read gives a random part of what is there
  Duration extra_delay{0};
};

// What befalls one connection.
struct LinkPlan {
  Duration delay = 50us;                      // one way
  std::size_t send_buffer_bytes = 64 * 1024;  // in flight and unread by the peer
  bool refuse = false;
  bool blackhole = false;
  int connect_errno = 0;  // what connect() fails with at once: EADDRNOTAVAIL or ENOBUFS
  DirectionPlan to_listener;
  DirectionPlan to_connector;
};

// Draws the fate of each connection.
class FaultPlan {
 public:
  virtual ~FaultPlan() = default;
  // Called once per connect(). `rng` is the world's.
  virtual LinkPlan draw(const IpAddress& from, const SocketAddress& to, TimePoint now, Rng& rng) = 0;
};

}  // namespace weir
