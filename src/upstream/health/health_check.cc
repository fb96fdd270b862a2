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

HealthCheck::HealthCheck(EventLoop& loop, std::shared_ptr<const HealthCheckSettings> settings,
                         std::shared_ptr<Backend> backend, std::string own_host, HealthListener& listener)
    : loop_(loop),
      settings_(std::move(settings)),
      backend_(std::move(backend)),
      address_(backend_->address()),
      own_host_(std::move(own_host)),
      tls_host_(backend_->secure() ? backend_->host() : std::string_view()),
      listener_(listener),
      timer_(*this) {}

void HealthCheck::start(Duration spread) {
  const auto span = static_cast<std::uint64_t>(std::max<Duration::rep>(spread.count(), 0));
  loop_.timers().arm(timer_, loop_.now() + Duration(loop_.rng().between(0, span)));
}

void HealthCheck::refused() {
  if (!state_.on_refused()) return;
  quick_probes_left_ = kQuickProbes;
  // A probe that began before proves nothing, however long it may still take.
  outdated_ = probe_ != nullptr;
  loop_.timers().arm(timer_, std::min(timer_.deadline(), loop_.now() + soon()));
  listener_.on_health_changed(*this, false, "connection refused");
}

void HealthCheck::update_settings(std::shared_ptr<const HealthCheckSettings> settings) {
  const bool interval_changed = settings->interval != settings_->interval;
  if (probe_ != nullptr) {
    give_up_probe();
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
  if (auto result = probe_->advance(readiness)) on_result(std::move(*result));
}

void HealthCheck::on_timer(Timer&) {
  if (probe_ == nullptr || outdated_) {
    give_up_probe();
    begin_probe();
  } else {
    on_result({Outcome::failure, fmt::format("timeout: {}", probe_->waiting_for())});
  }
}

void HealthCheck::protocol_found() {
  if (!guesses_protocol()) return;
  if (probe_ != nullptr) {
    // Within the time that it has.
    if (probe_->http2() != believes_http2()) begin_try(believes_http2());
  } else if (!state_.healthy() || state_.streak() > 0) {
    loop_.timers().arm(timer_, loop_.now());
  }
}

void HealthCheck::begin_probe() {
  started_at_ = loop_.now();
  outdated_ = false;
  loop_.timers().arm(timer_, deadline_after(started_at_, settings_->timeout));
  begin_try(settings_->protocol == UpstreamProtocol::http2 || (guesses_protocol() && believes_http2()));
}

void HealthCheck::begin_try(bool http2) {
  const std::string_view host = settings_->host.empty() ? std::string_view(own_host_) : settings_->host;
  probe_ = std::make_unique<HealthProbe>(loop_, *settings_, address_, host, tls_host_, http2);
  if (auto result = probe_->start(*this)) on_result(std::move(*result));
}

void HealthCheck::give_up_probe() {
  probe_.reset();
  first_try_.reset();
}

// Over TLS each connection is told by ALPN.
bool HealthCheck::guesses_protocol() const {
  return settings_->protocol == UpstreamProtocol::auto_ && settings_->type == CheckType::http && tls_host_.empty();
}

bool HealthCheck::believes_http2() const {
  return backend_->protocol() == SpokenProtocol::http2;
}

// What the backend did says that it has to be asked in the other protocol, or that this may help.
bool HealthCheck::contradicted() const {
  switch (probe_->heard()) {
    case Heard::nothing:
      return false;
    case Heard::end:
      return probe_->http2() || backend_->protocol() == SpokenProtocol::unknown;
    case Heard::http1:
    case Heard::other:
      return probe_->http2();
    case Heard::http2:
      return !probe_->http2();
  }
  return false;
}

// What is to be believed instead.
std::optional<SpokenProtocol> HealthCheck::shown() const {
  if (settings_->protocol != UpstreamProtocol::auto_ || settings_->type != CheckType::http) return std::nullopt;
  const SpokenProtocol believed = backend_->protocol();
  if (probe_->heard() == Heard::http2 && believed != SpokenProtocol::http2) return SpokenProtocol::http2;
  if (probe_->heard() != Heard::http1 || probe_->http2()) return std::nullopt;
  // ALPN has the last word. In the clear it may speak both.
  if (backend_->secure())
    return believed != SpokenProtocol::http1 ? std::optional(SpokenProtocol::http1) : std::nullopt;
  return believed == SpokenProtocol::http2 ? std::optional(SpokenProtocol::unknown) : std::nullopt;
}

void HealthCheck::on_result(ProbeResult result) {
  if (guesses_protocol() && !first_try_ && result.outcome == Outcome::failure && contradicted()) {
    first_try_ = std::move(result);
    return begin_try(!probe_->http2());
  }
  // The second try counts if it was understood.
  const bool understood = probe_->heard() == (probe_->http2() ? Heard::http2 : Heard::http1);
  if (first_try_ && !understood && result.outcome == Outcome::failure) result = std::move(*first_try_);
  const std::optional<SpokenProtocol> shown = this->shown();
  const bool silent = guesses_protocol() && probe_->http2() && probe_->heard() == Heard::nothing;
  const bool was_healthy = healthy();
  finish_probe(result);
  if (shown) {
    listener_.on_protocol_shown(*this, *shown);
  } else if (silent && was_healthy && !healthy() && believes_http2()) {
    // It may have become a server of HTTP/1.1 that waits for more.
    listener_.on_protocol_shown(*this, SpokenProtocol::unknown);
  }
}

void HealthCheck::finish_probe(const ProbeResult& result) {
  give_up_probe();
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
