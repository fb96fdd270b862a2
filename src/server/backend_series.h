#pragma once

#include <string>
#include <unordered_map>

#include "observe/metric_store.h"

namespace weir::server {

class BackendSeries;

// The control thread's series that come and go with backends. One whose last holder has gone is removed at the next
// sweep(), so that a rename or a reload that keeps a name keeps its series. Control thread; outlived by the store,
// outlives its holders.
class BackendSeriesTable {
 public:
  explicit BackendSeriesTable(observe::MetricStore& store) : store_(store) {}

  observe::MetricStore& store() { return store_; }
  // Removes the series of backends and clusters that nobody holds any more.
  void sweep();

 private:
  friend class BackendSeries;
  friend class ClusterSeries;
  static std::string key_of(const std::string& cluster, const std::string& backend);
  void hold(const std::string& key) { ++holders_[key]; }
  void drop(const std::string& key);

  observe::MetricStore& store_;
  std::unordered_map<std::string, std::size_t> holders_;  // those with 0 wait for the sweep
  bool anything_dropped_ = false;
};

// A backend's lb_backend_health_status.
class BackendSeries {
 public:
  BackendSeries(BackendSeriesTable& table, const std::string& cluster, const std::string& backend, bool healthy);
  BackendSeries(const BackendSeries&) = delete;
  BackendSeries& operator=(const BackendSeries&) = delete;
  ~BackendSeries();

  void set_healthy(bool healthy) { health_->set(healthy ? 1 : 0); }

 private:
  BackendSeriesTable& table_;
  const std::string key_;
  observe::GaugeRef health_;
};

// A cluster's lb_healthy_backends and lb_total_backends.
class ClusterSeries {
 public:
  ClusterSeries(BackendSeriesTable& table, const std::string& cluster);
  ClusterSeries(const ClusterSeries&) = delete;
  ClusterSeries& operator=(const ClusterSeries&) = delete;
  ~ClusterSeries();

  void set(std::size_t healthy, std::size_t total);

 private:
  BackendSeriesTable& table_;
  const std::string key_;
  observe::GaugeRef healthy_;
  observe::GaugeRef total_;
};

}  // namespace weir::server
