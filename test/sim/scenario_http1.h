#pragma once

#include <string>

#include "base/rng.h"
#include "net/sim_world.h"
#include "sim/scenario_check.h"

namespace weir::sim {

// The clients of a schedule that speak HTTP/1: one request follows the other, and what goes wrong with them is drawn
// here. The clients and the world outlive it.
class Http1Clients {
 public:
  Http1Clients(Outside& outside, Rng rng) : outside_(outside), rng_(rng) {}

  // What may be wrong with one of them; `none` for half of them.
  ClientFault draw_fault();
  // Connects, and lets the requests follow in their time.
  void begin(ScenarioClient& client, const SocketAddress& proxy);

 private:
  void go_on(ScenarioClient& client);
  void send_next(ScenarioClient& client);
  void send_in_pieces(ScenarioClient& client, std::string text);
  void toggle_reading(ScenarioClient& client, int times);
  Duration some_time(Duration at_most) {
    return Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(at_most.count()))));
  }

  Outside& outside_;
  Rng rng_;
};

}  // namespace weir::sim
