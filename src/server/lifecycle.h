#pragma once

#include <functional>

#include "net/event_loop.h"
#include "observe/logger.h"
#include "server/service_manager.h"
#include "server/worker_group.h"

namespace weir::server {

// How the process ends.
//
//   serving --terminate--> delaying --drain_delay--> draining --all done or drain_timeout--> stopped
//      |                      |                          |                                     ^
//      +--interrupt-----------+--terminate, interrupt----+--------> stopping --all stopped-----+
//
// Delaying: readiness says no, everything is served as before. Control thread.
class Lifecycle final : private TimerHandler {
 public:
  enum class Phase : std::uint8_t { serving, delaying, draining, stopping, stopped };

  // All outlive it. `on_stopped` is called once, from the loop, when no worker does anything any more.
  Lifecycle(EventLoop& loop, WorkerGroup& workers, ServiceManager& service, observe::Logger& logger,
            std::function<void()> on_stopped);

  // The first drains, the second stops at once.
  void terminate(Duration drain_delay, Duration drain_timeout);
  void interrupt();

  Phase phase() const { return phase_; }
  bool serving() const { return phase_ == Phase::serving; }

 private:
  void on_timer(Timer& timer) override;
  void drain();
  void look();
  void stop(std::string_view reason);

  EventLoop& loop_;
  WorkerGroup& workers_;
  ServiceManager& service_;
  observe::Logger& logger_;
  std::function<void()> on_stopped_;
  Phase phase_ = Phase::serving;
  Duration drain_timeout_{};
  TimePoint deadline_ = kNever;
  bool all_done_ = false;  // said each worker when last asked
  Timer timer_;
};

}  // namespace weir::server
