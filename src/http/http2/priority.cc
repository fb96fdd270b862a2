#include "http/http2/priority.h"

#include <algorithm>

#include "http/list.h"

namespace weir::http2 {

Priority parse_priority(std::string_view value) {
  Priority priority;
  http::for_each_element(value, [&](std::string_view member) {
    member = member.substr(0, member.find(';'));
    while (!member.empty() && member.back() == ' ') member.remove_suffix(1);
    if (member == "i" || member == "i=?1") priority.incremental = true;
    if (member == "i=?0") priority.incremental = false;
    if (member.size() == 3 && member.starts_with("u=") && member[2] >= '0' && member[2] <= '7') {
      priority.urgency = static_cast<std::uint8_t>(member[2] - '0');
    }
    return true;
  });
  return priority;
}

void EarlyPriorities::note(std::uint32_t id, Priority priority) {
  Early* const end = early_.data() + size_;
  Early* const found = std::find_if(early_.data(), end, [id](const Early& early) { return early.id == id; });
  if (found != end) {
    found->priority = priority;
    return;
  }
  if (size_ == kMax) {
    std::move(early_.begin() + 1, early_.end(), early_.begin());
    --size_;
  }
  early_[size_++] = {id, priority};
}

std::optional<Priority> EarlyPriorities::take(std::uint32_t id) {
  std::optional<Priority> taken;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < size_; ++i) {
    if (early_[i].id == id) taken = early_[i].priority;
    if (early_[i].id > id) early_[kept++] = early_[i];
  }
  size_ = kept;
  return taken;
}

}  // namespace weir::http2
