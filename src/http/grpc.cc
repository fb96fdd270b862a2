#include "http/grpc.h"

#include <array>
#include <charconv>
#include <limits>

#include "http/field.h"

namespace weir::grpc {

namespace {

constexpr std::array<std::string_view, 17> kCodes = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                                     "9", "10", "11", "12", "13", "14", "15", "16"};

struct TimeoutUnit {
  char letter;
  std::int64_t ns;
};
// The finest first.
constexpr std::array<TimeoutUnit, 6> kUnits = {
    {{'n', 1}, {'u', 1'000}, {'m', 1'000'000}, {'S', 1'000'000'000}, {'M', 60'000'000'000}, {'H', 3'600'000'000'000}}};
constexpr std::int64_t kEightDigits = 99'999'999;

bool is_plain(char c) {
  return c >= 0x20 && c < 0x7f && c != '%';
}

}  // namespace

std::string_view to_string(Status status) {
  return kCodes[static_cast<std::size_t>(status)];
}

bool is_grpc(std::string_view content_type) {
  constexpr std::string_view kType = "application/grpc";
  if (content_type.size() < kType.size()) return false;
  if (!http::equals_ignoring_case(content_type.substr(0, kType.size()), kType)) return false;
  if (content_type.size() == kType.size()) return true;
  const char next = content_type[kType.size()];
  return next == '+' || next == ';' || next == ' ' || next == '\t';
}

bool is_grpc(const http::FieldList& fields) {
  if ((fields.present() & http::FieldList::bit(http::FieldId::content_type)) == 0) return false;
  const http::Field* type = fields.find(http::FieldId::content_type);
  return type != nullptr && is_grpc(type->value());
}

std::optional<Duration> parse_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > kTimeoutSize) return std::nullopt;
  std::int64_t value = 0;
  for (const char digit : text.substr(0, text.size() - 1)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + (digit - '0');
  }
  for (const TimeoutUnit& unit : kUnits) {
    if (unit.letter != text.back()) continue;
    // More than a duration can hold is as good as for ever.
    if (value > std::numeric_limits<std::int64_t>::max() / unit.ns) return kForever;
    return Duration(value * unit.ns);
  }
  return std::nullopt;
}

std::string_view format_timeout(Duration timeout, std::span<char, kTimeoutSize> room) {
  const std::int64_t ns = timeout.count() > 0 ? timeout.count() : 1;
  for (const TimeoutUnit& unit : kUnits) {
    const std::int64_t value = ns / unit.ns;
    if (value > kEightDigits) continue;
    char* end = std::to_chars(room.data(), room.data() + room.size(), value).ptr;
    *end++ = unit.letter;
    return {room.data(), end};
  }
  return {};  // not reached: 2^63 ns are 2.6 million hours
}

Status parse_status(std::string_view text) {
  if (text.empty() || text.size() > 2) return Status::unknown;
  unsigned value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return Status::unknown;
    value = value * 10 + static_cast<unsigned>(digit - '0');
  }
  return value < kCodes.size() ? static_cast<Status>(value) : Status::unknown;
}

std::optional<Status> status_in(const http::FieldList& fields) {
  const http::Field* field = fields.find("grpc-status");
  if (field == nullptr) return std::nullopt;
  return parse_status(field->value());
}

Status status_of_http(std::uint16_t http_status) {
  switch (http_status) {
    case 400:
      return Status::internal;
    case 401:
      return Status::unauthenticated;
    case 403:
      return Status::permission_denied;
    case 404:
      return Status::unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return Status::unavailable;
    default:
      return Status::unknown;
  }
}

std::string_view encode_message(std::string_view text, Arena& arena) {
  std::size_t escaped = 0;
  for (const char c : text) escaped += is_plain(c) ? 0 : 1;
  if (escaped == 0) return text;
  constexpr std::string_view kHex = "0123456789ABCDEF";
  char* const out = arena.allocate(text.size() + 2 * escaped);
  char* at = out;
  for (const char c : text) {
    if (is_plain(c)) {
      *at++ = c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    *at++ = '%';
    *at++ = kHex[byte >> 4U];
    *at++ = kHex[byte & 0xFU];
  }
  return {out, at};
}

}  // namespace weir::grpc
