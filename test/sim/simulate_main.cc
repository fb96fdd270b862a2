// tools/simulate: runs schedules by their seeds and says which invariants broke.

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "sim/replay_notice.h"
#include "sim/scenario.h"

namespace {

struct Options {
  std::uint64_t seed = 1;
  std::uint64_t count = 1000;
  bool trace = false;
  bool tls = false;
};

int run(const Options& options) {
  const auto began = std::chrono::steady_clock::now();
  std::map<std::string, std::uint64_t> drawn;
  std::uint64_t requests = 0, answers = 0, local_replies = 0, aborts = 0, failed = 0;
  weir::SimWorld::Trace trace;
  // The last lines before a schedule dies are those that matter.
  if (options.trace) std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (options.trace) trace = [](std::string_view line) { fmt::print("{}\n", line); };
  std::uint64_t ran = 0;
  for (std::uint64_t seed = options.seed; ran < options.count; ++seed) {
    if (options.tls && !weir::sim::scenario_speaks_tls(seed)) continue;
    ++ran;
    if (options.trace) fmt::print("seed {}\n", seed);
    const weir::sim::ScenarioResult result = weir::sim::run_scenario(seed, trace);
    for (const auto& [name, count] : result.drawn) drawn[name] += count;
    requests += result.requests;
    answers += result.answers;
    local_replies += result.local_replies;
    aborts += result.aborts;
    if (result.violations.empty()) continue;
    ++failed;
    for (const std::string& line : result.violations) fmt::print("seed {}: {}\n", seed, line);
    fmt::print("replay with: {}\n", weir::sim::replay_command(seed));
  }
  for (const std::string& name : weir::sim::scenario_draw_names()) fmt::print("{:<32} {}\n", name, drawn[name]);
  fmt::print("{} schedules, {} requests, {} answers ({} local replies), {} aborts, {} failed\n", options.count,
             requests, answers, local_replies, aborts, failed);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  fmt::print(stderr, "{:.1f} s, {:.2f} ms a schedule\n", took.count(),
             1000 * took.count() / static_cast<double>(options.count));
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Runs all of Weir in simulation, one schedule a seed, and checks that its invariants hold."};
  app.name("tools/simulate");
  app.add_option("--seed", options.seed, "the first seed")->capture_default_str();
  app.add_option("--count", options.count, "how many seeds, one after the other")->capture_default_str();
  app.add_flag("--tls", options.tls, "only seeds whose schedules have TLS");
  app.add_flag("--trace", options.trace, "write all that happens to stdout");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run(options);
}
