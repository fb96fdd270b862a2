#include "http/field.h"

#include <array>
#include <cstring>

#include "http/scan.h"

namespace weir::http {
namespace {

constexpr std::size_t kCount = static_cast<std::size_t>(FieldId::count_);
constexpr std::size_t kNameSizeMax = 19;

constexpr std::array<std::string_view, kCount> kNames = {
    "",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "sec-websocket-key",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
};

constexpr std::size_t hash(std::string_view name) {
  const auto lower = [name](std::size_t i) { return static_cast<unsigned char>(name[i]) | 0x20u; };
  return (name.size() + lower(0) * 41 + lower(name.size() - 1) * 56 + lower(name.size() / 2)) & 63;
}

// No two known names share a slot: otherwise this does not compile, and other factors must be found for hash().
consteval std::array<std::uint8_t, 64> make_slots() {
  std::array<std::uint8_t, 64> slots{};
  for (std::size_t i = 1; i < kCount; ++i) {
    if (kNames[i].size() > kNameSizeMax) throw "a name longer than kNameSizeMax";
    std::uint8_t& slot = slots[hash(kNames[i])];
    if (slot != 0) throw "two names share a slot";
    slot = static_cast<std::uint8_t>(i);
  }
  return slots;
}
constexpr std::array<std::uint8_t, 64> kSlots = make_slots();

// `lower` holds only small letters, digits and hyphens: then setting bit 5 maps exactly the capital letters and a few
// controls onto them, and the controls are those without bits 5 and 6.
template <typename Word>
bool word_equals(const char* text, const char* lower) {
  constexpr Word kOnes = static_cast<Word>(0x0101010101010101ULL);
  Word a;
  Word b;
  std::memcpy(&a, text, sizeof(Word));
  std::memcpy(&b, lower, sizeof(Word));
  const Word printable = a & static_cast<Word>(kOnes * 0x60);
  const Word zero_bytes = static_cast<Word>(printable - kOnes) & ~printable & static_cast<Word>(kOnes * 0x80);
  return static_cast<Word>(a | static_cast<Word>(kOnes * 0x20)) == b && zero_bytes == 0;
}

bool known_name_equals(std::string_view text, std::string_view lower) {
  const std::size_t size = lower.size();
  if (text.size() != size) return false;
  const char* a = text.data();
  const char* b = lower.data();
  if (size >= 8) {
    for (std::size_t i = 0; i + 8 < size; i += 8) {
      if (!word_equals<std::uint64_t>(a + i, b + i)) return false;
    }
    return word_equals<std::uint64_t>(a + size - 8, b + size - 8);
  }
  if (size >= 4) return word_equals<std::uint32_t>(a, b) && word_equals<std::uint32_t>(a + size - 4, b + size - 4);
  return equals_ignoring_case(text, lower);
}

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

}  // namespace

FieldId field_id(std::string_view name) {
  if (name.size() - 2 > kNameSizeMax - 2) return FieldId::other;  // also size 0 and 1
  const std::uint8_t candidate = kSlots[hash(name)];
  if (candidate == 0 || !known_name_equals(name, kNames[candidate])) return FieldId::other;
  return static_cast<FieldId>(candidate);
}

std::string_view field_name(FieldId id) {
  const auto index = static_cast<std::size_t>(id);
  return index < kCount ? kNames[index] : std::string_view{};
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

bool is_token(std::string_view text) {
  const char* end = text.data() + text.size();
  return !text.empty() && find_not_in<kTokenChars>(text.data(), end) == end;
}

bool is_field_value(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  if (text.empty()) return true;
  const char* end = text.data() + text.size();
  return !blank(text.front()) && !blank(text.back()) && find_not_in<kValueChars>(text.data(), end) == end;
}

}  // namespace weir::http
