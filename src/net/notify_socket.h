#pragma once

#include <string>
#include <string_view>

namespace weir {

// Sends one datagram to a unix socket, as the readiness protocol of systemd wants it. A path that begins with '@' is in
// the abstract namespace. False if nobody listens there or the message could not be taken at once; nothing is retried.
bool send_unix_datagram(const std::string& path, std::string_view message);

}  // namespace weir
