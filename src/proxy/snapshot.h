#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "filters/filter.h"
#include "http/limits.h"
#include "net/address.h"
#include "observe/access_log.h"
#include "routing/route_table.h"
#include "tls/server_context.h"
#include "upstream/cluster.h"

// What the configuration says, compiled into what the data path reads. All of it is immutable and shared by all
// threads. A Route or ListenerSettings that a new configuration leaves unchanged is the same object in the next
// snapshot.
namespace weir::proxy {

struct AccessLogSettings {
  std::string path;  // "-" is stdout
  bool json = true;
  bool operator==(const AccessLogSettings&) const = default;
};

// What all workers count together of one listener; kept over reloads that keep the listener's name. Not part of what a
// comparison of settings sees.
class ListenerShared {
 public:
  std::atomic<std::uint32_t>& connections() const { return *connections_; }
  bool operator==(const ListenerShared&) const { return true; }

 private:
  std::shared_ptr<std::atomic<std::uint32_t>> connections_ = std::make_shared<std::atomic<std::uint32_t>>(0);
};

enum class ListenerProtocol : std::uint8_t {
  auto_,  // over TLS as ALPN says; in the clear HTTP/2 if the client begins with its preface, else HTTP/1.1
  http1,
  http2,
};

struct ListenerSettings {
  std::string name;
  SocketAddress address;
  ListenerProtocol protocol = ListenerProtocol::auto_;
  std::uint32_t concurrent_streams = 100;  // of one HTTP/2 connection
  http::HeadLimits head_limits;
  std::uint64_t body_bytes_max = UINT64_MAX;
  std::uint64_t max_connections = 100'000;  // over all workers
  http::Http2Limits http2_limits;
  std::uint64_t http2_held_bytes = 16 * 1024 * 1024;  // of responses that clients' windows hold back, in each worker
  std::shared_ptr<const tls::ServerContext> tls;      // null: in the clear
  Duration handshake_timeout = 10s;
  Duration header_timeout = 10s;
  Duration body_timeout = 30s;
  std::uint64_t body_bytes_per_s_min = 240;  // averaged over 30 s; 0: no minimum
  Duration idle_timeout = 60s;
  Duration tunnel_idle_timeout = 1h;
  std::optional<AccessLogSettings> access_log;
  std::vector<Cidr> trusted_proxies;
  bool via = false;
  bool proxy_protocol = false;  // each connection begins with a PROXY header
  ListenerShared shared;

  bool operator==(const ListenerSettings&) const = default;
};

struct Redirect {
  std::uint16_t status = 308;
  std::string scheme, host, path, path_prefix;  // empty: stays
  bool has_path = false, has_path_prefix = false;
  std::optional<std::uint16_t> port;
  bool operator==(const Redirect&) const = default;
};

struct Respond {
  std::uint16_t status = 200;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  bool operator==(const Respond&) const = default;
};

struct WeightedCluster {
  std::string cluster;
  std::uint32_t weight = 1;
  bool operator==(const WeightedCluster&) const = default;
};

struct Route {
  std::string name;
  routing::RouteMatch match;

  // Exactly one of these: clusters (one, or a split), redirect, respond.
  std::vector<WeightedCluster> clusters;
  std::optional<Redirect> redirect;
  std::optional<Respond> respond;

  // What the route says instead of its cluster or listener.
  std::optional<Duration> request_timeout, stream_idle_timeout, total_timeout;
  std::optional<std::uint64_t> body_bytes_max;

  filters::FilterChain filters;
};

struct ClusterSnapshot {
  std::shared_ptr<const ClusterSettings> settings;
  std::shared_ptr<const Membership> members;
};

struct Snapshot {
  std::uint64_t generation = 1;
  std::vector<std::shared_ptr<const ListenerSettings>> listeners;
  std::vector<std::shared_ptr<observe::AccessLog>>
      access_logs;                                   // of the listeners, by position; null where there is none
  std::vector<std::shared_ptr<const Route>> routes;  // in the order of RouteTable's indices
  std::shared_ptr<const routing::RouteTable> route_table;
  std::vector<ClusterSnapshot> clusters;
};

}  // namespace weir::proxy
