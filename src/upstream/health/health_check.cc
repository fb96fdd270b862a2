#include "upstream/health/health_check.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::health {
namespace {

constexpr std::size_t kFirstProbesPerS = 2000;
// After a refusal the backend is probed about every second this often, then at its interval: a restart is noticed at
// once, and thousands of dead backends don't keep the control thread busy.
constexpr std::uint32_t kQuickProbes = 15;

}  // namespace

Duration first_probe_spread(std::size_t backends, Duration interval) {
  const Duration spread =
      std::chrono::nanoseconds(backends * (std::chrono::nanoseconds(1s).count() / kFirstProbesPerS));
  return std::min(spread, interval);
}

HealthCheck::HealthCheck(EventLoop& loop, std::shared_ptr<const HealthCheckSettings> settings, SocketAddress address,
                         std::string own_host, HealthListener& listener, std::string tls_host)
    : loop_(loop),
      settings_(std::move(settings)),
      address_(std::move(address)),
      own_host_(std::move(own_host)),
      tls_host_(std::move(tls_host)),
      listener_(listener),
      timer_(*this) {}

void HealthCheck::start(Duration spread) {
  const auto span = static_cast<std::uint64_t>(std::max<Duration::rep>(spread.count(), 0));
  loop_.timers().arm(timer_, loop_.now() + Duration(loop_.rng().between(0, span)));
}

void HealthCheck::refused() {
  if (!state_.on_refused()) return;
  quick_probes_left_ = kQuickProbes;
  if (probe_ != nullptr) {
    outdated_ = true;
  } else {
    loop_.timers().arm(timer_, std::min(timer_.deadline(), loop_.now() + soon()));
  }
  listener_.on_health_changed(*this, false, "connection refused");
}

void HealthCheck::update_settings(std::shared_ptr<const HealthCheckSettings> settings) {
  const bool interval_changed = settings->interval != settings_->interval;
  if (probe_ != nullptr) {
    probe_.reset();
    outdated_ = false;
    settings_ = std::move(settings);
    loop_.timers().arm(timer_, loop_.now());
    return;
  }
  settings_ = std::move(settings);
  if (interval_changed)
    loop_.timers().arm(timer_, std::min(timer_.deadline(), loop_.now() + jittered(settings_->interval)));
}

void HealthCheck::on_ready(Readiness readiness) {
  if (probe_ == nullptr) return;
  if (const auto result = probe_->advance(readiness)) finish_probe(*result);
}

void HealthCheck::on_timer(Timer&) {
  if (probe_ == nullptr) {
    begin_probe();
  } else {
    finish_probe({Outcome::failure, fmt::format("timeout: {}", probe_->waiting_for())});
  }
}

void HealthCheck::begin_probe() {
  started_at_ = loop_.now();
  outdated_ = false;
  const std::string_view host = settings_->host.empty() ? std::string_view(own_host_) : settings_->host;
  probe_ = std::make_unique<HealthProbe>(loop_, *settings_, address_, host, tls_host_);
  loop_.timers().arm(timer_, deadline_after(started_at_, settings_->timeout));
  if (const auto result = probe_->start(*this)) finish_probe(*result);
}

void HealthCheck::finish_probe(const ProbeResult& result) {
  probe_.reset();
  const bool first = !answered_once_ && result.outcome != Outcome::inconclusive;
  if (first) answered_once_ = true;
  const bool ignored = outdated_ && result.outcome == Outcome::success;
  const bool changed =
      !ignored && state_.on_outcome(result.outcome, settings_->unhealthy_after, settings_->healthy_after);
  if (changed && state_.phase() == HealthState::Phase::refused) quick_probes_left_ = kQuickProbes;
  schedule_next(result.outcome);
  if (changed) listener_.on_health_changed(*this, state_.healthy(), result.reason);
  if (first) listener_.on_answered_once(*this);
}

void HealthCheck::schedule_next(Outcome outcome) {
  TimePoint next = started_at_ + jittered(settings_->interval);
  const bool quick = state_.phase() == HealthState::Phase::refused && quick_probes_left_ > 0;
  if (quick) --quick_probes_left_;
  if (quick || outcome == Outcome::inconclusive) next = std::min(next, loop_.now() + soon());
  loop_.timers().arm(timer_, std::max(next, loop_.now()));
}

Duration HealthCheck::jittered(Duration interval) {
  const auto tenth = static_cast<std::uint64_t>(interval.count() / 10);
  return interval - interval / 10 + Duration(loop_.rng().between(0, 2 * tenth));
}

Duration HealthCheck::soon() {
  return Duration(loop_.rng().between(400'000'000, 900'000'000));
}

}  // namespace weir::health
