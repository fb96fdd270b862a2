#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/local_ref.h"
#include "observe/access_log.h"
#include "proxy/cluster_runtime.h"
#include "proxy/held_responses.h"
#include "proxy/reply_reason.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

// One worker's live state of one listener. Its settings are replaced by a reload that keeps the name.
class ListenerRuntime final : public LocalCounted {
 public:
  ListenerRuntime(observe::MetricStore& metrics, std::shared_ptr<const ListenerSettings> given);

  // Null for none. Keeps the sink if the log is the one it has.
  void set_access_log(const std::shared_ptr<observe::AccessLog>& log, std::uint32_t worker);
  observe::Counter& local_replies(ReplyReason reason);
  void count_refused(std::string_view reason);

  std::shared_ptr<const ListenerSettings> settings;
  std::unique_ptr<observe::AccessLogSink> access_log;  // null if there is none
  observe::GaugeRef active_connections;
  observe::CounterRef received, sent;
  HeldResponses held;
  bool draining = false;              // removed from the configuration: its connections are to end
  TimePoint drain_deadline = kNever;  // what is left then is cut

 private:
  observe::MetricStore& metrics_;
  std::shared_ptr<observe::AccessLog> log_;
  observe::CounterRef local_replies_[static_cast<std::size_t>(ReplyReason::count_)];
};

// The cells of one route's requests at one listener.
struct RouteCells {
  ListenerRuntime* listener;
  observe::HistogramRef duration, request_size, response_size;
  StatusCounters requests;  // by method and status
};

// One worker's live state of one route; made on its first use. Streams hold it, and so what it refers to.
class RouteRuntime final : public LocalCounted {
 public:
  RouteRuntime(std::shared_ptr<const Route> given, std::vector<LocalRef<ClusterRuntime>> its_clusters);

  // The cluster of the next request: one draw where the route splits.
  ClusterRuntime* choose_cluster(Rng& rng) const;
  RouteCells& cells(observe::MetricStore& metrics, const LocalRef<ListenerRuntime>& listener);
  // Forgets the cells of listeners that are gone.
  void drop_listener(const ListenerRuntime& listener);

  const std::shared_ptr<const Route> route;  // null: requests that matched none
  const std::vector<LocalRef<ClusterRuntime>> clusters;
  StatusCounters grpc_requests;  // by grpc-status

 private:
  std::uint64_t weights_ = 0;
  std::vector<std::unique_ptr<RouteCells>> cells_;
};

// The configuration in force, as one worker sees it.
class RouteRuntimes {
 public:
  RouteRuntimes(PoolContext& pools, observe::MetricStore& metrics, std::uint64_t seed);
  ~RouteRuntimes();

  // Listeners, routes and clusters that stay keep their state; the others are let go, and live as long as streams hold
  // them. What is left of a listener that goes is to end at `drain_deadline`.
  void apply(std::shared_ptr<const Snapshot> snapshot, TimePoint drain_deadline);

  // A cluster's backends have changed.
  void update_members(const std::string& cluster, const Membership& members);

  // Lets go of everything; nothing is configured any more.
  void clear();

  const Snapshot* snapshot() const { return snapshot_.get(); }
  // The route of a request, or the one that stands for "none matched".
  const LocalRef<RouteRuntime>& find(const routing::RequestView& request);
  const LocalRef<RouteRuntime>& no_route() const { return no_route_; }
  ClusterRuntime* cluster(std::string_view name);
  LocalRef<ListenerRuntime> listener(std::string_view name);
  const std::unordered_map<std::string, LocalRef<ClusterRuntime>>& clusters() const { return clusters_; }

 private:
  void apply_clusters(const Snapshot& snapshot);
  void apply_listeners(const Snapshot& snapshot, TimePoint drain_deadline);
  void apply_routes(const Snapshot& next);
  // Whether what the series tells of is configured: its listener, route, cluster and backend.
  bool is_configured(const observe::Series& series) const;
  void remove_metrics();
  LocalRef<RouteRuntime> make_route(const std::shared_ptr<const Route>& route);

  PoolContext& pools_;
  observe::MetricStore& metrics_;
  const std::uint64_t seed_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::unordered_map<std::string, LocalRef<ClusterRuntime>> clusters_;
  std::unordered_map<std::string, LocalRef<ListenerRuntime>> listeners_;
  std::vector<LocalRef<ListenerRuntime>> removed_;  // by the last reload: a connection may be on its way here
  std::vector<std::string_view> route_names_;       // of snapshot_, sorted
  bool applying_ = false;                           // what is configured is not known until it is done
  std::vector<LocalRef<RouteRuntime>> routes_;      // by the route table's index; null until used
  LocalRef<RouteRuntime> no_route_;
};

}  // namespace weir::proxy
