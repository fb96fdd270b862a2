#include "proxy/held_responses.h"

#include <algorithm>
#include <utility>

namespace weir::proxy {

void HeldResponses::settle(ResponseHolder& holder, std::size_t bytes) {
  const std::size_t before = std::exchange(holder.held_bytes_, bytes);
  bytes_ += bytes - before;
  if (before == 0 && bytes > 0) {
    holders_.push_back(holder);
    ++holder_count_;
  } else if (before > 0 && bytes == 0) {
    holder.ListNode<HoldingTag>::unlink();
    --holder_count_;
  }
}

ResponseHolder& HeldResponses::heaviest() {
  ResponseHolder* most = &holders_.front();
  holders_.for_each([&](ResponseHolder& connection) {
    if (connection.held_bytes() > most->held_bytes()) most = &connection;
  });
  return *most;
}

void HeldResponses::relieve(std::size_t limit) {
  const std::size_t target = limit - limit / 16;
  bool equals = false;  // nobody stands out: no need to look for who has most again and again
  while (bytes_ > target && holder_count_ > 0) {
    ResponseHolder& victim = equals ? holders_.front() : heaviest();
    equals = victim.held_bytes() <= 2 * (bytes_ / holder_count_);
    // Half of what stands out at a time: others may have as much.
    const std::size_t wanted = equals ? bytes_ - target : std::min(bytes_ - target, victim.held_bytes() / 2);
    if (victim.cut_held(wanted) == 0) return;
  }
}

}  // namespace weir::proxy
