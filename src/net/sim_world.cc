#include "net/sim_world.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "net/sim_engine.h"

namespace weir {
namespace {

constexpr WallTime kWallStart = WallTime(std::chrono::seconds(1'767'225'600));

}  // namespace

SimWorld::SimWorld(const Options& options) : options_(options), rng_(options.seed), network_(*this) {}

// Actions may hold connections of the network.
SimWorld::~SimWorld() {
  events_.clear();
}

WallTime SimWorld::wall_now() const {
  return kWallStart + (now_ - kStart);
}

void SimWorld::trace_line(std::string_view text) {
  const auto since = (now_ - kStart).count();
  trace_(fmt::format("{}.{:09} {}", since / 1'000'000'000, since % 1'000'000'000, text));
}

void SimWorld::at(TimePoint at, Action action) {
  events_.push_back({std::max(at, now_), sequence_++, std::move(action)});
  std::push_heap(events_.begin(), events_.end(), Later());
}

void SimWorld::run_due() {
  while (!events_.empty() && events_.front().at <= now_) {
    std::pop_heap(events_.begin(), events_.end(), Later());
    Event event = std::move(events_.back());
    events_.pop_back();
    event.action();
  }
}

void SimWorld::move_on_to(TimePoint at) {
  now_ = std::max(now_, at);
}

void SimWorld::add_loop(EventLoop& loop) {
  auto* engine = dynamic_cast<SimEngine*>(&loop.engine());
  WEIR_CHECK(engine != nullptr && &engine->world() == this);
  members_.push_back({&loop, engine});
}

void SimWorld::remove_loop(EventLoop& loop) {
  std::erase_if(members_, [&](const Member& member) { return member.loop == &loop; });
}

bool SimWorld::can_run(const Member& member) const {
  return member.engine->has_work() || member.loop->next_wakeup() <= now_;
}

TimePoint SimWorld::next_happening() const {
  TimePoint next = next_event();
  for (const Member& member : members_) next = std::min(next, member.loop->next_wakeup());
  return next;
}

bool SimWorld::step() {
  run_due();
  runnable_.clear();
  for (const Member& member : members_) {
    if (can_run(member)) runnable_.push_back(member);
  }
  if (runnable_.empty()) {
    const TimePoint next = next_happening();
    if (next == kNever) return false;
    move_on_to(next);
    run_due();
    return true;
  }
  // Without a draw the longest-waiting goes first: the one that ran goes to the end of the line.
  const std::size_t chosen = options_.shuffle_loops && runnable_.size() > 1 ? rng_.below(runnable_.size()) : 0;
  const Member member = runnable_[chosen];
  const auto place =
      std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return m.loop == member.loop; });
  std::rotate(place, place + 1, members_.end());
  member.loop->run_turn(false);
  return true;
}

bool SimWorld::run_until(const std::function<bool()>& done, std::size_t steps_max) {
  for (std::size_t steps = 0; !done(); ++steps) {
    if (steps == steps_max || !step()) return done();
  }
  return true;
}

bool SimWorld::run_until(TimePoint until, std::size_t steps_max) {
  at(until, [] {});  // so that time comes to it whatever else happens
  return run_until([&] { return now_ >= until; }, steps_max);
}

}  // namespace weir
