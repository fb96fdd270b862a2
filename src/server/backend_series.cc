#include "server/backend_series.h"

namespace weir::server {

using observe::Family;

std::string BackendSeriesTable::key_of(const std::string& cluster, const std::string& backend) {
  std::string key = cluster;
  key += '\0';
  key += backend;
  return key;
}

void BackendSeriesTable::drop(const std::string& key) {
  if (--holders_[key] == 0) anything_dropped_ = true;
}

void BackendSeriesTable::sweep() {
  if (!anything_dropped_) return;
  anything_dropped_ = false;
  store_.remove_if([this](const observe::Series& series) {
    std::string key;
    switch (series.family()) {
      case Family::kBackendHealthStatus:
        key = key_of(std::string(series.label(0)), std::string(series.label(1)));
        break;
      case Family::kHealthyBackends:
      case Family::kTotalBackends:
        key = key_of(std::string(series.label(0)), {});
        break;
      default:
        return false;
    }
    const auto found = holders_.find(key);
    return found == holders_.end() || found->second == 0;
  });
  std::erase_if(holders_, [](const auto& entry) { return entry.second == 0; });
}

BackendSeries::BackendSeries(BackendSeriesTable& table, const std::string& cluster, const std::string& backend,
                             bool healthy)
    : table_(table),
      key_(BackendSeriesTable::key_of(cluster, backend)),
      health_(table.store().gauge(Family::kBackendHealthStatus, {cluster, backend})) {
  table_.hold(key_);
  set_healthy(healthy);
}

BackendSeries::~BackendSeries() {
  table_.drop(key_);
}

ClusterSeries::ClusterSeries(BackendSeriesTable& table, const std::string& cluster)
    : table_(table),
      key_(BackendSeriesTable::key_of(cluster, {})),
      healthy_(table.store().gauge(Family::kHealthyBackends, {cluster})),
      total_(table.store().gauge(Family::kTotalBackends, {cluster})) {
  table_.hold(key_);
}

ClusterSeries::~ClusterSeries() {
  table_.drop(key_);
}

void ClusterSeries::set(std::size_t healthy, std::size_t total) {
  healthy_->set(static_cast<std::int64_t>(healthy));
  total_->set(static_cast<std::int64_t>(total));
}

}  // namespace weir::server
