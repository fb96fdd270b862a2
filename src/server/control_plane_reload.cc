// How a configuration comes into force, the first and every later one.
#include <fmt/format.h>

#include <utility>

#include "server/control_plane.h"

namespace weir::server {
namespace {

using admin::ChangeError;

// On the executor.
std::expected<std::shared_ptr<const config::Compiled>, std::string> load_and_compile(
    const std::function<LoadedSpec()>& load, const config::Compiled* previous) {
  LoadedSpec loaded = load();
  if (!loaded) return std::unexpected(std::move(loaded.error()));
  auto compiled = config::compile(std::make_shared<const config::Spec>(std::move(*loaded)), previous);
  if (!compiled) return std::unexpected(std::move(compiled.error().message));
  return std::move(*compiled);
}

std::string in_one_line(std::string_view text) {
  std::string line(text.substr(0, text.find('\n')));
  if (line.size() < text.size()) line += " ...";
  return line;
}

}  // namespace

void ControlPlane::reload(ReloadDone done) {
  if (starting() || !lifecycle_.serving()) {
    const char* reason = starting() ? "Weir is starting" : "Weir is draining";
    logger_.warn(loop_.wall_now(), "reload ignored", {{"reason", reason}});
    return done(std::unexpected(ChangeError{ChangeError::Kind::conflict, reason}));
  }
  if (reloading_) {
    // The one that runs may have read the file already, so another has to follow; one for all that ask meanwhile.
    reload_again_ = true;
    reload_next_.push_back(std::move(done));
    return;
  }
  reload_waiting_.push_back(std::move(done));
  begin_reload();
}

void ControlPlane::begin_reload() {
  reloading_ = true;
  environment_.service->reloading(loop_.now());
  auto result = std::make_shared<std::expected<CompiledPtr, std::string>>();
  environment_.executor->submit(
      [result, load = environment_.load, previous = current_] { *result = load_and_compile(load, previous.get()); },
      [this, result] { loaded(std::move(*result)); });
}

void ControlPlane::loaded(std::expected<CompiledPtr, std::string> result) {
  const auto refuse = [this](std::string reason) {
    return end_reload(std::unexpected(ChangeError{ChangeError::Kind::invalid, std::move(reason)}));
  };
  if (!lifecycle_.serving()) {
    return end_reload(std::unexpected(ChangeError{ChangeError::Kind::conflict, "Weir is draining"}));
  }
  if (!result) return refuse(std::move(result.error()));
  if (std::string reason = why_not(*(*result)->spec); !reason.empty()) return refuse(std::move(reason));
  auto plan = listeners_.prepare((*result)->listeners);
  if (!plan) return refuse(std::move(plan.error().message));
  auto logs = open_access_logs(*environment_.access_logs, (*result)->listeners);
  if (!logs) {
    listeners_.abandon(*plan);
    return refuse(std::move(logs.error().message));
  }
  if (const config::LogSpec& log = (*result)->spec->log;
      !starting() && environment_.configure_log && current_->spec->log != log) {
    if (auto done = environment_.configure_log(log); !done) {
      listeners_.abandon(*plan);
      return refuse(std::move(done.error().message));
    }
  }
  ++generation_;
  bring_into_force(std::move(*result), *plan, std::move(*logs));
}

// Files that the configuration names have others in their place: the configuration stays, and with it its generation.
void ControlPlane::files_changed(std::shared_ptr<const config::Spec> looked_at,
                                 const std::shared_ptr<const config::Spec>& next) {
  // A reload reads them all anew, or has just done so.
  if (reloading_ || !lifecycle_.serving() || current_->spec != looked_at) return;
  auto compiled = config::compile(next, current_.get());
  if (!compiled) {
    return logger_.error(loop_.wall_now(), "files that have changed are not used, what runs stays",
                         {{"reason", compiled.error().message}});
  }
  auto plan = listeners_.prepare((*compiled)->listeners);
  auto logs = open_access_logs(*environment_.access_logs, (*compiled)->listeners);
  if (!plan || !logs) {
    if (plan) listeners_.abandon(*plan);
    return;
  }
  logger_.info(loop_.wall_now(), "certificates renewed", {{"reason", "their files have changed"}});
  bring_into_force(std::move(*compiled), *plan, std::move(*logs), false);
}

std::string ControlPlane::why_not(const config::Spec& next) const {
  const config::Spec& now = *current_->spec;
  if (next.workers != now.workers) return "a change of 'workers' needs a restart";
  if (next.admin != now.admin) return "a change of 'admin' needs a restart";
  return {};
}

void ControlPlane::bring_into_force(CompiledPtr compiled, ListenerSet::Plan& plan, AccessLogList logs, bool by_reload) {
  const bool first = starting();
  current_ = std::move(compiled);
  config_json_.reset();
  routes_json_.reset();
  by_reload ? directory_.apply(*current_) : directory_.renew(*current_);
  certificates_.apply(current_);
  listeners_.commit(plan);
  generation_gauge_->set(static_cast<std::int64_t>(generation_));

  auto snapshot = std::make_shared<proxy::Snapshot>();
  snapshot->generation = generation_;
  snapshot->listeners = current_->listeners;
  snapshot->access_logs = std::move(logs);
  snapshot->routes = current_->routes;
  snapshot->route_table = current_->route_table;
  snapshot->clusters = directory_.memberships(*current_);
  const Duration drain_timeout = current_->spec->drain_timeout;
  const std::shared_ptr<const proxy::Snapshot> shared = std::move(snapshot);
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_.tell(i, [shared, drain_timeout, sockets = std::move(plan.sockets[i])](proxy::Worker& worker) mutable {
      worker.apply(shared, std::move(sockets), drain_timeout);
    });
  }
  // It is in force when each worker has it.
  workers_.ask_all([](proxy::Worker&) { return true; },
                   [this, first, by_reload](const std::vector<bool>&) {
                     if (!by_reload) return;
                     if (!first) return end_reload(generation_);
                     in_force_ = true;
                     logger_.info(loop_.wall_now(), fmt::format("listening: {}", summary()),
                                  {{"generation", generation_}});
                     environment_.service->ready(fmt::format("listening: {}", summary()));
                   });
}

void ControlPlane::end_reload(admin::Change<std::uint64_t> result) {
  reloading_ = false;
  reload_success_gauge_->set(result ? 1 : 0);
  if (result) {
    logger_.info(loop_.wall_now(), "configuration reloaded", {{"generation", *result}, {"reason", "reload"}});
    if (environment_.on_reloaded) environment_.on_reloaded();
  } else {
    logger_.error(loop_.wall_now(), "configuration not reloaded, what runs stays",
                  {{"generation", generation_}, {"reason", in_one_line(result.error().message)}});
  }
  if (lifecycle_.serving()) environment_.service->ready(fmt::format("listening: {}", summary()));
  std::vector<ReloadDone> waiting = std::exchange(reload_waiting_, {});
  for (ReloadDone& done : waiting) done(result);
  if (!std::exchange(reload_again_, false)) return;
  reload_waiting_ = std::exchange(reload_next_, {});
  if (lifecycle_.serving()) return begin_reload();
  end_reload(std::unexpected(ChangeError{ChangeError::Kind::conflict, "Weir is draining"}));
}

}  // namespace weir::server
