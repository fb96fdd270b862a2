#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/h2_client.h"
#include "sim/scenario.h"

namespace weir::sim {

struct ScenarioClient {
  std::size_t index = 0;
  ClientFault fault = ClientFault::none;
  std::vector<RequestPlan> requests;
  std::size_t sent = 0;
  bool second = false;  // uses the second listener
  std::string opening;  // what its connection begins with
  bool clean = true;    // nothing is wrong with its connection
  bool body_pending = false;
  bool in_tunnel = false;
  std::unique_ptr<SimClient> peer;  // null until it has begun, and of one that speaks HTTP/2
  bool http2 = false;
  std::unique_ptr<SimH2Client> h2;              // the same for HTTP/2
  std::map<std::int32_t, std::size_t> streams;  // which request went on which
  std::set<std::int32_t> tunnels;
  TlsClientFault tls_fault = TlsClientFault::none;
  bool tls12 = false;                  // does not know TLS 1.3
  std::unique_ptr<PeerTlsSource> tls;  // null if it speaks in the clear

  const Peer* connection() const { return h2 != nullptr ? static_cast<const Peer*>(h2.get()) : peer.get(); }
  Peer* connection() { return h2 != nullptr ? static_cast<Peer*>(h2.get()) : peer.get(); }
  // What comes is not for whoever speaks as it does.
  bool talks_past() const {
    return tls_fault == TlsClientFault::sends_garbage || tls_fault == TlsClientFault::speaks_in_clear;
  }
};

// What was done, for the checks afterwards.
struct ScenarioFacts {
  std::vector<std::unique_ptr<ScenarioClient>> clients;
  std::map<std::string, RequestPlan> requests;  // by id
  // Whose answers may have ended with a FIN in their midst, which nobody can tell from the end of a body that goes on
  // until the close: by what the backend did, or (then any) by what the network did to its connections.
  std::set<std::string> cut_by_backend;
  bool cut_by_network = false;
  std::set<std::string> cut_without_goodbye;  // by the backend: over TLS everybody can tell
  std::size_t reloads = 0;
  bool tls_on_first = false;                  // the first listener speaks TLS
  std::set<TlsBackendFault> tls_of_backends;  // what was wrong with their TLS
  bool backends_left = false;                 // by DNS or the admin port: their series went
  bool stopped_at_once = false;
  bool posts_repeated = false;                          // by what was configured
  std::set<std::optional<ProxyVersion>> proxy_headers;  // towards backends, as configured one after the other
  Duration strictest_total{};                           // the longest `total` that was in force
  Duration longest_idle{};
  Duration longest_header_timeout{};
};

// Once the process has stopped: no lease, stream or connection is left, and every gauge is 0.
void check_nothing_runs(const WholeWeir& weir, std::vector<std::string>& violations);

// Once what was kept of connections to backends has been idle for long enough, too: no buffer and none of these.
void check_nothing_left(const WholeWeir& weir, std::vector<std::string>& violations);

// What was counted of TLS handshakes agrees with what the ends of the connections know of them.
void check_handshakes(const ScenarioFacts& facts, const std::vector<std::unique_ptr<SimBackend>>& backends,
                      const WholeWeir& weir, std::vector<std::string>& violations);

// One complete answer or a visible abort for each request; no byte of another stream; what was counted, logged, seen by
// backends and by clients agrees; deadlines held; nothing that is not idempotent was delivered twice.
void check_outcomes(const ScenarioFacts& facts, const std::vector<std::unique_ptr<SimBackend>>& backends,
                    const WholeWeir& weir, ScenarioResult& result);

}  // namespace weir::sim
