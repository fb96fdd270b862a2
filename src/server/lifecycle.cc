#include "server/lifecycle.h"

#include <algorithm>
#include <utility>

namespace weir::server {
namespace {

constexpr Duration kLookInterval = 5ms;
// Workers cut what is left at the deadline themselves; this is how long they get for it.
constexpr Duration kGrace = 1s;

}  // namespace

Lifecycle::Lifecycle(EventLoop& loop, WorkerGroup& workers, ServiceManager& service, observe::Logger& logger,
                     std::function<void()> on_stopped)
    : loop_(loop),
      workers_(workers),
      service_(service),
      logger_(logger),
      on_stopped_(std::move(on_stopped)),
      timer_(*this) {}

void Lifecycle::terminate(Duration drain_delay, Duration drain_timeout) {
  if (phase_ == Phase::delaying || phase_ == Phase::draining) return stop("asked to terminate twice");
  if (phase_ != Phase::serving) return;
  logger_.info(loop_.wall_now(), "draining", {{"reason", "asked to terminate"}});
  service_.stopping("draining");
  drain_timeout_ = drain_timeout;
  phase_ = Phase::delaying;
  if (drain_delay <= Duration::zero()) return drain();
  loop_.timers().arm(timer_, deadline_after(loop_.now(), drain_delay));
}

void Lifecycle::interrupt() {
  if (phase_ == Phase::stopping || phase_ == Phase::stopped) return;
  if (phase_ == Phase::serving) service_.stopping("stopping");
  stop("interrupted");
}

void Lifecycle::on_timer(Timer&) {
  if (phase_ == Phase::delaying) return drain();
  if (phase_ == Phase::draining) look();
}

void Lifecycle::drain() {
  phase_ = Phase::draining;
  deadline_ = deadline_after(loop_.now(), drain_timeout_);
  workers_.tell_all([deadline = deadline_](proxy::Worker& worker) { worker.drain(deadline); });
  look();
}

void Lifecycle::look() {
  workers_.ask_all([](proxy::Worker& worker) { return worker.done(); },
                   [this](const std::vector<bool>& done) {
                     if (phase_ != Phase::draining) return;
                     // One that had nothing may have been handed a connection since by one that was asked after it;
                     // asked once more, it has it.
                     const bool all_done = std::find(done.begin(), done.end(), false) == done.end();
                     if (std::exchange(all_done_, all_done) && all_done) return stop("drained");
                     if (all_done) return look();
                     if (loop_.now() >= deadline_after(deadline_, kGrace)) return stop("drain_timeout is over");
                     loop_.timers().arm(timer_, loop_.now() + kLookInterval);
                   });
}

void Lifecycle::stop(std::string_view reason) {
  phase_ = Phase::stopping;
  loop_.timers().disarm(timer_);
  logger_.info(loop_.wall_now(), "stopping", {{"reason", reason}});
  workers_.ask_all(
      [](proxy::Worker& worker) {
        worker.stop();
        return true;
      },
      [this](const std::vector<bool>&) {
        phase_ = Phase::stopped;
        on_stopped_();
      });
}

}  // namespace weir::server
