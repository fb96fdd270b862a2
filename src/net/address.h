#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

// An IPv4 or IPv6 address without port; `none` for a peer on a unix socket. IPv4-mapped IPv6 addresses are kept as
// IPv4.
struct IpAddress {
  enum class Family : std::uint8_t { none, ipv4, ipv6 };

  Family family = Family::none;
  std::array<std::uint8_t, 16> bytes{};  // network order; IPv4 uses the first four

  auto operator<=>(const IpAddress&) const = default;

  // "10.0.0.7", "2001:db8::1"; "" for none. RFC 5952.
  std::string to_string() const;
  // The same into `out`, which has at least kMaxText bytes; returns the length. No allocation.
  std::size_t format(char* out) const;
  static constexpr std::size_t kMaxText = 46;

  // 127.0.0.0/8 or ::1.
  bool is_loopback() const;
  // 0.0.0.0 or ::.
  bool is_wildcard() const { return family != Family::none && bytes == decltype(bytes){}; }

  // Without port or brackets; no zone, no names.
  static std::optional<IpAddress> parse(std::string_view text);
  // Unfolds an IPv4-mapped address.
  static IpAddress from_ipv6(const std::array<std::uint8_t, 16>& bytes);
};

// A range of addresses, "10.0.0.0/8".
struct Cidr {
  IpAddress network;
  std::uint8_t prefix_bits = 0;

  auto operator<=>(const Cidr&) const = default;
  bool contains(const IpAddress& address) const;
  // A lone address is a range of one. Host bits beyond the prefix are refused.
  static std::optional<Cidr> parse(std::string_view text);
};

// What one can listen on or connect to: address and port, or the path of a unix socket.
struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;
  std::string path;  // of a unix socket, else empty

  auto operator<=>(const SocketAddress&) const = default;
  bool is_unix() const { return !path.empty(); }

  // "10.0.0.7:80", "[::1]:80", "unix:/run/a.sock".
  std::string to_string() const;
  // Of the same forms; no names.
  static std::optional<SocketAddress> parse(std::string_view text);
};

}  // namespace weir
