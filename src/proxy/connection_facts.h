#pragma once

#include <string_view>

#include "net/address.h"
#include "net/secure_layer.h"

namespace weir::proxy {

// What is known of a client's connection before its first request, and holds for all of them. Kept by the connection;
// its streams look at it as long as they have a client.
struct ConnectionFacts {
  IpAddress peer;
  bool secure = false;                           // over TLS
  const PeerCertificate* certificate = nullptr;  // that was verified; the connection's own

  std::string_view scheme() const { return secure ? "https" : "http"; }
};

}  // namespace weir::proxy
