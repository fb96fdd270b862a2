#include "http/message_rules.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "http/scan.h"

namespace weir::http {

bool is_target(std::string_view text) {
  const char* p = text.data();
  const char* last = p + text.size();
  while (true) {
    p = find_not_in<kTargetChars>(p, last);
    if (p == last) return true;
    if ((*p != '\\' && *p != '`') ||
        std::memchr(text.data(), '?', static_cast<std::size_t>(p - text.data())) == nullptr) {
      return false;
    }
    ++p;
  }
}

bool parse_content_length(std::string_view text, std::uint64_t& length) {
  constexpr std::uint64_t kMax = INT64_MAX;
  if (text.empty() || text.size() > 20) return false;
  length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (length > (kMax - digit) / 10) return false;
    length = length * 10 + digit;
  }
  return true;
}

bool may_be_trailer(const Field& field) {
  switch (field.id) {
    case FieldId::authorization:
    case FieldId::cache_control:
    case FieldId::connection:
    case FieldId::content_length:
    case FieldId::content_type:
    case FieldId::cookie:
    case FieldId::date:
    case FieldId::expect:
    case FieldId::forwarded:
    case FieldId::host:
    case FieldId::http2_settings:
    case FieldId::keep_alive:
    case FieldId::proxy_authenticate:
    case FieldId::proxy_authorization:
    case FieldId::proxy_connection:
    case FieldId::te:
    case FieldId::trailer:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
    case FieldId::via:
    case FieldId::x_forwarded_for:
    case FieldId::x_forwarded_host:
    case FieldId::x_forwarded_proto:
    case FieldId::x_real_ip:
    case FieldId::x_request_id:
      return false;
    default:
      break;
  }
  constexpr std::string_view kOthers[] = {"age",      "content-encoding", "content-range",     "expires",
                                          "if-match", "if-none-match",    "if-modified-since", "if-unmodified-since",
                                          "if-range", "location",         "max-forwards",      "pragma",
                                          "range",    "retry-after",      "set-cookie",        "vary",
                                          "warning",  "www-authenticate"};
  return std::none_of(std::begin(kOthers), std::end(kOthers),
                      [&field](std::string_view name) { return equals_ignoring_case(field.name(), name); });
}

}  // namespace weir::http
