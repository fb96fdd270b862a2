#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/local_ref.h"
#include "observe/metric_store.h"
#include "proxy/status_counters.h"
#include "upstream/balancing/balancer.h"
#include "upstream/pool/pool.h"
#include "upstream/retry_budget.h"

namespace weir::proxy {

struct AttemptTag;

// An attempt under way, as its backend knows it.
class Attempt : public ListNode<AttemptTag> {
 public:
  // The backend's health checks have failed. Called from outside of all handlers of streams and connections.
  virtual void on_backend_failing() = 0;

 protected:
  ~Attempt() = default;
};

// One worker's live state of one backend. Lives until it has left its cluster and nothing of it runs.
class BackendRuntime final : public LocalCounted {
 public:
  BackendRuntime(PoolContext& pools, std::shared_ptr<const ClusterSettings> cluster, std::shared_ptr<Backend> backend)
      : pool(pools, std::move(cluster), std::move(backend)) {}

  Pool pool;
  std::uint32_t position = balancing::kNoBackend;  // in its cluster; kNoBackend once it has left
  std::uint32_t active = 0;                        // attempts under way
  std::uint64_t requests = 0;
  IntrusiveList<Attempt, AttemptTag> attempts;
  observe::HistogramRef duration;
  StatusCounters statuses;
};

// One worker's live state of one cluster: who is in it, the balancer's position, the retry budget. Kept over reloads
// that keep the cluster's name. One thread.
class ClusterRuntime final : public LocalCounted {
 public:
  ClusterRuntime(PoolContext& pools, std::shared_ptr<const ClusterSettings> settings, std::uint64_t seed);
  ~ClusterRuntime();

  const ClusterSettings& settings() const { return *settings_; }
  void configure(std::shared_ptr<const ClusterSettings> settings);
  // Backends that stay keep their state. Whether one left.
  bool set_members(const Membership& members);
  void update_member(const Member& member);
  // Nothing of it is configured any more.
  void retire();

  // The backend for one attempt; null if none is usable. `avoid` holds positions of this epoch().
  BackendRuntime* pick(std::span<const std::uint32_t> avoid, std::uint64_t hash);
  // Whether pick would find one; takes nobody's turn.
  bool any_usable() const;
  // Rises when positions change their meaning.
  std::uint32_t epoch() const { return epoch_; }

  void attempt_started(BackendRuntime& backend, Attempt& attempt);
  void attempt_ended(BackendRuntime& backend, Attempt& attempt);
  // A refused connection: it takes no more requests until the control thread says otherwise.
  void mark_unusable(BackendRuntime& backend);

  BackendRuntime* find(const Backend& backend);
  bool takes_requests(std::uint32_t position) const { return loads_[position].usable && loads_[position].weight > 0; }
  // Whether it has a backend of this name.
  bool has(std::string_view backend) const { return names_.contains(backend); }
  const std::vector<LocalRef<BackendRuntime>>& backends() const { return backends_; }
  RetryBudget& budget() { return budget_; }
  observe::Counter& retries(std::string_view reason);

 private:
  void rebuild();
  void active_changed(const BackendRuntime& backend);
  static void tell_attempts(BackendRuntime& backend);

  PoolContext& pools_;
  std::shared_ptr<const ClusterSettings> settings_;
  const std::uint64_t seed_;
  std::unique_ptr<balancing::Balancer> balancer_;
  std::vector<LocalRef<BackendRuntime>> backends_;  // the position is the balancer's
  std::vector<balancing::BackendLoad> loads_;
  std::unordered_set<std::string_view> names_;  // of backends_
  RetryBudget budget_;
  std::uint32_t epoch_ = 0;
  observe::CounterRef retry_counters_[16];
  std::string_view retry_reasons_[16];
  bool stale_ = false;  // the balancer must be rebuilt before the next pick
};

}  // namespace weir::proxy
