#include "proxy/cluster_runtime.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace weir::proxy {

ClusterRuntime::ClusterRuntime(PoolContext& pools, std::shared_ptr<const ClusterSettings> settings, std::uint64_t seed)
    : pools_(pools),
      settings_(std::move(settings)),
      seed_(seed),
      balancer_(balancing::make_balancer(settings_->policy, seed)) {}

ClusterRuntime::~ClusterRuntime() {
  retire();
}

void ClusterRuntime::configure(std::shared_ptr<const ClusterSettings> settings) {
  if (settings_ == settings) return;
  if (settings_->policy != settings->policy) {
    balancer_ = balancing::make_balancer(settings->policy, seed_);
    stale_ = true;
  }
  settings_ = std::move(settings);
  for (const LocalRef<BackendRuntime>& backend : backends_) backend->pool.configure(settings_);
}

bool ClusterRuntime::set_members(const Membership& members) {
  std::vector<LocalRef<BackendRuntime>> before = std::exchange(backends_, {});
  std::unordered_map<const Backend*, std::size_t> known;
  for (std::size_t i = 0; i < before.size(); ++i) known.emplace(&before[i]->pool.backend(), i);
  loads_.clear();
  names_.clear();
  for (const Member& member : members) {
    const auto found = known.find(member.backend.get());
    LocalRef<BackendRuntime> backend;
    if (found != known.end()) {
      backend = std::move(before[found->second]);
      known.erase(found);
    } else {
      backend = LocalRef<BackendRuntime>(new BackendRuntime(pools_, settings_, member.backend));
    }
    backend->position = static_cast<std::uint32_t>(backends_.size());
    names_.insert(backend->pool.backend().name());
    loads_.push_back({member.weight, backend->active, member.usable});
    backends_.push_back(std::move(backend));
  }
  // In the order they had, not that of their addresses in memory: a simulated run must replay.
  bool any_left = false;
  for (LocalRef<BackendRuntime>& backend : before) {
    if (!backend) continue;
    any_left = true;
    backend->position = balancing::kNoBackend;
    backend->pool.retire();
  }
  ++epoch_;
  stale_ = true;
  for (const Member& member : members) {
    if (member.usable && !member.failing) continue;
    BackendRuntime* backend = find(*member.backend);
    if (backend == nullptr) continue;
    if (!member.usable) backend->pool.close_idle();
    if (member.failing) tell_attempts(*backend);
  }
  return any_left;
}

void ClusterRuntime::update_member(const Member& member) {
  BackendRuntime* backend = find(*member.backend);
  if (backend == nullptr) return;
  balancing::BackendLoad& load = loads_[backend->position];
  if (load.weight != member.weight || load.usable != member.usable) {
    load.weight = member.weight;
    load.usable = member.usable;
    if (!member.usable) backend->pool.close_idle();
    stale_ = true;
  }
  if (member.failing) tell_attempts(*backend);
}

void ClusterRuntime::tell_attempts(BackendRuntime& backend) {
  // Those that leave do so while the walk goes on; the others stay.
  IntrusiveList<Attempt, AttemptTag> told;
  told.splice_back(backend.attempts);
  while (Attempt* attempt = told.pop_front()) {
    backend.attempts.push_back(*attempt);
    attempt->on_backend_failing();
  }
}

void ClusterRuntime::retire() {
  set_members({});
}

BackendRuntime* ClusterRuntime::pick(std::span<const std::uint32_t> avoid, std::uint64_t hash) {
  if (stale_) rebuild();
  const std::uint32_t position = balancer_->pick({loads_, pools_.loop->rng(), avoid, hash});
  return position == balancing::kNoBackend ? nullptr : backends_[position].get();
}

bool ClusterRuntime::any_usable() const {
  return std::ranges::any_of(loads_, [](const balancing::BackendLoad& load) { return load.usable && load.weight > 0; });
}

void ClusterRuntime::rebuild() {
  balancer_->rebuild(loads_);
  stale_ = false;
}

void ClusterRuntime::attempt_started(BackendRuntime& backend, Attempt& attempt) {
  ++backend.active;
  backend.attempts.push_back(attempt);
  active_changed(backend);
}

void ClusterRuntime::attempt_ended(BackendRuntime& backend, Attempt& attempt) {
  --backend.active;
  attempt.ListNode<AttemptTag>::unlink();
  active_changed(backend);
}

void ClusterRuntime::active_changed(const BackendRuntime& backend) {
  if (backend.position == balancing::kNoBackend) return;
  loads_[backend.position].active = backend.active;
  // A stale balancer knows other positions; it reads all loads when it is rebuilt.
  if (!stale_) balancer_->active_changed(backend.position, backend.active);
}

void ClusterRuntime::mark_unusable(BackendRuntime& backend) {
  if (backend.position == balancing::kNoBackend || !loads_[backend.position].usable) return;
  loads_[backend.position].usable = false;
  stale_ = true;
}

BackendRuntime* ClusterRuntime::find(const Backend& backend) {
  const auto found = std::find_if(backends_.begin(), backends_.end(),
                                  [&](const auto& runtime) { return &runtime->pool.backend() == &backend; });
  return found == backends_.end() ? nullptr : found->get();
}

observe::Counter& ClusterRuntime::retries(std::string_view reason) {
  for (std::size_t i = 0; i < std::size(retry_reasons_); ++i) {
    if (retry_reasons_[i] == reason) return *retry_counters_[i];
    if (!retry_reasons_[i].empty()) continue;
    retry_reasons_[i] = reason;
    retry_counters_[i] = pools_.metrics->counter(observe::Family::kRetries, {settings_->name, reason});
    return *retry_counters_[i];
  }
  return *retry_counters_[0];
}

}  // namespace weir::proxy
