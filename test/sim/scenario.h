#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/whole_weir_fixture.h"
#include "sim/backend.h"
#include "sim/client.h"
#include "sim/scenario_plan.h"

namespace weir::sim {

using server::WholeWeir;

// What one schedule came to.
struct ScenarioResult {
  std::vector<std::string> violations;         // empty: every invariant held
  std::map<std::string, std::uint64_t> drawn;  // faults and events by name, and how often they took effect
  std::uint64_t requests = 0;
  std::uint64_t answers = 0;
  std::uint64_t local_replies = 0;
  std::uint64_t aborts = 0;
};

// All names that `drawn` can have: none may be missing over the standard run.
std::vector<std::string> scenario_draw_names();

// Whether this one has TLS.
bool scenario_speaks_tls(std::uint64_t seed);

// Runs one schedule: everything is drawn from `seed`. `trace` gets a line per happening; the same for the same seed.
ScenarioResult run_scenario(std::uint64_t seed, const SimWorld::Trace& trace = {});

}  // namespace weir::sim
