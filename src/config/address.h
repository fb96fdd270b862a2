#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "config/spec.h"

// Addresses, networks and backend URLs from text. Errors are sentences without a full stop.
namespace weir::config {

using AddressError = std::string;

// A relative path is taken relative to `base_dir` (as it is if that is empty).
std::string resolve_path(std::string_view path, std::string_view base_dir);

// host:port, [v6]:port or unix:/path. Host is an IP address or a name; it comes back in lower case, IPv6 in its
// canonical spelling.
std::expected<Endpoint, AddressError> parse_endpoint(std::string_view text, std::string_view base_dir);

// The same for an address to listen on: an IP address, or localhost, which becomes 127.0.0.1. Port 0 is allowed.
std::expected<Endpoint, AddressError> parse_listen_address(std::string_view text, std::string_view base_dir);

// http://host[:port] (80 if left out), https://host[:port] (443) or unix:/path. A path, query, fragment or user is an
// error.
std::expected<Endpoint, AddressError> parse_backend_url(std::string_view text, std::string_view base_dir);

// address/length or a single address.
std::expected<Cidr, AddressError> parse_cidr(std::string_view text);

// True for an IPv4 or IPv6 address without brackets.
bool is_ip_address(std::string_view text);

}  // namespace weir::config
