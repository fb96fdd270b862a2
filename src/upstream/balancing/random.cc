#include "upstream/balancing/random.h"

#include <algorithm>
#include <array>

namespace weir::balancing {

std::uint32_t Random::pick(const PickContext& context) {
  if (!context.avoid.empty()) {
    const std::uint32_t other = draw_.draw_other(context.rng, context.avoid);
    if (other != kNoBackend) return other;
  }
  return draw_.draw(context.rng);
}

std::uint32_t PowerOfTwo::pick(const PickContext& context) {
  // More than this many tried backends fit no second draw's list; a single draw serves then.
  constexpr std::size_t kAvoidMax = 15;
  std::uint32_t first = kNoBackend;
  bool avoiding = !context.avoid.empty();
  if (avoiding) first = draw_.draw_other(context.rng, context.avoid);
  if (first == kNoBackend) {
    avoiding = false;
    first = draw_.draw(context.rng);
  }
  if (first == kNoBackend || draw_.size() == 1) return first;

  std::array<std::uint32_t, kAvoidMax + 1> excluded;
  std::size_t count = 0;
  if (avoiding) {
    if (context.avoid.size() > kAvoidMax) return first;
    count = context.avoid.size();
    std::copy(context.avoid.begin(), context.avoid.end(), excluded.begin());
  }
  excluded[count++] = first;
  const std::uint32_t second = draw_.draw_other(context.rng, {excluded.data(), count});
  if (second == kNoBackend) return first;
  const BackendLoad& a = context.backends[first];
  const BackendLoad& b = context.backends[second];
  return std::uint64_t{b.active} * a.weight < std::uint64_t{a.active} * b.weight ? second : first;
}

}  // namespace weir::balancing
