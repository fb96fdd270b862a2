#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/address.h"

// The PROXY protocol, versions 1 and 2: what a proxy says of a connection before anything else goes over it. Pure
// functions over bytes; no memory is taken.
namespace weir {

// The two ends of a connection as a header tells of them. Without addresses (`known` false) the header spoke for the
// sender itself, or knows of no client: the connection's own ends hold.
struct ProxiedEnds {
  bool known = false;
  IpAddress source;  // the client. `none` for one on a unix socket
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;

  bool operator==(const ProxiedEnds&) const = default;
};

enum class ProxyVersion : std::uint8_t { v1, v2 };

// A line of version 1 has at most so many bytes, with its line end.
inline constexpr std::size_t kProxyLineBytesMax = 107;
// A header of version 2 with all of its extensions; more is an error.
inline constexpr std::size_t kProxyHeaderBytesMax = 4096;

struct ProxyParsed {
  enum class Status : std::uint8_t { need_more, done, broken };
  Status status = Status::need_more;
  std::size_t consumed = 0;  // when done: bytes of the header
  ProxiedEnds ends;          // when done
  std::string_view detail;   // when broken: static text, for the log
};

// Reads the header at the beginning of a connection. `input` is all that has come so far; with need_more the same bytes
// are handed in again with more behind them, and fewer than kProxyHeaderBytesMax were looked at. Bytes that can't
// become a header are broken at once. Extensions (TLVs) of version 2 are skipped.
ProxyParsed parse_proxy_header(std::string_view input);

// As long as what write_proxy_header() writes at most.
inline constexpr std::size_t kProxyWrittenBytesMax = kProxyLineBytesMax;
// Writes a header for `ends`: UNKNOWN or LOCAL if they are not known, have no IP addresses, or are of two families.
// Gives the text, which lies in `room`.
std::string_view write_proxy_header(ProxyVersion version, const ProxiedEnds& ends,
                                    std::array<char, kProxyWrittenBytesMax>& room);

}  // namespace weir
