#pragma once

#include <cstdint>
#include <string_view>

namespace weir::http2 {

// RFC 9218 4.
struct Priority {
  std::uint8_t urgency = 3;  // 0 (first) to 7
  bool incremental = false;

  bool operator==(const Priority&) const = default;
};

// A `priority` field or the value of a PRIORITY_UPDATE: "u=1, i". What can't be understood counts as not said.
Priority parse_priority(std::string_view value);

}  // namespace weir::http2
