#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/event_loop.h"
#include "upstream/cluster.h"
#include "upstream/health/health_probe.h"
#include "upstream/health/health_settings.h"
#include "upstream/health/health_state.h"

namespace weir::health {

class HealthCheck;

// Called on the check's loop. Must not destroy the check from here.
class HealthListener {
 public:
  // `reason` is for the log: "status 503", "timeout: connecting"; valid during the call.
  virtual void on_health_changed(HealthCheck& check, bool healthy, std::string_view reason) = 0;
  // The first probe has answered or timed out, whatever it said. Once in a check's life, after any on_health_changed().
  virtual void on_answered_once(HealthCheck& check) = 0;
  // Where the protocol is to be found out: the backend has shown that it speaks something else than is believed. In the
  // clear HTTP/2 or (`shown` unknown) HTTP/2 no longer; over TLS what ALPN chose.
  virtual void on_protocol_shown(HealthCheck& check, SpokenProtocol shown) = 0;

 protected:
  ~HealthListener() = default;
};

// How much time the first probes of `backends` checks are spread over: at once for a few, at most 2,000 a second for
// many, but never more than the interval.
Duration first_probe_spread(std::size_t backends, Duration interval);

// The active check of one backend, on the control loop. Waiting costs one timer and no descriptor or buffer. Destroying
// it cancels what runs. One thread.
class HealthCheck final : private ReadinessHandler, private TimerHandler {
 public:
  // `listener` and `loop` outlive the check. `own_host` is the backend's host:port as its url has it, for the Host
  // field; "localhost" for a unix socket.
  HealthCheck(EventLoop& loop, std::shared_ptr<const HealthCheckSettings> settings, std::shared_ptr<Backend> backend,
              std::string own_host, HealthListener& listener);
  HealthCheck(const HealthCheck&) = delete;
  HealthCheck& operator=(const HealthCheck&) = delete;
  ~HealthCheck() = default;

  // The first probe starts within `spread`, at a point drawn from the loop's generator. Once.
  void start(Duration spread);
  // Traffic had a connection refused: unhealthy at once, probed within 1 s, and one success restores it.
  void refused();
  // A reload changed the settings: what is known of the backend stays. A probe under way is given up and repeated.
  void update_settings(std::shared_ptr<const HealthCheckSettings> settings);
  // The same server under another name.
  void rename(std::shared_ptr<Backend> backend) { backend_ = std::move(backend); }
  // The backend was found to speak something else than before: what failed because of that is asked again at once.
  void protocol_found();

  bool healthy() const { return state_.healthy(); }
  bool answered_once() const { return answered_once_; }
  const HealthState& state() const { return state_; }
  const HealthCheckSettings& settings() const { return *settings_; }

 private:
  void on_ready(Readiness readiness) override;
  void on_timer(Timer& timer) override;

  void begin_probe();
  void give_up_probe();
  // Connects and asks in HTTP/2 or HTTP/1.1.
  void begin_try(bool http2);
  void on_result(ProbeResult result);
  void finish_probe(const ProbeResult& result);
  bool guesses_protocol() const;
  bool believes_http2() const;
  bool contradicted() const;
  std::optional<SpokenProtocol> shown() const;
  void schedule_next(Outcome outcome);
  Duration jittered(Duration interval);
  Duration soon();

  EventLoop& loop_;
  std::shared_ptr<const HealthCheckSettings> settings_;
  std::shared_ptr<Backend> backend_;
  const SocketAddress address_;
  const std::string own_host_;
  const std::string tls_host_;
  HealthListener& listener_;
  HealthState state_;
  Timer timer_;  // the next probe's start or, while one runs, its deadline
  std::unique_ptr<HealthProbe> probe_;
  std::optional<ProbeResult>
      first_try_;  // of the probe under way: it was asked in the wrong protocol, or may have been
  TimePoint started_at_{};
  std::uint32_t quick_probes_left_ = 0;
  bool answered_once_ = false;
  bool outdated_ = false;  // the probe under way began before a refusal: its success proves nothing
};

}  // namespace weir::health
