#pragma once

#include <cstdint>
#include <string_view>

#include "net/address.h"
#include "net/secure_layer.h"

namespace weir::proxy {

// What is known of a client's connection before its first request, and holds for all of them. Kept by the connection;
// its streams look at it as long as they have a client.
struct ConnectionFacts {
  IpAddress peer;
  std::uint16_t peer_port = 0;
  // The end of it that the client connected to, where a proxy before this one has told. Else the socket knows.
  IpAddress local{};
  std::uint16_t local_port = 0;
  bool secure = false;                           // over TLS
  const PeerCertificate* certificate = nullptr;  // that was verified; the connection's own

  std::string_view scheme() const { return secure ? "https" : "http"; }
};

}  // namespace weir::proxy
