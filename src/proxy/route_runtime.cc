#include "proxy/route_runtime.h"

#include <algorithm>
#include <string_view>

namespace weir::proxy {

using observe::Family;

ListenerRuntime::ListenerRuntime(observe::MetricStore& metrics, std::shared_ptr<const ListenerSettings> given)
    : settings(std::move(given)), metrics_(metrics) {
  active_connections = metrics.gauge(Family::kActiveConnections, {settings->name});
  received = metrics.counter(Family::kBytes, {settings->name, "received"});
  sent = metrics.counter(Family::kBytes, {settings->name, "sent"});
}

void ListenerRuntime::set_access_log(const std::shared_ptr<observe::AccessLog>& log, std::uint32_t worker) {
  if (log == log_) return;
  access_log.reset();
  log_ = log;
  if (log == nullptr) return;
  access_log = log->make_sink(worker, metrics_.counter(Family::kAccessLogLost, {settings->name}));
}

observe::Counter& ListenerRuntime::local_replies(ReplyReason reason) {
  observe::CounterRef& cell = local_replies_[static_cast<std::size_t>(reason)];
  if (!cell) cell = metrics_.counter(Family::kLocalReplies, {settings->name, to_string(reason)});
  return *cell;
}

void ListenerRuntime::count_refused(std::string_view reason) {
  metrics_.counter(Family::kConnectionsRefused, {settings->name, reason})->add(1);
}

RouteRuntime::RouteRuntime(std::shared_ptr<const Route> given, std::vector<LocalRef<ClusterRuntime>> its_clusters)
    : route(std::move(given)), clusters(std::move(its_clusters)) {
  if (route == nullptr) return;
  for (const WeightedCluster& cluster : route->clusters) weights_ += cluster.weight;
}

ClusterRuntime* RouteRuntime::choose_cluster(Rng& rng) const {
  if (clusters.empty()) return nullptr;
  if (clusters.size() == 1) return clusters.front().get();
  std::uint64_t point = rng.below(weights_);
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    const std::uint64_t weight = route->clusters[i].weight;
    if (point < weight) return clusters[i].get();
    point -= weight;
  }
  return clusters.back().get();
}

RouteCells& RouteRuntime::cells(observe::MetricStore& metrics, const LocalRef<ListenerRuntime>& listener) {
  for (const auto& cells : cells_) {
    if (cells->listener == listener.get()) return *cells;
  }
  const std::string_view listener_name = listener->settings->name;
  const std::string_view route_name = route == nullptr ? std::string_view() : std::string_view(route->name);
  cells_.push_back(
      std::make_unique<RouteCells>(RouteCells{listener.get(),
                                              metrics.histogram(Family::kRequestDuration, {listener_name, route_name}),
                                              metrics.histogram(Family::kRequestSize, {listener_name, route_name}),
                                              metrics.histogram(Family::kResponseSize, {listener_name, route_name}),
                                              {}}));
  return *cells_.back();
}

void RouteRuntime::drop_listener(const ListenerRuntime& listener) {
  std::erase_if(cells_, [&](const auto& cells) { return cells->listener == &listener; });
}

RouteRuntimes::RouteRuntimes(PoolContext& pools, observe::MetricStore& metrics, std::uint64_t seed)
    : pools_(pools),
      metrics_(metrics),
      seed_(seed),
      no_route_(new RouteRuntime(nullptr, std::vector<LocalRef<ClusterRuntime>>())) {
  metrics_.show_only([this](const observe::Series& series) { return applying_ || is_configured(series); });
}

RouteRuntimes::~RouteRuntimes() {
  metrics_.show_only(nullptr);
}

void RouteRuntimes::apply(std::shared_ptr<const Snapshot> snapshot, TimePoint drain_deadline) {
  applying_ = true;
  apply_clusters(*snapshot);
  apply_listeners(*snapshot, drain_deadline);
  apply_routes(*snapshot);
  snapshot_ = std::move(snapshot);
  route_names_.clear();
  for (const auto& route : snapshot_->routes) route_names_.push_back(route->name);
  std::ranges::sort(route_names_);
  applying_ = false;
  remove_metrics();
}

void RouteRuntimes::update_members(const std::string& name, const Membership& members) {
  ClusterRuntime* runtime = cluster(name);
  if (runtime != nullptr && runtime->set_members(members)) remove_metrics();
}

void RouteRuntimes::clear() {
  routes_.clear();
  removed_.clear();
  listeners_.clear();
  for (auto& [name, cluster] : clusters_) cluster->retire();
  clusters_.clear();
  route_names_.clear();
  snapshot_ = nullptr;
}

