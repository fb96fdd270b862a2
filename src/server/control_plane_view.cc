// What the admin port sees of the control plane.
#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "config/json.h"
#include "observe/exposition.h"
#include "observe/text.h"
#include "server/control_plane.h"

namespace weir::server {
namespace {

using admin::ChangeError;
using Activity = std::vector<proxy::Worker::BackendActivity>;

void member(std::string& out, std::string_view key, std::string_view text) {
  if (out.back() != '{') out += ',';
  observe::append_json_string(out, key);
  out += ':';
  observe::append_json_string(out, text);
}

void member(std::string& out, std::string_view key, std::uint64_t number) {
  if (out.back() != '{') out += ',';
  observe::append_json_string(out, key);
  out += ':';
  observe::append_number(out, number);
}

// Appends what a route does: "cluster", "split", "redirect" or "respond".
struct ActionWriter {
  std::string& out;

  void operator()(const config::ToCluster& action) const { member(out, "cluster", action.cluster); }
  void operator()(const config::Split& action) const {
    out += R"(,"split":[)";
    for (const auto& target : action.targets) {
      if (out.back() != '[') out += ',';
      out += '{';
      member(out, "cluster", target.cluster);
      member(out, "weight", target.weight);
      out += '}';
    }
    out += ']';
  }
  void operator()(const config::Redirect& action) const {
    out += R"(,"redirect":{)";
    member(out, "status", action.status);
    if (!action.scheme.empty()) member(out, "scheme", action.scheme);
    if (!action.host.empty()) member(out, "host", action.host);
    if (action.port != 0) member(out, "port", action.port);
    if (!action.path.empty()) member(out, "path", action.path);
    if (!action.path_prefix.empty()) member(out, "path_prefix", action.path_prefix);
    out += '}';
  }
  void operator()(const config::Respond& action) const {
    out += R"(,"respond":{)";
    member(out, "status", action.status);
    member(out, "body", action.body);
    out += '}';
  }
};

// Adds the workers' figures to the views.
void add_activity(std::vector<admin::ClusterView>& views, const std::vector<Activity>& answers) {
  std::unordered_map<std::string, std::pair<std::uint64_t, std::uint64_t>> sums;  // active, total
  for (const Activity& answer : answers) {
    for (const auto& backend : answer) {
      auto& sum = sums[backend.cluster + '\0' + backend.backend];
      sum.first += backend.active_requests;
      sum.second += backend.requests_total;
    }
  }
  for (auto& cluster : views) {
    for (auto& backend : cluster.backends) {
      const std::vector<std::string> itself{backend.name};
      for (const std::string& name : backend.addresses.empty() ? itself : backend.addresses) {
        const auto found = sums.find(cluster.name + '\0' + name);
        if (found == sums.end()) continue;
        backend.active_connections += found->second.first;
        backend.requests_total += found->second.second;
      }
    }
  }
}

Activity activity_of(proxy::Worker& worker) {
  return worker.activity();
}

}  // namespace

std::string routes_to_json(const config::Spec& spec) {
  std::string out = "[";
  for (std::size_t i = 0; i < spec.routes.size(); ++i) {
    if (i > 0) out += ',';
    out += '{';
    member(out, "name", spec.routes[i].name);
    out += R"(,"match":)";
    out += config::match_to_json(spec, i);
    std::visit(ActionWriter{out}, spec.routes[i].action);
    out += '}';
  }
  out += ']';
  return out;
}

admin::ReadyView ControlPlane::ready() {
  if (!lifecycle_.serving()) return {false, "draining"};
  if (!in_force_) return {false, "starting"};
  if (!directory_.checked_once()) return {false, "waiting for the first health checks"};
  return {true, {}};
}

void ControlPlane::clusters(Done<std::vector<admin::ClusterView>> done) {
  workers_.ask_all(activity_of,
                   [views = directory_.views(), done = std::move(done)](const std::vector<Activity>& answers) mutable {
                     add_activity(views, answers);
                     done(std::move(views));
                   });
}

std::shared_ptr<const std::string> ControlPlane::routes_json() {
  if (!routes_json_) {
    routes_json_ = std::make_shared<const std::string>(starting() ? "[]" : routes_to_json(*current_->spec));
  }
  return routes_json_;
}

admin::ConfigView ControlPlane::config() {
  if (!config_json_) {
    config_json_ = std::make_shared<const std::string>(starting() ? "{}" : config::to_json(*current_->spec));
  }
  return {generation_, config_json_};
}

void ControlPlane::render_metrics(std::string accept, Done<admin::MetricsText> done) {
  const observe::RenderOptions options{.format = observe::choose_format(accept),
                                       .per_worker = starting() || current_->spec->metrics.per_worker};
  auto text = std::make_shared<admin::MetricsText>();
  environment_.executor->submit(
      [this, options, text, stores = environment_.all_metrics()] {
        const auto process = environment_.process_metrics ? environment_.process_metrics() : std::nullopt;
        observe::render(stores, process ? &*process : nullptr, options, text->body);
        text->content_type = observe::content_type(options.format);
      },
      [text, done = std::move(done)]() mutable { done(std::move(*text)); });
}

std::optional<ChangeError> ControlPlane::unchangeable() const {
  const auto conflict = [](const char* what) { return ChangeError{ChangeError::Kind::conflict, what}; };
  if (!lifecycle_.serving()) return conflict("Weir is draining");
  if (!in_force_) return conflict("Weir is starting");
  // Its end would undo the change.
  if (reloading_) return conflict("a reload is under way");
  return std::nullopt;
}

// Once the workers have it: the next request of whoever asked is under the change.
template <typename T>
void ControlPlane::answer_in_force(admin::Change<T> result, Done<admin::Change<T>> done) {
  if (!result) return done(std::move(result));
  directory_.publish_now();
  workers_.ask_all([](proxy::Worker&) { return true; },
                   [result = std::move(result), done = std::move(done)](const std::vector<bool>&) mutable {
                     done(std::move(result));
                   });
}

void ControlPlane::add_backend(const std::string& cluster, admin::NewBackend backend,
                               Done<admin::Change<admin::BackendView>> done) {
  if (auto error = unchangeable()) return done(std::unexpected(std::move(*error)));
  auto added = directory_.add_backend(cluster, backend);
  answer_in_force(std::move(added), std::move(done));
}

void ControlPlane::patch_backend(const std::string& cluster, const std::string& backend, admin::BackendPatch patch,
                                 Done<admin::Change<admin::BackendView>> done) {
  if (auto error = unchangeable()) return done(std::unexpected(std::move(*error)));
  auto changed = directory_.patch_backend(cluster, backend, patch);
  if (!changed) return done(std::move(changed));
  directory_.publish_now();
  workers_.ask_all(activity_of, [cluster, view = std::move(*changed),
                                 done = std::move(done)](const std::vector<Activity>& answers) mutable {
    std::vector<admin::ClusterView> views{{.name = cluster, .balance = {}, .backends = {std::move(view)}}};
    add_activity(views, answers);
    done(std::move(views.front().backends.front()));
  });
}

void ControlPlane::remove_backend(const std::string& cluster, const std::string& backend,
                                  Done<admin::Change<void>> done) {
  if (auto error = unchangeable()) return done(std::unexpected(std::move(*error)));
  auto removed = directory_.remove_backend(cluster, backend);
  answer_in_force(std::move(removed), std::move(done));
}

}  // namespace weir::server
