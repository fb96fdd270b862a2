#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/field.h"

// The static table of HPACK (RFC 7541 appendix A).
namespace weir::http2 {

struct StaticField {
  std::string_view name;
  std::string_view value;
  http::FieldId id = http::FieldId::other;
};

inline constexpr unsigned kStaticCount = 61;

// Indices that the code names. Those up to kPseudoMax are pseudo-header fields.
inline constexpr std::uint8_t kAuthority = 1;
inline constexpr std::uint8_t kMethodGet = 2;
inline constexpr std::uint8_t kMethodPost = 3;
inline constexpr std::uint8_t kPathRoot = 4;
inline constexpr std::uint8_t kSchemeHttp = 6;
inline constexpr std::uint8_t kSchemeHttps = 7;
inline constexpr std::uint8_t kStatus200 = 8;
inline constexpr std::uint8_t kPseudoMax = 14;

// By index; 0 is not used.
inline constexpr std::array<StaticField, kStaticCount + 1> kStaticTable = {{
    {},
    {":authority", ""},
    {":method", "GET"},
    {":method", "POST"},
    {":path", "/"},
    {":path", "/index.html"},
    {":scheme", "http"},
    {":scheme", "https"},
    {":status", "200"},
    {":status", "204"},
    {":status", "206"},
    {":status", "304"},
    {":status", "400"},
    {":status", "404"},
    {":status", "500"},
    {"accept-charset", ""},
    {"accept-encoding", "gzip, deflate", http::FieldId::accept_encoding},
    {"accept-language", ""},
    {"accept-ranges", ""},
    {"accept", ""},
    {"access-control-allow-origin", ""},
    {"age", ""},
    {"allow", ""},
    {"authorization", "", http::FieldId::authorization},
    {"cache-control", "", http::FieldId::cache_control},
    {"content-disposition", ""},
    {"content-encoding", ""},
    {"content-language", ""},
    {"content-length", "", http::FieldId::content_length},
    {"content-location", ""},
    {"content-range", ""},
    {"content-type", "", http::FieldId::content_type},
    {"cookie", "", http::FieldId::cookie},
    {"date", "", http::FieldId::date},
    {"etag", ""},
    {"expect", "", http::FieldId::expect},
    {"expires", ""},
    {"from", ""},
    {"host", "", http::FieldId::host},
    {"if-match", ""},
    {"if-modified-since", ""},
    {"if-none-match", ""},
    {"if-range", ""},
    {"if-unmodified-since", ""},
    {"last-modified", ""},
    {"link", ""},
    {"location", ""},
    {"max-forwards", ""},
    {"proxy-authenticate", "", http::FieldId::proxy_authenticate},
    {"proxy-authorization", "", http::FieldId::proxy_authorization},
    {"range", ""},
    {"referer", "", http::FieldId::referer},
    {"refresh", ""},
    {"retry-after", ""},
    {"server", "", http::FieldId::server},
    {"set-cookie", ""},
    {"strict-transport-security", ""},
    {"transfer-encoding", "", http::FieldId::transfer_encoding},
    {"user-agent", "", http::FieldId::user_agent},
    {"vary", ""},
    {"via", "", http::FieldId::via},
    {"www-authenticate", ""},
}};

// The first index with that name, or 0.
constexpr std::uint8_t static_name_index(std::string_view name) {
  for (std::size_t i = 1; i <= kStaticCount; ++i) {
    if (kStaticTable[i].name == name) return static_cast<std::uint8_t>(i);
  }
  return 0;
}

}  // namespace weir::http2
