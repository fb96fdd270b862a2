#pragma once

#include <string_view>

#include "net/address.h"

namespace weir::proxy {

// What is known of a client's connection before its first request, and holds for all of them. Kept by the connection;
// its streams look at it as long as they have a client.
struct ConnectionFacts {
  IpAddress peer;
  bool secure = false;  // over TLS

  std::string_view scheme() const { return secure ? "https" : "http"; }
};

}  // namespace weir::proxy
