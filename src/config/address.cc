#include "config/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "config/names.h"
#include "config/units.h"

namespace weir::config {

namespace {

constexpr std::size_t kUnixPathBytes = 107;  // what sockaddr_un holds
// What an IPv4 address has in front of it where it is written as an IPv6 address (RFC 4291 2.5.5.2).
constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr const char* kExpectedUrl = "expected http://host:port, https://host:port or unix:/path";

bool parse_ip(std::string_view text, std::array<std::uint8_t, 16>& address, bool& is_v6) {
  const std::string terminated(text);
  if (terminated.size() != std::char_traits<char>::length(terminated.c_str())) return false;
  is_v6 = text.find(':') != std::string_view::npos;
  return inet_pton(is_v6 ? AF_INET6 : AF_INET, terminated.c_str(), address.data()) == 1;
}

std::string format_ip(const std::array<std::uint8_t, 16>& address, bool is_v6) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_v6 ? AF_INET6 : AF_INET, address.data(), text.data(), text.size());
  return text.data();
}

// The canonical spelling of an address or a name, empty if it is neither.
std::string canonical_host(std::string_view host) {
  std::array<std::uint8_t, 16> address{};
  bool is_v6 = false;
  if (parse_ip(host, address, is_v6)) return format_ip(address, is_v6);
  return is_host_name(host) ? to_lower(host) : std::string();
}

std::expected<Endpoint, AddressError> parse_unix(std::string_view path, std::string_view base_dir) {
  if (path.empty()) return std::unexpected("expected a path after 'unix:'");
  if (!is_printable(path)) return std::unexpected("a unix socket's path has no control characters");
  Endpoint endpoint{.kind = Endpoint::Kind::kUnix, .host = resolve_path(path, base_dir)};
  if (endpoint.host.size() > kUnixPathBytes) {
    return std::unexpected(fmt::format("a unix socket's path has at most {} bytes", kUnixPathBytes));
  }
  return endpoint;
}

// host, host:port, [v6] or [v6]:port; without a default the port must be there.
std::expected<Endpoint, AddressError> parse_authority(std::string_view text,
                                                      std::optional<std::uint16_t> default_port) {
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::unexpected("'[' without its ']'");
    host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return std::unexpected("expected ':' and a port after ']'");
    if (host.find(':') == std::string_view::npos) return std::unexpected("expected an IPv6 address in '[...]'");
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
    if (host.find(':') != std::string_view::npos)
      return std::unexpected("an IPv6 address needs brackets, as in [::1]:80");
  }
  if (!has_port && !default_port) return std::unexpected("expected host:port, [v6]:port or unix:/path");
  Endpoint endpoint{.port = default_port.value_or(0), .host = canonical_host(host)};
  if (endpoint.host.empty()) {
    return std::unexpected(fmt::format("'{}' is neither an IP address nor a host name", host.substr(0, 60)));
  }
  if (has_port) {
    const auto number = parse_number(port, 65535);
    if (!number) return std::unexpected("expected a port from 1 to 65535");
    endpoint.port = static_cast<std::uint16_t>(*number);
  }
  return endpoint;
}

}  // namespace

std::string resolve_path(std::string_view path, std::string_view base_dir) {
  if (path.starts_with('/') || base_dir.empty()) return std::string(path);
  return fmt::format("{}{}{}", base_dir, base_dir.ends_with('/') ? "" : "/", path);
}

bool is_ip_address(std::string_view text) {
  std::array<std::uint8_t, 16> address{};
  bool is_v6 = false;
  return parse_ip(text, address, is_v6);
}

std::expected<Endpoint, AddressError> parse_endpoint(std::string_view text, std::string_view base_dir) {
  if (text.starts_with("unix:")) return parse_unix(text.substr(5), base_dir);
  if (text.find("://") != std::string_view::npos) return std::unexpected("expected host:port, not a URL");
  auto endpoint = parse_authority(text, std::nullopt);
  if (endpoint && endpoint->port == 0) return std::unexpected("expected a port from 1 to 65535");
  return endpoint;
}

