#include "options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace weir::backend {
namespace {

Result<void> read_number(const char* name, const char* text, std::uint32_t most, std::uint32_t& target) {
  if (text == nullptr || *text == '\0') return {};
  const std::string_view digits(text);
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), target);
  if (error != std::errc() || stop != digits.data() + digits.size() || target > most) {
    return fail(fmt::format("{} must be a whole number from 0 to {}, not \"{}\"", name, most, digits));
  }
  return {};
}

}  // namespace

Result<void> read_environment(Options& options, Environment environment) {
  constexpr std::uint32_t kDelayMost = 3'600'000;
  if (options.name.empty()) {
    if (const char* name = environment("BACKEND_NAME")) options.name = name;
  }
  if (auto read = read_number("BASE_DELAY_MS", environment("BASE_DELAY_MS"), kDelayMost, options.base_delay_ms); !read)
    return read;
  if (auto read = read_number("JITTER_MS", environment("JITTER_MS"), kDelayMost, options.jitter_ms); !read) return read;
  return read_number("FAIL_PCT", environment("FAIL_PCT"), 100, options.fail_percent);
}

std::optional<std::size_t> parse_workers(std::string_view text, std::size_t automatic) {
  constexpr std::size_t kMost = 256;
  if (text == "auto") return std::min(automatic, kMost);
  std::size_t workers = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), workers);
  if (error != std::errc() || stop != text.data() + text.size() || workers < 1 || workers > kMost) return std::nullopt;
  return workers;
}

std::string final_name(const Options& options, const SocketAddress& bound) {
  if (!options.name.empty()) return options.name;
  return bound.is_unix() ? std::string("backend") : fmt::format("backend-{}", bound.port);
}

}  // namespace weir::backend
