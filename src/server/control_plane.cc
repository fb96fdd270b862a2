#include "server/control_plane.h"

#include <fmt/format.h>

#include <utility>

namespace weir::server {

using observe::Family;

ControlPlane::ControlPlane(ControlEnvironment environment)
    : environment_(std::move(environment)),
      loop_(*environment_.loop),
      logger_(*environment_.logger),
      workers_(loop_),
      listeners_(loop_.engine(), environment_.workers, environment_.take_inherited),
      directory_({.loop = loop_,
                  .resolver = *environment_.resolver,
                  .metrics = *environment_.metrics,
                  .logger = logger_,
                  .observer = *this}),
      lifecycle_(loop_, workers_, *environment_.service, logger_, environment_.on_stopped),
      certificates_({.loop = loop_,
                     .executor = *environment_.executor,
                     .metrics = *environment_.metrics,
                     .logger = logger_,
                     .read_file = environment_.read_file,
                     .on_changed = [this](auto looked_at, auto next) { files_changed(looked_at, next); }}) {
  WorkerReports& reports = *this;
  for (std::size_t i = 0; i < environment_.workers; ++i) {
    events_.push_back(std::make_unique<MailedEvents>(i, loop_, reports));
  }
}

ControlPlane::~ControlPlane() = default;

Result<void> ControlPlane::start(CompiledPtr initial, std::vector<WorkerHandle> workers) {
  workers_.set_workers(std::move(workers));

  auto plan = listeners_.prepare(initial->listeners);
  if (!plan) return std::unexpected(std::move(plan.error()));
  auto logs = open_access_logs(*environment_.access_logs, initial->listeners);
  if (!logs) {
    listeners_.abandon(*plan);
    return std::unexpected(std::move(logs.error()));
  }
  if (const auto& admin = initial->spec->admin) {
    const auto address = config::to_socket_address(admin->address);
    admin::AdminSettings settings{.address = address.value_or(SocketAddress{}), .token = std::nullopt};
    if (!admin->token.empty()) settings.token = admin->token;
    admin_ = std::make_unique<admin::AdminServer>(loop_, view(), std::move(settings));
    const auto inherited =
        environment_.take_inherited && address ? environment_.take_inherited(*address) : std::nullopt;
    if (auto started = admin_->start(inherited); !started) {
      admin_.reset();
      listeners_.abandon(*plan);
      return fail(fmt::format("admin: {}", started.error().message), started.error().code);
    }
  }
  set_build_info();
  bring_into_force(std::move(initial), *plan, std::move(*logs));
  return {};
}

void ControlPlane::set_build_info() {
  observe::MetricStore& metrics = *environment_.metrics;
  const BuildInfo& build = environment_.build;
  build_gauge_ = metrics.gauge(Family::kBuildInfo, {build.version, build.commit, build.compiler});
  build_gauge_->set(1);
  generation_gauge_ = metrics.gauge(Family::kConfigGeneration);
  reload_success_gauge_ = metrics.gauge(Family::kConfigLastReloadSuccess);
  reload_success_gauge_->set(1);
}

void ControlPlane::hang_up() {
  reload([](const admin::Change<std::uint64_t>&) {});
}

void ControlPlane::terminate() {
  if (starting()) return lifecycle_.interrupt();
  lifecycle_.terminate(current_->spec->drain_delay, current_->spec->drain_timeout);
}

void ControlPlane::interrupt() {
  lifecycle_.interrupt();
}

void ControlPlane::reopen_logs() {
  logger_.info(loop_.wall_now(), "logs are opened anew", {{"reason", "USR1"}});
  environment_.access_logs->reopen(loop_.wall_now());
}

void ControlPlane::upgrade() {
  logger_.warn(loop_.wall_now(), "ignored: the binary can't be upgraded while it runs",
               {{"reason", "USR2: not supported yet"}});
}

std::optional<SocketAddress> ControlPlane::admin_address() const {
  if (!admin_) return std::nullopt;
  return admin_->address();
}

std::string ControlPlane::summary() const {
  std::string text;
  for (const auto& bound : listeners_.bound()) {
    text += fmt::format("{} on {}, ", bound.listener, bound.actual.to_string());
  }
  if (admin_) text += fmt::format("admin on {}, ", admin_->address().to_string());
  text += fmt::format("{} {}", environment_.workers, environment_.workers == 1 ? "worker" : "workers");
  return text;
}

void ControlPlane::on_members_changed(const std::string& cluster, std::shared_ptr<const Membership> members) {
  workers_.tell_all([cluster, members](proxy::Worker& worker) { worker.update_members(cluster, members); });
}

void ControlPlane::on_member_changed(const std::string& cluster, const Member& member) {
  workers_.tell_all([cluster, member](proxy::Worker& worker) { worker.update_member(cluster, member); });
}

void ControlPlane::on_checked_once() {
  logger_.debug(loop_.wall_now(), "each health check has answered once");
}

void ControlPlane::on_connect_failed(const std::string&, const std::shared_ptr<Backend>& backend, bool refused) {
  if (refused) directory_.refused(backend);
}

void ControlPlane::on_tls_failed(const std::shared_ptr<Backend>& backend, const std::string& reason) {
  directory_.tls_failed(backend, reason);
}

void ControlPlane::on_http2_broken(const std::shared_ptr<Backend>& backend, const std::string& reason) {
  directory_.http2_broken(backend, reason);
}

void ControlPlane::on_protocol_wanted(const std::shared_ptr<Backend>& backend) {
  directory_.protocol_wanted(backend);
}

void ControlPlane::on_reclaim_wanted(std::size_t asking, const std::string& cluster,
                                     const std::shared_ptr<Backend>& backend) {
  workers_.ask_all([cluster, backend](proxy::Worker& worker) { return worker.reclaim_idle(cluster, *backend); },
                   [this, asking, cluster, backend](const std::vector<std::size_t>& closed) {
                     std::size_t sum = 0;
                     for (const std::size_t count : closed) sum += count;
                     workers_.tell(asking, [cluster, backend, sum](proxy::Worker& worker) {
                       worker.reclaimed(cluster, backend, sum);
                     });
                   },
                   asking);
}

}  // namespace weir::server
