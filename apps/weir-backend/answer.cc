#include "answer.h"

// The functions of one algorithm: SHA256() and EVP look theirs up by name for every message, which takes longer than a
// round.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <span>

#include "http/date.h"

namespace weir::backend {
namespace {

constexpr int kRounds = 100;
constexpr std::string_view kPattern = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n";
static_assert(kPattern.size() == kPatternPeriod);

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// What is not an encoding stands for itself: a test server takes what it gets.
std::string decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
      decoded += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

}  // namespace

std::optional<std::string> query_value(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (decode(pair.substr(0, equals)) != key) continue;
    return equals == std::string_view::npos ? std::string() : decode(pair.substr(equals + 1));
  }
  return std::nullopt;
}

Wish parse_wish(std::string_view target) {
  const std::size_t mark = target.find('?');
  const std::string_view path = target.substr(0, mark);
  const std::string_view query = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
  if (path == "/echo") return {Action::echo, 0, {}};
  if (path == "/health") return {Action::health, 0, {}};
  if (path == "/metrics") return {Action::metrics, 0, {}};
  if (path == "/hash") return {Action::hash, 0, query_value(query, "input").value_or("weir")};
  if (path != "/bytes") return {};
  const std::string text = query_value(query, "size").value_or("");
  Wish wish{Action::bytes, 0, {}};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), wish.size);
  if (text.empty() || error != std::errc() || stop != text.data() + text.size()) wish.action = Action::bad_size;
  return wish;
}

std::string hash_rounds(std::string_view input) {
  // A digest as a message is one block, padded always in the same way (FIPS 180-4, 5.1.1): a round is one compression.
  std::array<unsigned char, SHA256_CBLOCK> block{};
  block[SHA256_DIGEST_LENGTH] = 0x80;
  block[SHA256_CBLOCK - 2] = SHA256_DIGEST_LENGTH * 8 / 256;
  SHA256_CTX initial;
  SHA256_Init(&initial);
  SHA256_CTX state = initial;
  SHA256_Update(&state, input.data(), input.size());
  SHA256_Final(block.data(), &state);
  for (int round = 1; round < kRounds; ++round) {
    std::ranges::copy(initial.h, state.h);
    SHA256_Transform(&state, block.data());
    for (std::size_t i = 0; i < std::size(state.h); ++i) {
      const std::uint32_t word = std::byteswap(state.h[i]);
      std::memcpy(block.data() + i * sizeof(word), &word, sizeof(word));
    }
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * SHA256_DIGEST_LENGTH);
  for (const unsigned char byte : std::span(block).first(SHA256_DIGEST_LENGTH)) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string hash_json(std::string_view input, WallTime now) {
  std::array<char, http::TimestampCache::kSize> timestamp;
  const std::size_t size = http::format_rfc3339_us(now, timestamp.data());
  return fmt::format("{{\"hash\":\"{}\",\"timestamp\":\"{}\",\"source\":\"cpp\"}}\n", hash_rounds(input),
                     std::string_view(timestamp.data(), size));
}

std::string make_pattern(std::size_t size) {
  std::string pattern;
  pattern.reserve(size + kPattern.size());
  while (pattern.size() < size) pattern += kPattern;
  pattern.resize(size);
  return pattern;
}

}  // namespace weir::backend
