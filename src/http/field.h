#pragma once

#include <cstdint>
#include <string_view>

namespace weir::http {

// Field names that Weir itself looks at, so that a comparison is of two bytes. Everything else is `other`.
enum class FieldId : std::uint8_t {
  other,
  accept_encoding,
  authorization,
  cache_control,
  connection,
  content_length,
  content_type,
  cookie,
  date,
  expect,
  forwarded,
  host,
  http2_settings,
  keep_alive,
  proxy_authenticate,
  proxy_authorization,
  proxy_connection,
  referer,
  sec_websocket_key,
  server,
  te,
  trailer,
  transfer_encoding,
  upgrade,
  user_agent,
  via,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_proto,
  x_real_ip,
  x_request_id,
  count_
};

// Case-insensitive; `other` if unknown. No allocation.
FieldId field_id(std::string_view name);
// The lower-case name; "" for other.
std::string_view field_name(FieldId id);

// ASCII only, as RFC 9110 5.1 wants it.
bool equals_ignoring_case(std::string_view a, std::string_view b);
// RFC 9110 5.6.2.
bool is_token(std::string_view text);
// RFC 9110 5.5: no CR, LF, NUL or other controls but HTAB; no space at either end.
bool is_field_value(std::string_view text);

}  // namespace weir::http
