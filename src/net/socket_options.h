#pragma once

#include "base/result.h"
#include "net/address.h"
#include "net/engine.h"

namespace weir {

// No delay for small writes; keepalive after a minute of silence. Accepted sockets inherit both from their listener.
void set_stream_options(int socket);

// A bound, listening, non-blocking socket. Error::code is the errno; its message is left to the caller.
Result<int> open_listener(const SocketAddress& address, const ListenOptions& options);

}  // namespace weir
