#include "proxy/held_responses.h"

#include <algorithm>
#include <utility>

namespace weir::proxy {

void HeldResponses::settle(ResponseHolder& holder, std::size_t bytes, std::size_t streams, std::size_t own) {
  own_bytes_ += own - std::exchange(holder.own_bytes_, own);
  holder.held_streams_ = streams;
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

void HeldResponses::note_progress(ResponseHolder& holder) {
  if (holder.own_bytes_ == 0 || holder.held_bytes_ == 0) return;
  holder.ListNode<HoldingTag>::unlink();
  holders_.push_back(holder);
}

// The first that has no less than the average, and more than one paused download has, if there is one.
ResponseHolder& HeldResponses::next_victim(std::size_t limit) {
  const std::size_t average = bytes_ / holder_count_;
  ResponseHolder* found = nullptr;
  ResponseHolder* single = nullptr;
  holders_.for_each([&](ResponseHolder& holder) {
    if (holder.held_bytes_ < average) return;
    ResponseHolder*& first = holder.held_streams_ > 1 || holder.held_bytes_ > limit / 16 ? found : single;
    if (first == nullptr) first = &holder;
  });
  return found != nullptr ? *found : *single;
}

void HeldResponses::relieve(std::size_t limit) {
  const std::size_t target = limit - limit / 8 * 3;
  while (counted(limit) > target && holder_count_ > 0) {
    ResponseHolder& victim = next_victim(limit);
    // Half of it at a time: the next one may have as much.
    if (victim.cut_held(std::min(counted(limit) - target, victim.held_bytes() / 2)) == 0) return;
  }
}

}  // namespace weir::proxy
