#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

// What a request's target asks for, and the small answers. Pure.
namespace weir::backend {

enum class Action : std::uint8_t { echo, health, bytes, hash, metrics, bad_size, not_found };

struct Wish {
  Action action = Action::not_found;
  std::uint64_t size = 0;  // of bytes
  std::string input;       // of hash
};

// `target` is path and query in origin-form.
Wish parse_wish(std::string_view target);

// The value of `key` in a query, percent-decoded with + as a space; nothing if it is not there.
std::optional<std::string> query_value(std::string_view query, std::string_view key);

// SHA-256 of `input`, then 99 times of the 32 raw bytes of the last round; in lower-case hex.
std::string hash_rounds(std::string_view input);
std::string hash_json(std::string_view input, WallTime now);

// A stretch of the endless body that /bytes sends: its byte i is kPattern[i % 64] of the whole body.
inline constexpr std::uint64_t kPatternPeriod = 64;
std::string make_pattern(std::size_t size);

}  // namespace weir::backend
