#include "net/sockaddr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace weir {

Sockaddr to_sockaddr(const SocketAddress& address) {
  Sockaddr result;
  std::memset(&result, 0, sizeof result);
  if (address.is_unix()) {
    result.unix_path.sun_family = AF_UNIX;
    const std::size_t length = std::min(address.path.size(), sizeof result.unix_path.sun_path - 1);
    std::memcpy(result.unix_path.sun_path, address.path.data(), length);
    result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length + 1);
  } else if (address.ip.family == IpAddress::Family::ipv6) {
    result.ipv6.sin6_family = AF_INET6;
    result.ipv6.sin6_port = htons(address.port);
    std::memcpy(&result.ipv6.sin6_addr, address.ip.bytes.data(), 16);
    result.size = sizeof result.ipv6;
  } else {
    result.ipv4.sin_family = AF_INET;
    result.ipv4.sin_port = htons(address.port);
    std::memcpy(&result.ipv4.sin_addr, address.ip.bytes.data(), 4);
    result.size = sizeof result.ipv4;
  }
  return result;
}

SocketAddress from_sockaddr(const Sockaddr& address) {
  SocketAddress result;
  if (address.size < sizeof(sa_family_t)) return result;
  switch (address.any.sa_family) {
    case AF_INET:
      result.ip.family = IpAddress::Family::ipv4;
      std::memcpy(result.ip.bytes.data(), &address.ipv4.sin_addr, 4);
      result.port = ntohs(address.ipv4.sin_port);
      break;
    case AF_INET6: {
      std::array<std::uint8_t, 16> bytes;
      std::memcpy(bytes.data(), &address.ipv6.sin6_addr, 16);
      result.ip = IpAddress::from_ipv6(bytes);
      result.port = ntohs(address.ipv6.sin6_port);
      break;
    }
    case AF_UNIX:
      if (address.size > offsetof(sockaddr_un, sun_path)) {
        const std::size_t length_max = address.size - offsetof(sockaddr_un, sun_path);
        result.path.assign(address.unix_path.sun_path, strnlen(address.unix_path.sun_path, length_max));
      }
      break;
    default:
      break;
  }
  return result;
}

}  // namespace weir
