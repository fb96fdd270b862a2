#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/rng.h"

namespace weir::balancing {

inline constexpr std::uint32_t kNoBackend = 0xffffffff;

// What a policy knows of one backend. The array is the caller's; the position in it is the backend's number.
struct BackendLoad {
  std::uint32_t weight = 1;  // 0: never picked
  std::uint32_t active = 0;  // attempts that run there now, of this worker
  bool usable = true;        // healthy, not draining, not disabled; false: never picked
};

enum class Policy : std::uint8_t { round_robin, random, least_connections, power_of_two };
std::string_view to_string(Policy policy);  // as written in the configuration

struct PickContext {
  // The same backends, weights and usability as at the last rebuild(), and each one's `active` as last told.
  std::span<const BackendLoad> backends;
  Rng& rng;
  std::span<const std::uint32_t> avoid;  // tried already: picked only if nothing else is usable. Duplicates are fine.
  std::uint64_t hash = 0;                // of the request, for policies that hash
};

// Chooses backends of one cluster for one worker. Sans-I/O: randomness comes in with the pick and the seed. One thread.
class Balancer {
 public:
  virtual ~Balancer() = default;

  // Must be called before the first pick and after any change of the set, a weight or a backend's usability; a change
  // of `active` needs active_changed() only. Costs O(n) to O(n log n), and allocates: where many backends change at
  // once, call it once. Round robin keeps its position as a share of its cycle, so that a rebuild neither repeats nor
  // skips turns by much.
  virtual void rebuild(std::span<const BackendLoad> backends) = 0;

  // The backend for one attempt, or kNoBackend if none has a weight and is usable. Does not allocate.
  virtual std::uint32_t pick(const PickContext& context) = 0;

  // Must be called after each change of a backend's `active` since the last rebuild(). O(log n) at most, does not
  // allocate. Policies that don't order backends by load have nothing to do.
  virtual void active_changed(std::uint32_t /*backend*/, std::uint32_t /*active*/) {}
};

// `seed` differs from worker to worker: it is where round robin starts, so that workers do not march in step.
std::unique_ptr<Balancer> make_balancer(Policy policy, std::uint64_t seed);

}  // namespace weir::balancing
