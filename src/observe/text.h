#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace weir::observe {

// Small pieces of output that metrics and logs share. All append to `out`; none allocates beyond its growth.

template <std::integral Number>
void append_number(std::string& out, Number number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

// Nanoseconds as seconds, exact and without zeros at the end: "0.0025", "1"; with `always_point` "1.0".
void append_seconds(std::string& out, std::uint64_t nanoseconds, bool always_point);

// The length of the well-formed UTF-8 sequence (RFC 3629) that `text` (not empty) starts with; 0 if it starts with
// none.
std::size_t utf8_sequence_size(std::string_view text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// A JSON string (RFC 8259) with its quotes, always valid UTF-8: controls become \u00XX or their short form, a byte that
// is not part of well-formed UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// RFC 3339 in UTC with microseconds, rounded down: 2026-11-21T09:00:00.000000Z
void append_rfc3339(std::string& out, WallTime time);

// As the combined log format has it, in UTC: 21/Nov/2026:09:00:00 +0000
void append_clf_time(std::string& out, WallTime time);

}  // namespace weir::observe
