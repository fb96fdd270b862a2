#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec_values.h"

// Numbers with units, read strictly: no sign, no spaces, nothing left over. `none` is not known here.
namespace weir::config {

// A whole number of at most `highest`.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t highest);

// 10us 250ms 5s 1m 1h, a whole number; at most ten years.
std::optional<Duration> parse_duration(std::string_view text);

// 100, 100B, 64KiB, 1MiB, 2GiB in bytes; at most 2^60.
std::optional<std::uint64_t> parse_size(std::string_view text);

// A size per second: 240B/s, 1KiB/s; above 0.
std::optional<std::uint64_t> parse_byte_rate(std::string_view text);

// A count per second: 20/s; 1 to 100,000,000.
std::optional<std::uint64_t> parse_rate(std::string_view text);

// 20% or 12.5% in 1/100 %, at most 100 %.
std::optional<std::uint32_t> parse_percentage(std::string_view text);

// 200, 200-299, 200-299,404: codes from 100 to 599.
std::optional<std::vector<StatusRange>> parse_status_ranges(std::string_view text);

// The inverse of the above, in the largest unit that needs no fraction.
std::string format_duration(Duration duration);
std::string format_size(std::uint64_t bytes);
std::string format_percentage(std::uint32_t basis_points);
std::string format_status_ranges(const std::vector<StatusRange>& ranges);

}  // namespace weir::config
