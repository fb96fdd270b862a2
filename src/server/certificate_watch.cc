#include "server/certificate_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "tls/client_context.h"
#include "tls/server_context.h"

namespace weir::server {

using observe::Family;

namespace {

std::int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

CertificateWatch::CertificateWatch(Environment environment)
    : environment_(std::move(environment)),
      look_timer_(static_cast<TimerHandler&>(*this)),
      rotation_timer_(static_cast<TimerHandler&>(*this)) {}

void CertificateWatch::apply(std::shared_ptr<const config::Compiled> compiled) {
  compiled_ = std::move(compiled);
  judged_at_.reset();
  warn_of_invalid();
  show_ends();
  for (const auto& cluster : compiled_->spec->clusters) {
    if (!cluster.tls || cluster.tls->verify || cluster.tls->ca.path.empty()) continue;
    environment_.logger.warn(environment_.loop.wall_now(), "backends are not verified",
                             {{"cluster", cluster.name}, {"reason", "tls.verify is false: tls.ca is not used"}});
  }
  const auto& listeners = compiled_->spec->listeners;
  const bool any = std::ranges::any_of(listeners, [](const auto& listener) { return listener.tls.has_value(); });
  TimerWheel& timers = environment_.loop.timers();
  const TimePoint now = environment_.loop.now();
  const bool files = any || std::ranges::any_of(compiled_->spec->clusters, [](const config::ClusterSpec& cluster) {
                       return cluster.tls && !(cluster.tls->ca.path.empty() && cluster.tls->cert.path.empty());
                     });
  timers.arm(look_timer_, files && environment_.read_file ? now + kLookEvery : kNever);
  if (!any) {
    timers.disarm(rotation_timer_);
  } else if (!rotation_timer_.armed()) {
    timers.arm(rotation_timer_, now + tls::TicketKeys::kRotation);
  }
}

// Those that are shown, to clients and to backends.
template <typename Use>
void CertificateWatch::for_each_shown(Use&& use) const {
  for (const auto& listener : compiled_->listeners) {
    if (listener->tls == nullptr) continue;
    for (const tls::CertificateFacts& facts : listener->tls->certificates()) {
      use("listener", Family::kCertificateExpiry, listener->name, facts);
    }
  }
  for (const config::CompiledCluster& cluster : compiled_->clusters) {
    const tls::ClientContext* context = cluster.settings->tls.get();
    if (context == nullptr || context->certificate() == nullptr) continue;
    use("cluster", Family::kClusterCertificateExpiry, cluster.settings->name, *context->certificate());
  }
}

void CertificateWatch::warn_of_invalid() {
  const WallTime now = environment_.loop.wall_now();
  const std::optional<WallTime> before = std::exchange(judged_at_, now);
  for_each_shown([&](std::string_view kind, Family, const std::string& name, const tls::CertificateFacts& facts) {
    const bool expired = facts.not_after <= now && (!before || facts.not_after > *before);
    const bool early = facts.not_before > now && !before;
    if (!expired && !early) return;
    environment_.logger.warn(now, expired ? "CERTIFICATE HAS EXPIRED" : "CERTIFICATE IS NOT VALID YET",
                             {{kind, name},
                              {"subject", facts.subject},
                              {"reason", fmt::format("valid from {} to {}, in seconds since 1970",
                                                     seconds_of(facts.not_before), seconds_of(facts.not_after))}});
  });
}

void CertificateWatch::show_ends() {
  std::map<std::tuple<Family, std::string, std::string>, WallTime> ends;
  for_each_shown([&](std::string_view, Family family, const std::string& name, const tls::CertificateFacts& facts) {
    auto& end = ends.emplace(std::tuple(family, name, facts.subject), facts.not_after).first->second;
    end = std::min(end, facts.not_after);
  });
  expiry_.clear();
  environment_.metrics.remove_if([&](const observe::Series& series) {
    const Family family = series.family();
    return (family == Family::kCertificateExpiry || family == Family::kClusterCertificateExpiry) &&
           !ends.contains({family, std::string(series.label(0)), std::string(series.label(1))});
  });
  for (const auto& [key, end] : ends) {
    const auto& [family, name, subject] = key;
    expiry_.push_back(environment_.metrics.gauge(family, {name, subject}));
    expiry_.back()->set(seconds_of(end));
  }
}

void CertificateWatch::on_timer(Timer& timer) {
  TimerWheel& timers = environment_.loop.timers();
  const TimePoint now = environment_.loop.now();
  if (&timer == &rotation_timer_) {
    compiled_->ticket_keys->rotate();
    return timers.arm(rotation_timer_, now + tls::TicketKeys::kRotation);
  }
  timers.arm(look_timer_, now + kLookEvery);
  warn_of_invalid();
  if (!looking_) look();
}

void CertificateWatch::look() {
  looking_ = true;
  auto result = std::make_shared<config::FilesOfNow>();
  const SpecPtr spec = compiled_->spec;
  environment_.executor.submit(
      [result, spec, read = environment_.read_file] { *result = with_files_of_now(*spec, read); },
      [this, result, spec] { looked(spec, std::move(*result)); });
}

void CertificateWatch::looked(const SpecPtr& at, config::FilesOfNow result) {
  looking_ = false;
  if (at != compiled_->spec) return;
  // Certificate and key are seldom replaced in one instant: only what is wrong twice is told, and once.
  const bool is_new = last_problem_ != result.problem;
  if (is_new) told_ = false;
  if (!is_new && !result.problem.empty() && !std::exchange(told_, true)) {
    environment_.logger.warn(environment_.loop.wall_now(), "certificates can't be renewed, those in use stay",
                             {{"reason", result.problem}});
  }
  last_problem_ = std::move(result.problem);
  if (result.next) environment_.on_changed(at, std::make_shared<const config::Spec>(std::move(*result.next)));
}

}  // namespace weir::server
