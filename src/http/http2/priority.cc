#include "http/http2/priority.h"

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

}  // namespace weir::http2
