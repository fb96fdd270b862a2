#include "upstream/health/health_state.h"

namespace weir::health {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::success:
      return "success";
    case Outcome::failure:
      return "failure";
    case Outcome::refused:
      return "refused";
    case Outcome::inconclusive:
      return "inconclusive";
  }
  return "";
}

bool HealthState::on_outcome(Outcome outcome, std::uint32_t unhealthy_after, std::uint32_t healthy_after) {
  if (outcome == Outcome::inconclusive) return false;
  if (outcome == Outcome::refused && phase_ == Phase::healthy) return on_refused();
  const bool good = outcome == Outcome::success;
  if (good == healthy()) {
    streak_ = 0;
    return false;
  }
  const std::uint32_t needed = phase_ == Phase::healthy ? unhealthy_after : phase_ == Phase::down ? healthy_after : 1;
  if (++streak_ < needed) return false;
  phase_ = good ? Phase::healthy : Phase::down;
  streak_ = 0;
  return true;
}

bool HealthState::on_refused() {
  if (phase_ != Phase::healthy) return false;
  phase_ = Phase::refused;
  streak_ = 0;
  return true;
}

}  // namespace weir::health
