#include "server/directory.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::server {
namespace {

// Beyond so many changes of one turn the whole membership is told: the workers then rebuild once.
constexpr std::size_t kSingleChangesMax = 8;

std::string identity_of(const std::string& name, const std::string& url) {
  return name + '\0' + url;
}

}  // namespace

ClusterDirectory::ClusterDirectory(const Environment& environment)
    : environment_(environment), series_(environment.metrics), publish_timer_(*this) {}

ClusterDirectory::~ClusterDirectory() {
  // Addresses that go are not looked for in a cluster that is half gone.
  by_name_.clear();
  clusters_.clear();
}

void ClusterDirectory::apply(const config::Compiled& compiled) {
  applying_ = true;
  std::unordered_map<std::string, std::unique_ptr<Cluster>> old;
  for (auto& cluster : clusters_) old.emplace(cluster->name, std::move(cluster));
  clusters_.clear();
  by_name_.clear();
  for (std::size_t i = 0; i < compiled.spec->clusters.size(); ++i) {
    const config::ClusterSpec& spec = compiled.spec->clusters[i];
    const auto found = old.find(spec.name);
    clusters_.push_back(found != old.end() ? std::move(found->second) : std::make_unique<Cluster>());
    Cluster& cluster = *clusters_.back();
    cluster.name = spec.name;
    cluster.balance = spec.balance;
    cluster.dns = spec.dns;
    take_settings(cluster, compiled.clusters[i]);
    by_name_[cluster.name] = &cluster;
    if (!cluster.series) cluster.series = std::make_unique<ClusterSeries>(series_, cluster.name);
    update_backends(cluster, spec);
    start_checks(cluster);
    start_detections(cluster);
    index(cluster);
    cluster.members_dirty = false;
    cluster.changed.clear();
  }
  old.clear();
  series_.sweep();
  applying_ = false;
  check_answered();
}

void ClusterDirectory::renew(const config::Compiled& compiled) {
  for (std::size_t i = 0; i < clusters_.size(); ++i) {
    Cluster& cluster = *clusters_[i];
    take_settings(cluster, compiled.clusters[i]);
    start_checks(cluster);
    start_detections(cluster);
  }
}

void ClusterDirectory::take_settings(Cluster& cluster, const config::CompiledCluster& compiled) {
  const ClusterSettings& settings = *compiled.settings;
  cluster.health_check = compiled.health_check;
  cluster.speech = {settings.protocol, settings.proxy_protocol, settings.tls};
}

// Keeps the entries that both configurations have, by name and URL, in the order of the new one.
void ClusterDirectory::update_backends(Cluster& cluster, const config::ClusterSpec& spec) {
  std::unordered_map<std::string, std::unique_ptr<BackendEntry>> old;
  for (auto& entry : cluster.backends) old.emplace(identity_of(entry->spec().name, entry->url()), std::move(entry));
  cluster.backends.clear();
  for (const config::BackendSpec& backend : spec.backends) {
    const auto found = old.find(identity_of(backend.name, config::url_of(backend)));
    if (found != old.end() && found->second) {
      found->second->update(backend, cluster.dns);
      cluster.backends.push_back(std::move(found->second));
    } else {
      cluster.backends.push_back(make_entry(cluster, backend));
    }
  }
}

std::unique_ptr<BackendEntry> ClusterDirectory::make_entry(Cluster& cluster, const config::BackendSpec& spec) {
  return std::make_unique<BackendEntry>(BackendEntry::Environment{.loop = environment_.loop,
                                                                  .resolver = environment_.resolver,
                                                                  .logger = environment_.logger,
                                                                  .series = series_,
                                                                  .owner = *this,
                                                                  .cluster = cluster.name},
                                        spec, cluster.dns);
}

void ClusterDirectory::start_checks(Cluster& cluster) {
  const Duration spread = cluster.health_check
                              ? health::first_probe_spread(cluster.backends.size(), cluster.health_check->interval)
                              : Duration::zero();
  for (auto& entry : cluster.backends) entry->check_with(cluster.health_check, spread);
}

// Before traffic needs to know, and many not all at once.
void ClusterDirectory::start_detections(Cluster& cluster) {
  constexpr std::size_t kFew = 100;
  const std::size_t count = cluster.backends.size();
  const Duration spread = count <= kFew ? Duration::zero() : health::first_probe_spread(count, kForever);
  for (auto& entry : cluster.backends) entry->speak(cluster.speech, spread);
}

