#pragma once

#include <string>

#include "base/rng.h"
#include "net/sim_world.h"
#include "sim/scenario_check.h"

namespace weir::sim {

// The clients of a schedule that speak HTTP/2: their requests go on streams beside each other, and what goes wrong with
// them is drawn here. The clients and the world outlive it.
class Http2Clients {
 public:
  Http2Clients(Outside& outside, Rng rng) : outside_(outside), rng_(rng) {}

  // What may be wrong with one of them; `none` for half of them.
  ClientFault draw_fault();
  // Connects, and lets the requests follow in their time.
  void begin(ScenarioClient& client, const SocketAddress& proxy);

 private:
  void send(ScenarioClient& client, std::size_t index);
  void send_body(ScenarioClient& client, std::int32_t stream, std::size_t index, std::size_t from);
  void go_on(ScenarioClient& client);
  void misbehave(ScenarioClient& client);
  void toggle_reading(ScenarioClient& client, int times);
  Duration some_time(Duration at_most) {
    return Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(at_most.count()))));
  }
  void later(Duration at_most, std::function<void()> what) {
    outside_.world().after(some_time(at_most), std::move(what));
  }

  Outside& outside_;
  Rng rng_;
};

}  // namespace weir::sim
