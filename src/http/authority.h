#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace weir::http {

// host[:port] as in RFC 9110 4.2 and 7.2, stricter than RFC 3986: the host is an IPv6 address in brackets or a
// non-empty name of letters, digits and "-._~!$&'()*+;=" (which covers IPv4). No user information, no percent-encoding,
// no comma, no byte >= 0x80. The port is up to 5 digits, at most 65535, or missing after its colon.
bool is_authority(std::string_view text);

// The same without brackets: RFC 4291 2.2, an IPv4 tail included, no zone.
bool is_ipv6(std::string_view text);

struct HostPort {
  std::string_view host;  // with the brackets of an IPv6 address
  std::optional<std::uint16_t> port;
};
// Splits a text for which is_authority() holds.
HostPort split_authority(std::string_view authority);

// The host of an authority as it is matched: without port, in lower case, without one trailing dot ("example.com." is
// "example.com"). A view of `authority` if nothing had to be changed to lower case, else written to `scratch`, which
// has room for as many bytes as the authority. No allocation.
std::string_view normalise_host(std::string_view authority, std::span<char> scratch);

}  // namespace weir::http