// Brings up to date what is known of a cluster's addresses as a whole.
void ClusterDirectory::index(Cluster& cluster) {
  std::size_t healthy = 0;
  std::size_t total = 0;
  for (const auto& entry : cluster.backends) {
    healthy += entry->healthy_count();
    total += entry->total_count();
    for (const auto& address : entry->addresses()) by_backend_[address->backend().get()] = address.get();
  }
  cluster.series->set(healthy, total);
}

std::vector<proxy::ClusterSnapshot> ClusterDirectory::memberships(const config::Compiled& compiled) const {
  std::vector<proxy::ClusterSnapshot> result;
  result.reserve(compiled.clusters.size());
  for (std::size_t i = 0; i < compiled.clusters.size(); ++i) {
    result.push_back({compiled.clusters[i].settings, membership(*clusters_[i])});
  }
  return result;
}

std::shared_ptr<const Membership> ClusterDirectory::membership(const Cluster& cluster) const {
  auto members = std::make_shared<Membership>();
  members->reserve(cluster.backends.size());
  for (const auto& entry : cluster.backends) {
    for (const auto& address : entry->addresses()) members->push_back(address->member());
  }
  return members;
}

void ClusterDirectory::refused(const std::shared_ptr<Backend>& backend) {
  const auto found = by_backend_.find(backend.get());
  if (found != by_backend_.end()) found->second->refused();
}

void ClusterDirectory::tls_failed(const std::shared_ptr<Backend>& backend, const std::string& reason) {
  const auto found = by_backend_.find(backend.get());
  if (found != by_backend_.end()) found->second->tls_failed(reason);
}

void ClusterDirectory::http2_broken(const std::shared_ptr<Backend>& backend, const std::string& reason) {
  const auto found = by_backend_.find(backend.get());
  if (found != by_backend_.end()) found->second->http2_broken(reason);
}

void ClusterDirectory::protocol_wanted(const std::shared_ptr<Backend>& backend) {
  const auto found = by_backend_.find(backend.get());
  if (found != by_backend_.end()) found->second->protocol_wanted();
}

void ClusterDirectory::on_entry_members(BackendEntry& entry) {
  if (Cluster* cluster = find_cluster(entry.environment().cluster)) {
    cluster->members_dirty = true;
    changed();
  }
}

void ClusterDirectory::on_entry_health(BackendEntry& entry, BackendAddress& address) {
  if (Cluster* cluster = find_cluster(entry.environment().cluster)) {
    cluster->changed.insert(&address);
    changed();
  }
}

void ClusterDirectory::on_entry_answered(BackendEntry&) {
  if (!checked_once_) changed();
}

void ClusterDirectory::on_address_gone(BackendAddress& address) {
  by_backend_.erase(address.backend().get());
  if (Cluster* cluster = find_cluster(address.entry().environment().cluster)) cluster->changed.erase(&address);
}

void ClusterDirectory::changed() {
  if (!publish_timer_.armed() && !applying_) environment_.loop.timers().arm(publish_timer_, environment_.loop.now());
}

void ClusterDirectory::on_timer(Timer&) {
  publish();
  check_answered();
}

void ClusterDirectory::publish_now() {
  if (!publish_timer_.armed()) return;
  environment_.loop.timers().disarm(publish_timer_);
  publish();
  check_answered();
}

void ClusterDirectory::publish() {
  for (auto& cluster : clusters_) {
    if (!cluster->members_dirty && cluster->changed.empty()) continue;
    if (cluster->members_dirty || cluster->changed.size() > kSingleChangesMax) {
      environment_.observer.on_members_changed(cluster->name, membership(*cluster));
    } else {
      for (const auto& entry : cluster->backends) {  // in the order of the configuration
        for (const auto& address : entry->addresses()) {
          if (cluster->changed.contains(address.get())) {
            environment_.observer.on_member_changed(cluster->name, address->member());
          }
        }
      }
    }
    index(*cluster);
    cluster->members_dirty = false;
    cluster->changed.clear();
  }
  series_.sweep();
}

void ClusterDirectory::check_answered() {
  if (checked_once_) return;
  for (const auto& cluster : clusters_) {
    if (!cluster->health_check) continue;
    for (const auto& entry : cluster->backends) {
      if (!entry->looked_up()) return;
      for (const auto& address : entry->addresses()) {
        if (!address->answered()) return;
      }
    }
  }
  checked_once_ = true;
  environment_.observer.on_checked_once();
}

ClusterDirectory::Cluster* ClusterDirectory::find_cluster(const std::string& name) {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

}  // namespace weir::server
