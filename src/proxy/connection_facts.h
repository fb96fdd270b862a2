#pragma once

#include <cstdint>
#include <string_view>

#include "base/local_ref.h"
#include "net/address.h"
#include "net/secure_layer.h"

namespace weir::proxy {

// The end of a connection that the client connected to, as a proxy before this one has told.
struct ToldLocalEnd : LocalCounted {
  IpAddress address;
  std::uint16_t port = 0;
};

// What is known of a client's connection before its first request, and holds for all of them. Kept by the connection;
// its streams look at it as long as they have a client.
struct ConnectionFacts {
  IpAddress peer;
  std::uint16_t peer_port = 0;
  bool secure = false;                           // over TLS
  const PeerCertificate* certificate = nullptr;  // that was verified; the connection's own
  LocalRef<ToldLocalEnd> local = {};             // null where nobody told: the socket knows

  std::string_view scheme() const { return secure ? "https" : "http"; }
};

}  // namespace weir::proxy
