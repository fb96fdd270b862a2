#include "upstream/balancing/balancer.h"

#include "base/assert.h"
#include "upstream/balancing/least_connections.h"
#include "upstream/balancing/random.h"
#include "upstream/balancing/round_robin.h"

namespace weir::balancing {

std::string_view to_string(Policy policy) {
  switch (policy) {
    case Policy::round_robin:
      return "round_robin";
    case Policy::random:
      return "random";
    case Policy::least_connections:
      return "least_connections";
    case Policy::power_of_two:
      return "power_of_two";
  }
  return "";
}

std::unique_ptr<Balancer> make_balancer(Policy policy, std::uint64_t seed) {
  switch (policy) {
    case Policy::round_robin:
      return std::make_unique<RoundRobin>(seed);
    case Policy::random:
      return std::make_unique<Random>();
    case Policy::least_connections:
      return std::make_unique<LeastConnections>();
    case Policy::power_of_two:
      return std::make_unique<PowerOfTwo>();
  }
  WEIR_CHECK(false);
  return nullptr;
}

}  // namespace weir::balancing
