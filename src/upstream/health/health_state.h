#pragma once

#include <cstdint>
#include <string_view>

namespace weir::health {

// How one probe ended.
enum class Outcome : std::uint8_t {
  success,
  failure,
  refused,       // nobody listens there
  inconclusive,  // our own trouble (no descriptors, no ports, no memory): says nothing about the backend
};
std::string_view to_string(Outcome outcome);

// Rise and fall of one backend: what its checks and the data path say becomes healthy or not. Pure.
//
//            unhealthy_after failures in a row
//   healthy ------------------------------------> down      healthy_after successes in a row: healthy
//      |
//      +--- a refused connection (check or traffic) ---> refused      one success: healthy
//
// A backend starts healthy. An inconclusive probe changes nothing.
class HealthState {
 public:
  enum class Phase : std::uint8_t { healthy, down, refused };

  // Each returns true if healthy() changed. The thresholds are at least 1 and may differ from call to call (a reload).
  bool on_outcome(Outcome outcome, std::uint32_t unhealthy_after, std::uint32_t healthy_after);
  bool on_refused();

  bool healthy() const { return phase_ == Phase::healthy; }
  Phase phase() const { return phase_; }
  // Probes in a row that spoke against the phase.
  std::uint32_t streak() const { return streak_; }

 private:
  Phase phase_ = Phase::healthy;
  std::uint32_t streak_ = 0;
};

}  // namespace weir::health
