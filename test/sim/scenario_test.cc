// A few thousand drawn schedules; tools/simulate runs more of the same.

#include "sim/scenario.h"

#include <gtest/gtest.h>

#include "sim/replay_notice.h"

namespace weir::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || \
    (defined(__has_feature) && (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)))
constexpr std::uint64_t kSchedules = 500;
#else
constexpr std::uint64_t kSchedules = 4000;
#endif

TEST(Scenarios, HoldTheInvariants) {
  std::map<std::string, std::uint64_t> drawn;
  for (std::uint64_t seed = 1; seed <= kSchedules; ++seed) {
    const ScenarioResult result = run_scenario(seed);
    for (const auto& [name, count] : result.drawn) drawn[name] += count;
    for (const std::string& line : result.violations) ADD_FAILURE() << "seed " << seed << ": " << line;
    ASSERT_TRUE(result.violations.empty()) << "replay with: " << replay_command(seed);
  }
  for (const std::string& name : scenario_draw_names()) {
    std::cout << name << " " << drawn[name] << "\n";
    EXPECT_GT(drawn[name], 0U) << name << " was never drawn";
  }
}

// What arrives is in the trace with a checksum, what is encrypted too.
TEST(Scenarios, ReplayByteForByte) {
  constexpr int kOfEach = 20;
  int in_clear = 0, over_tls = 0;
  for (std::uint64_t seed = 1; in_clear < kOfEach || over_tls < kOfEach; ++seed) {
    if (++(scenario_speaks_tls(seed) ? over_tls : in_clear) > kOfEach) continue;
    std::vector<std::string> first, second;
    run_scenario(seed, [&](std::string_view line) { first.emplace_back(line); });
    run_scenario(seed, [&](std::string_view line) { second.emplace_back(line); });
    ASSERT_GT(first.size(), 20U);
    ASSERT_EQ(first.size(), second.size()) << "seed " << seed;
    for (std::size_t i = 0; i < first.size(); ++i) ASSERT_EQ(first[i], second[i]) << "seed " << seed << ", line " << i;
  }
}

}  // namespace
}  // namespace weir::sim
