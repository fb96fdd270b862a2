#pragma once

#include "base/result.h"
#include "net/address.h"
#include "net/engine.h"

namespace weir {

// No delay for small writes; keepalive after a minute of silence. Accepted sockets inherit both from their listener.
void set_stream_options(int socket);

// Where `address` is on this machine (127.0.0.0/8, ::1): a paced congestion control, as BBR is, gives way to one
// without pacing. There is no bottleneck to find, and each burst would cost a timer. Accepted sockets inherit it.
// ADR 008.
void unpace_loopback(int socket, const IpAddress& address);

// A bound, listening, non-blocking socket. Error::code is the errno; its message is left to the caller.
Result<int> open_listener(const SocketAddress& address, const ListenOptions& options);

}  // namespace weir