std::expected<Endpoint, AddressError> parse_listen_address(std::string_view text, std::string_view base_dir) {
  if (text.starts_with("unix:")) return parse_unix(text.substr(5), base_dir);
  if (text.find("://") != std::string_view::npos) return std::unexpected("expected host:port, not a URL");
  if (text.starts_with(':') && text.rfind(':') == 0)
    return std::unexpected("expected a host before the port, such as 0.0.0.0 or [::]");
  auto endpoint = parse_authority(text, std::nullopt);
  if (!endpoint) return endpoint;
  if (endpoint->host == "localhost") endpoint->host = "127.0.0.1";
  if (!is_ip_address(endpoint->host))
    return std::unexpected("listening needs an IP address (or localhost), not a name");
  return endpoint;
}

std::expected<Endpoint, AddressError> parse_backend_url(std::string_view text, std::string_view base_dir) {
  if (text.starts_with("unix:")) return parse_unix(text.substr(5), base_dir);
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return std::unexpected(kExpectedUrl);
  const std::string scheme = to_lower(text.substr(0, scheme_end));
  const bool secure = scheme == "https";
  if (!secure && scheme != "http") return std::unexpected(kExpectedUrl);
  const std::string_view authority = text.substr(scheme_end + 3);
  const std::size_t end = authority.find_first_of("/?#");
  if (end != std::string_view::npos) {
    const char found = authority[end];
    return std::unexpected(fmt::format("a backend URL has no {}", found == '/'   ? "path"
                                                                  : found == '?' ? "query"
                                                                                 : "fragment"));
  }
  if (authority.find('@') != std::string_view::npos) return std::unexpected("a backend URL has no user");
  auto endpoint = parse_authority(authority, secure ? 443 : 80);
  if (endpoint) endpoint->secure = secure;
  if (endpoint && endpoint->port == 0) return std::unexpected("expected a port from 1 to 65535");
  return endpoint;
}

std::expected<Cidr, AddressError> parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  Cidr cidr;
  if (!parse_ip(text.substr(0, slash), cidr.address, cidr.is_v6)) {
    return std::unexpected("expected a network such as 10.0.0.0/8 or 2001:db8::/32");
  }
  const std::uint64_t bits = cidr.is_v6 ? 128 : 32;
  const auto length = slash == std::string_view::npos ? bits : parse_number(text.substr(slash + 1), bits);
  if (!length) return std::unexpected(fmt::format("expected a prefix length from 0 to {}", bits));
  cidr.prefix_length = static_cast<std::uint8_t>(*length);
  for (std::uint64_t bit = *length; bit < bits; ++bit) {
    cidr.address[bit / 8] = static_cast<std::uint8_t>(cidr.address[bit / 8] & ~(0x80U >> (bit % 8)));
  }
  // Clients that come over IPv4 are known by it, also on an IPv6 socket.
  if (cidr.is_v6 && std::ranges::equal(std::span(cidr.address).first<12>(), kMapped)) {
    std::ranges::rotate(cidr.address, cidr.address.begin() + kMapped.size());
    std::fill(cidr.address.begin() + 4, cidr.address.end(), std::uint8_t{0});
    cidr.is_v6 = false;
    cidr.prefix_length = static_cast<std::uint8_t>(*length - 8 * kMapped.size());
  }
  return cidr;
}

std::string to_string(const Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::kUnix) return "unix:" + endpoint.host;
  const bool is_v6 = endpoint.host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", endpoint.host, endpoint.port)
               : fmt::format("{}:{}", endpoint.host, endpoint.port);
}

std::string to_string(const Cidr& cidr) {
  return fmt::format("{}/{}", format_ip(cidr.address, cidr.is_v6), cidr.prefix_length);
}

std::string url_of(const Endpoint& backend) {
  if (backend.kind == Endpoint::Kind::kUnix) return to_string(backend);
  return fmt::format("{}://{}", backend.secure ? "https" : "http", to_string(backend));
}

std::string url_of(const BackendSpec& backend) {
  return url_of(backend.address);
}

}  // namespace weir::config
