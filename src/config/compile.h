#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "config/spec.h"
#include "proxy/snapshot.h"
#include "tls/client_context.h"
#include "upstream/health/health_settings.h"

namespace weir::config {

struct CompiledCluster {
  std::shared_ptr<const ClusterSettings> settings;
  std::shared_ptr<const health::HealthCheckSettings> health_check;  // null: nothing is probed
};

// A configuration in the form that workers and health checks read. Immutable; shared by all threads. Who is in the
// clusters is not part of it: that is for the control thread to say (DNS, health, admin changes).
struct Compiled {
  std::shared_ptr<const Spec> spec;
  std::vector<std::shared_ptr<const proxy::ListenerSettings>> listeners;  // in the order of spec->listeners
  std::vector<std::shared_ptr<const proxy::Route>> routes;                // in the order of spec->routes
  std::shared_ptr<const routing::RouteTable> route_table;
  std::vector<CompiledCluster> clusters;         // in the order of spec->clusters
  std::shared_ptr<X509_STORE> system_store;      // who this machine trusts, as first needed; kept likewise, or null
  std::shared_ptr<tls::TicketKeys> ticket_keys;  // of all listeners with TLS; kept from configuration to configuration
};

// Compiles a spec that config::parse() has let through. What compares equal to a part of the same name in `previous`
// (may be null) is that same object. Linear in the size of the spec. Fails only where an address can't be one for the
// kernel (a unix path that is too long). Any thread.
Result<std::shared_ptr<const Compiled>> compile(std::shared_ptr<const Spec> spec, const Compiled* previous);

// The socket address of a listener or of a backend whose host is an IP address; nothing for a name.
std::optional<SocketAddress> to_socket_address(const Endpoint& endpoint);

}  // namespace weir::config
