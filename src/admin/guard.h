#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "admin/message.h"
#include "net/address.h"

// Who may change something. A browser on the operator's machine can be made to send requests by any page, and a name
// can be pointed at this machine (DNS rebinding): so a change must be addressed to the admin port itself. Pure.
namespace weir::admin {

struct GuardSettings {
  SocketAddress address;             // bound; with the port that 0 became
  std::optional<std::string> token;  // not empty
};

// `host` is the admin port as seen from this connection: the bound address, the address that the client connected to
// where a wildcard is bound, and localhost, 127.0.0.1 or [::1] where those lead here. On a unix socket only localhost.
bool names_admin_port(std::string_view host, const SocketAddress& bound, const SocketAddress& local);

// Equal, in a time that depends on the length of `given` only.
bool same_secret(std::string_view given, std::string_view secret);

// The refusal of a change, or nothing if it may go on: 403 for a wrong Host or Origin or a distant peer, 401 for a
// missing or wrong token.
std::optional<Reply> refuse_change(const Request& request, const GuardSettings& settings);

}  // namespace weir::admin
