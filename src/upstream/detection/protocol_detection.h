#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "net/event_loop.h"
#include "upstream/detection/detection_state.h"
#include "upstream/detection/protocol_probe.h"

namespace weir::detection {

class ProtocolDetection;

// Called on the detection's loop. Must not destroy it from here.
class DetectionListener {
 public:
  // A probe has ended; what was found stands in the backend already. `changed`: all before went by something else.
  virtual void on_detected(ProtocolDetection& detection, const ProbeResult& result, bool changed) = 0;

 protected:
  ~DetectionListener() = default;
};

// Finds out what one backend speaks, on the control loop, and writes it where all workers see it: once for
// each appearance. Waiting costs one timer and no descriptor. Destroying it ends a probe under way. One thread.
class ProtocolDetection final : private ReadinessHandler, private TimerHandler {
 public:
  // How long a backend may take to say its first word.
  static constexpr Duration kTimeout = 1s;

  // `loop` and `listener` outlive it.
  ProtocolDetection(EventLoop& loop, std::shared_ptr<Backend> backend, Approach approach, DetectionListener& listener);
  ProtocolDetection(const ProtocolDetection&) = delete;
  ProtocolDetection& operator=(const ProtocolDetection&) = delete;
  ~ProtocolDetection() = default;

  // It appeared: the probe starts within `spread`, at a point drawn from the loop's generator; at once for none.
  void appeared(Duration spread = Duration::zero());
  // A worker had to do with it, and asked.
  void met();
  // The same server under another name.
  void rename(std::shared_ptr<Backend> backend) { backend_ = std::move(backend); }

  const DetectionState& state() const { return state_; }

 private:
  void on_ready(Readiness readiness) override;
  void on_timer(Timer& timer) override;

  void begin_probe();
  void finish_probe(const ProbeResult& result);
  void arm(TimePoint at);

  EventLoop& loop_;
  std::shared_ptr<Backend> backend_;
  const Approach approach_;
  DetectionListener& listener_;
  DetectionState state_;
  Timer timer_;  // the next probe's start or, while one runs, its deadline
  std::unique_ptr<ProtocolProbe> probe_;
  TimePoint not_before_{};  // whatever is asked
};

}  // namespace weir::detection
