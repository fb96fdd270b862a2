#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "net/engine.h"
#include "net/sim_faults.h"

namespace weir {

class SimWorld;

// One simulated connection with its two ends: end 0 connected, end 1 was accepted. It lives as long as an end is open
// or something of it is under way. Behaves as TCP on Linux does, but for one thing, in which it is as harsh as other
// systems: a reset destroys what the peer has received and not yet read.
class SimStream : public std::enable_shared_from_this<SimStream> {
 public:
  SimStream(SimWorld& world, std::uint64_t number, const LinkPlan& plan, const SocketAddress& connector,
            const SocketAddress& listener);

  std::uint64_t number() const { return number_; }
  const SocketAddress& connector() const { return connector_; }
  const SocketAddress& listener() const { return listener_; }
  const LinkPlan& plan() const { return plan_; }

  // Which socket an end belongs to, so that it can be told of changes; an end that waits to be accepted has none.
  void attach(unsigned end, SocketId socket) { ends_[end].socket = socket; }
  bool closed(unsigned end) const { return ends_[end].closed; }

  void established();
  // Connecting failed.
  void connect_failed(int error);
  int connect_error();

  Readiness readiness(unsigned end) const;
  IoResult read(unsigned end, std::span<char> into);
  IoResult write(unsigned end, std::span<const iovec> from);
  bool quiet(unsigned end) const;
  std::size_t unread(unsigned end) const { return ends_[end].unread(); }
  void shutdown_write(unsigned end);
  void close(unsigned end);
  void reset(unsigned end);

 private:
  struct End {
    SocketId socket = kNoSocket;
    std::string received;
    std::size_t read_bytes = 0;  // how much of `received` was read
    bool connecting = false;
    bool closed = false;
    bool dead = false;  // reset, or never connected
    bool fin_received = false;
    bool fin_sent = false;
    bool wants_room = false;
    int error = 0;  // to be told once

    std::size_t unread() const { return received.size() - read_bytes; }
  };

  // From the end of the same index to the other one.
  struct Direction {
    DirectionPlan plan;
    std::uint64_t sent_bytes = 0;
    std::size_t in_flight_bytes = 0;
    TimePoint free_at = TimePoint::min();  // nothing arrives before what was sent before
    bool stalled = false;
    bool cut = false;
  };

  static unsigned other(unsigned end) { return 1 - end; }
  std::size_t room(unsigned end) const;
  bool has_room(unsigned end) const;
  TimePoint arrival(unsigned end);
  std::size_t until_next_fault(const Direction& direction) const;
  void meet_faults(unsigned end);
  void transmit(unsigned end, std::string bytes);
  void send_fin(unsigned end);
  void send_reset(unsigned end);
  void bytes_arrive(unsigned end, const std::string& bytes);
  void fin_arrives(unsigned end);
  void reset_arrives(unsigned end);
  void offer_room(unsigned end);
  void notify(unsigned end);

  SimWorld& world_;
  const std::uint64_t number_;
  const LinkPlan plan_;
  const SocketAddress connector_;
  const SocketAddress listener_;
  End ends_[2];
  Direction directions_[2];
};

}  // namespace weir
