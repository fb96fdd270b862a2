#include "config/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace weir::config {

namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first, which is the order to format with.
constexpr std::array kTimeUnits{Unit{"h", 3'600'000'000'000}, Unit{"m", 60'000'000'000}, Unit{"s", 1'000'000'000},
                                Unit{"ms", 1'000'000}, Unit{"us", 1'000}};
constexpr std::array kSizeUnits{Unit{"GiB", 1ULL << 30U}, Unit{"MiB", 1ULL << 20U}, Unit{"KiB", 1ULL << 10U},
                                Unit{"B", 1}};
constexpr std::uint64_t kLongestNs = 10ULL * 365 * 24 * 3'600'000'000'000;
constexpr std::uint64_t kLargestBytes = 1ULL << 60U;

// Splits "64KiB" into its digits and its unit.
std::string_view take_digits(std::string_view& text) {
  std::size_t end = text.find_first_not_of("0123456789");
  if (end == std::string_view::npos) end = text.size();
  const std::string_view digits = text.substr(0, end);
  text.remove_prefix(end);
  return digits;
}

template <std::size_t N>
std::optional<std::uint64_t> parse_with_unit(std::string_view text, const std::array<Unit, N>& units,
                                             std::uint64_t highest) {
  const std::string_view digits = take_digits(text);
  for (const Unit& unit : units) {
    if (unit.name != text) continue;
    const auto number = parse_number(digits, highest / unit.factor);
    return number ? std::optional(*number * unit.factor) : std::nullopt;
  }
  return std::nullopt;
}

template <std::size_t N>
std::string format_with_unit(std::uint64_t value, const std::array<Unit, N>& units) {
  for (const Unit& unit : units) {
    if (value >= unit.factor && value % unit.factor == 0) return fmt::format("{}{}", value / unit.factor, unit.name);
  }
  return fmt::format("{}{}", value, value == 0 ? units.back().name : "ns");
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t highest) {
  std::uint64_t value = 0;
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > highest) return std::nullopt;
  return value;
}

std::optional<Duration> parse_duration(std::string_view text) {
  const auto nanoseconds = parse_with_unit(text, kTimeUnits, kLongestNs);
  return nanoseconds ? std::optional(Duration(static_cast<std::int64_t>(*nanoseconds))) : std::nullopt;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  if (const auto bytes = parse_number(text, kLargestBytes)) return bytes;
  return parse_with_unit(text, kSizeUnits, kLargestBytes);
}

std::optional<std::uint64_t> parse_byte_rate(std::string_view text) {
  if (!text.ends_with("/s")) return std::nullopt;
  text.remove_suffix(2);
  const auto bytes = parse_size(text);
  return bytes == 0U ? std::nullopt : bytes;
}

std::optional<std::uint64_t> parse_rate(std::string_view text) {
  if (!text.ends_with("/s")) return std::nullopt;
  text.remove_suffix(2);
  const auto count = parse_number(text, 100'000'000);
  return count == 0U ? std::nullopt : count;
}

std::optional<std::uint32_t> parse_percentage(std::string_view text) {
  if (!text.ends_with('%')) return std::nullopt;
  text.remove_suffix(1);
  const auto whole = parse_number(take_digits(text), 100);
  if (!whole) return std::nullopt;
  std::uint64_t result = *whole * 100;
  if (!text.empty()) {
    if (text.front() != '.' || text.size() > 3) return std::nullopt;
    const auto fraction = parse_number(text.substr(1), 99);
    if (!fraction) return std::nullopt;
    result += text.size() == 2 ? *fraction * 10 : *fraction;
  }
  return result <= 10'000 ? std::optional(static_cast<std::uint32_t>(result)) : std::nullopt;
}

std::optional<std::vector<StatusRange>> parse_status_ranges(std::string_view text) {
  std::vector<StatusRange> ranges;
  while (true) {
    const std::size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    const std::size_t dash = part.find('-');
    const auto first = parse_number(part.substr(0, dash), 599);
    const auto last = dash == std::string_view::npos ? first : parse_number(part.substr(dash + 1), 599);
    if (!first || !last || *first < 100 || *last < *first) return std::nullopt;
    ranges.push_back({static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)});
    if (comma == std::string_view::npos) return ranges;
    text.remove_prefix(comma + 1);
  }
}

std::string format_duration(Duration duration) {
  if (duration == kForever) return "none";
  if (duration == Duration::zero()) return "0s";
  return format_with_unit(static_cast<std::uint64_t>(duration.count()), kTimeUnits);
}

std::string format_size(std::uint64_t bytes) {
  return bytes == kNoLimit ? "none" : format_with_unit(bytes, kSizeUnits);
}

std::string format_percentage(std::uint32_t basis_points) {
  if (basis_points % 100 == 0) return fmt::format("{}%", basis_points / 100);
  return fmt::format("{}.{:02}%", basis_points / 100, basis_points % 100);
}

std::string format_status_ranges(const std::vector<StatusRange>& ranges) {
  std::string result;
  for (const StatusRange& range : ranges) {
    if (!result.empty()) result += ',';
    result +=
        range.first == range.last ? fmt::format("{}", range.first) : fmt::format("{}-{}", range.first, range.last);
  }
  return result;
}

}  // namespace weir::config
