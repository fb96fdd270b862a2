#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/address.h"

namespace weir {

// A SocketAddress as the kernel wants it.
struct Sockaddr {
  union {
    sockaddr any;
    sockaddr_in ipv4;
    sockaddr_in6 ipv6;
    sockaddr_un unix_path;
  };
  socklen_t size;
};

// A path that is too long is cut; SocketAddress::parse() lets none through.
Sockaddr to_sockaddr(const SocketAddress& address);
// Families other than IPv4, IPv6 and unix give an empty address.
SocketAddress from_sockaddr(const Sockaddr& address);

}  // namespace weir
