#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "net/event_loop.h"
#include "net/sim_faults.h"
#include "net/sim_network.h"
#include "runtime/clock.h"

namespace weir {

class SimEngine;

// Everything outside a simulated program: virtual time, one seeded source of randomness, the network, and the order in
// which the loops run. One real thread. The same seed and the same program give the same history, byte for byte.
//
// Outlives its engines; engines outlive their loops.
class SimWorld final : public Clock {
 public:
  using Action = std::move_only_function<void()>;
  using Trace = std::function<void(std::string_view line)>;

  struct Options {
    std::uint64_t seed = 1;
    Duration turn_cost = 1us;   // virtual time that a turn of a loop takes
    bool shuffle_loops = true;  // run loops that could all run in a drawn order, else in the order they were added
    double spurious_edge_chance = 0.0;  // that an edge is told once more in the next turn
  };

  explicit SimWorld(const Options& options);
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld() override;

  static constexpr TimePoint kStart = TimePoint(std::chrono::seconds(1000));

  TimePoint now() const override { return now_; }
  // Starts at 2026-01-01T00:00:00Z.
  WallTime wall_now() const override;
  Rng& rng() { return rng_; }
  SimNetwork& network() { return network_; }
  const Options& options() const { return options_; }

  // Draws the fate of connections from now on; nullptr: all are well. Must outlive its use.
  void set_faults(FaultPlan* plan) { faults_ = plan; }
  FaultPlan* faults() const { return faults_; }
  FaultCounts& fault_counts() { return fault_counts_; }

  // One line per event of the network.
  void set_trace(Trace trace) { trace_ = std::move(trace); }
  bool traces() const { return trace_ != nullptr; }
  template <typename... Args>
  void trace(fmt::format_string<Args...> format, Args&&... args) {
    if (trace_) trace_line(fmt::format(format, std::forward<Args>(args)...));
  }

  // Runs `action` at `at`, or now if that is past; those of one instant in the order of the calls.
  void at(TimePoint at, Action action);
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  // The loop's engine must be a SimEngine of this world. The loop must be removed before it dies.
  void add_loop(EventLoop& loop);
  void remove_loop(EventLoop& loop);

  // One turn of a loop that can run; or else time moves on to the next thing that happens. False: nothing ever will.
  bool step();
  // Steps until `done`. False if it never came: nothing happens any more, or `steps_max` were not enough.
  bool run_until(const std::function<bool()>& done, std::size_t steps_max = 1'000'000);
  // Steps until this instant; false if `steps_max` were not enough.
  bool run_until(TimePoint until, std::size_t steps_max = 10'000'000);

  // For SimEngine: what the network has due by now.
  void run_due();
  TimePoint next_event() const { return events_.empty() ? kNever : events_.front().at; }
  // Time never goes back.
  void move_on_to(TimePoint at);

 private:
  struct Event {
    TimePoint at;
    std::uint64_t sequence;
    Action action;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
    }
  };
  struct Member {
    EventLoop* loop;
    SimEngine* engine;
  };

  void trace_line(std::string_view text);
  bool can_run(const Member& member) const;
  TimePoint next_happening() const;

  const Options options_;
  Rng rng_;
  TimePoint now_ = kStart;
  std::uint64_t sequence_ = 0;
  std::vector<Event> events_;  // a heap, the next one in front
  FaultPlan* faults_ = nullptr;
  FaultCounts fault_counts_;
  Trace trace_;
  std::vector<Member> members_;
  std::vector<Member> runnable_;
  SimNetwork network_;
};

}  // namespace weir