void RouteRuntimes::apply_clusters(const Snapshot& snapshot) {
  auto old = std::exchange(clusters_, {});
  for (const ClusterSnapshot& cluster : snapshot.clusters) {
    const std::string& name = cluster.settings->name;
    const auto found = old.find(name);
    LocalRef<ClusterRuntime> runtime;
    if (found != old.end()) {
      runtime = std::move(found->second);
      old.erase(found);
      runtime->configure(cluster.settings);
    } else {
      const std::uint64_t seed = seed_ ^ std::hash<std::string>{}(name);
      runtime = LocalRef<ClusterRuntime>(new ClusterRuntime(pools_, cluster.settings, seed));
    }
    runtime->set_members(*cluster.members);
    clusters_.emplace(name, std::move(runtime));
  }
  for (auto& [name, cluster] : old) cluster->retire();
}

void RouteRuntimes::apply_listeners(const Snapshot& snapshot, TimePoint drain_deadline) {
  auto old = std::exchange(listeners_, {});
  for (const auto& settings : snapshot.listeners) {
    const auto found = old.find(settings->name);
    LocalRef<ListenerRuntime> runtime;
    if (found != old.end()) {
      runtime = std::move(found->second);
      old.erase(found);
      runtime->settings = settings;
    } else {
      runtime = LocalRef<ListenerRuntime>(new ListenerRuntime(metrics_, settings));
    }
    listeners_.emplace(settings->name, std::move(runtime));
  }
  removed_.clear();
  for (auto& [name, listener] : old) {
    listener->draining = true;
    listener->drain_deadline = drain_deadline;
    removed_.push_back(listener);
    no_route_->drop_listener(*listener);
    for (const auto& route : routes_) {
      if (route) route->drop_listener(*listener);
    }
  }
}

// Called while snapshot_ is still the one before.
void RouteRuntimes::apply_routes(const Snapshot& next) {
  std::unordered_map<const Route*, LocalRef<RouteRuntime>> old;
  for (LocalRef<RouteRuntime>& route : routes_) {
    if (route) old.emplace(route->route.get(), std::move(route));
  }
  routes_.assign(next.routes.size(), LocalRef<RouteRuntime>());
  if (old.empty()) return;
  for (std::size_t i = 0; i < next.routes.size(); ++i) {
    const auto found = old.find(next.routes[i].get());
    if (found == old.end()) continue;
    // Kept only if its clusters are still the same objects.
    const auto& wanted = next.routes[i]->clusters;
    bool same = true;
    for (std::size_t c = 0; c < wanted.size(); ++c) {
      same = same && cluster(wanted[c].cluster) == found->second->clusters[c].get();
    }
    if (same) routes_[i] = found->second;
  }
}

bool RouteRuntimes::is_configured(const observe::Series& series) const {
  for (const observe::Label label : observe::describe(series.family()).labels()) {
    const std::string_view value = series.value_of(label);
    switch (label) {
      case observe::Label::kListener:
        if (!listeners_.contains(std::string(value))) return false;
        break;
      case observe::Label::kRoute:
        if (!value.empty() && !std::ranges::binary_search(route_names_, value)) return false;
        break;
      case observe::Label::kCluster:
        if (!clusters_.contains(std::string(value))) return false;
        break;
      case observe::Label::kBackend: {
        const auto cluster = clusters_.find(std::string(series.value_of(observe::Label::kCluster)));
        if (cluster == clusters_.end() || !cluster->second->has(value)) return false;
        break;
      }
      default:
        break;
    }
  }
  return true;
}

// Series of what is not configured any more go; of what comes back under the same name they start from 0.
void RouteRuntimes::remove_metrics() {
  metrics_.remove_if([this](const observe::Series& series) { return !is_configured(series); });
}

const LocalRef<RouteRuntime>& RouteRuntimes::find(const routing::RequestView& request) {
  if (snapshot_ == nullptr) return no_route_;
  const std::uint32_t index = snapshot_->route_table->find(request);
  if (index == routing::kNoRoute) return no_route_;
  LocalRef<RouteRuntime>& route = routes_[index];
  if (!route) route = make_route(snapshot_->routes[index]);
  return route;
}

LocalRef<RouteRuntime> RouteRuntimes::make_route(const std::shared_ptr<const Route>& route) {
  std::vector<LocalRef<ClusterRuntime>> clusters;
  for (const WeightedCluster& wanted : route->clusters) clusters.emplace_back(cluster(wanted.cluster));
  return LocalRef<RouteRuntime>(new RouteRuntime(route, std::move(clusters)));
}

ClusterRuntime* RouteRuntimes::cluster(std::string_view name) {
  const auto found = clusters_.find(std::string(name));
  return found == clusters_.end() ? nullptr : found->second.get();
}

LocalRef<ListenerRuntime> RouteRuntimes::listener(std::string_view name) {
  const auto found = listeners_.find(std::string(name));
  if (found != listeners_.end()) return found->second;
  const auto gone = std::ranges::find(
      removed_, name, [](const auto& listener) -> std::string_view { return listener->settings->name; });
  return gone == removed_.end() ? LocalRef<ListenerRuntime>() : *gone;
}

}  // namespace weir::proxy
