#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/time.h"

// Small values that specs are made of. All are plain data: copyable, comparable, free of threads and I/O.
namespace weir::config {

// The value of a limit that is `none`.
inline constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

// Where something stands in the configuration file; line and column count from 1, columns in characters, 0 is unknown.
// It never takes part in a comparison: what only moved in the file is unchanged.
struct Position {
  std::uint32_t line = 0;
  std::uint32_t column = 0;

  friend constexpr bool operator==(const Position&, const Position&) { return true; }
};

// An address to listen on or to connect to. A unix path is absolute or relative to the working directory; what the file
// said relative to itself has been resolved.
struct Endpoint {
  enum class Kind : std::uint8_t { kTcp, kUnix };

  Kind kind = Kind::kTcp;
  std::uint16_t port = 0;  // 0 for unix sockets; a listener may use 0 to let the kernel choose
  std::string host;        // kTcp: an IPv4 or IPv6 address (no brackets) or a lower-case name; kUnix: the path
  bool secure = false;     // over TLS; of backends only

  bool operator==(const Endpoint&) const = default;
};

// host:port, [v6]:port or unix:/path.
std::string to_string(const Endpoint& endpoint);
// Of a backend: http://host:port, https://host:port or unix:/path.
std::string url_of(const Endpoint& backend);

// A network: `prefix_length` leading bits of `address` count, the others are 0. IPv4 uses the first four bytes.
struct Cidr {
  std::array<std::uint8_t, 16> address{};
  std::uint8_t prefix_length = 0;
  bool is_v6 = false;

  bool operator==(const Cidr&) const = default;
};

// address/length, always with its length.
std::string to_string(const Cidr& cidr);

// Status codes from `first` to `last`, both included.
struct StatusRange {
  std::uint16_t first = 200;
  std::uint16_t last = 299;

  bool operator==(const StatusRange&) const = default;
};

struct HeaderField {
  std::string name;  // lower case, a token (RFC 9110 section 5.6.2)
  std::string value;

  bool operator==(const HeaderField&) const = default;
};

}  // namespace weir::config
