#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
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

// Priorities of streams that have not begun (RFC 9218 7.1).
class EarlyPriorities {
 public:
  static constexpr std::size_t kMax = 32;

  // What is said last of a stream counts. Above kMax streams, the one that was first spoken of is forgotten.
  void note(std::uint32_t id, Priority priority);
  // What was said of a stream that begins now. Those below it can't begin any more, and are forgotten too.
  std::optional<Priority> take(std::uint32_t id);

 private:
  struct Early {
    std::uint32_t id;
    Priority priority;
  };
  std::array<Early, kMax> early_{};
  std::size_t size_ = 0;
};

}  // namespace weir::http2
