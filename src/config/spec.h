#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/spec_values.h"
#include "net/proxy_protocol.h"

// The configuration as written: validated, with its defaults filled in, not yet compiled. Plain data without live
// state. A default-constructed part has the defaults of docs/configuration.md. Timeouts that are `none` are kForever,
// limits that are `none` are kNoLimit. Equal parts behave alike, so a reload may keep what compares equal.
namespace weir::config {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kText, kJson };

struct LogSpec {
  std::string path = "-";  // "-" is stderr
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;

  bool operator==(const LogSpec&) const = default;
};

struct MetricsSpec {
  bool per_worker = true;  // false leaves the worker label out

  bool operator==(const MetricsSpec&) const = default;
};

struct AdminSpec {
  Endpoint address{Endpoint::Kind::kTcp, 9090, "127.0.0.1"};
  std::string token;  // empty: none, and changes are allowed from loopback only
  Position position;

  bool operator==(const AdminSpec&) const = default;
};

enum class Protocol : std::uint8_t { kAuto, kHttp1, kHttp2 };

// What an HTTP/2 peer may do on one connection.
struct Http2Spec {
  std::uint64_t resets = 20;           // a second, averaged over 10 s; kNoLimit: any
  std::uint64_t control_frames = 100;  // as above
  std::uint64_t window_bytes = 32 * 1024 * 1024;

  bool operator==(const Http2Spec&) const = default;
};

struct ListenerHttp2Spec : Http2Spec {
  std::uint64_t held_bytes = 16 * 1024 * 1024;

  bool operator==(const ListenerHttp2Spec&) const = default;
};

struct ListenerLimits {
  std::uint64_t header_bytes = 64 * 1024;
  std::uint64_t headers = 100;
  std::uint64_t uri_bytes = 16 * 1024;
  std::uint64_t body_bytes = kNoLimit;
  std::uint64_t max_connections = 100'000;
  std::uint64_t concurrent_streams = 100;
  ListenerHttp2Spec http2;
  Duration handshake_timeout = 10s;
  Duration header_timeout = 10s;
  Duration body_timeout = 30s;
  std::uint64_t body_min_rate = 240;  // bytes per second; kNoLimit: no minimum is asked for
  Duration idle_timeout = 60s;
  Duration tunnel_idle_timeout = 1h;

  bool operator==(const ListenerLimits&) const = default;
};

enum class AccessLogFormat : std::uint8_t { kJson, kCombined };

struct AccessLogSpec {
  std::string path;  // "-" is stdout
  AccessLogFormat format = AccessLogFormat::kJson;

  bool operator==(const AccessLogSpec&) const = default;
};

// A file that the configuration names, with what was in it when it was read.
struct FileSpec {
  std::string path;  // empty: none
  std::string text;

  bool operator==(const FileSpec&) const = default;
};

struct CertificateSpec {
  FileSpec cert;
  FileSpec key;

  bool operator==(const CertificateSpec&) const = default;
};

enum class TlsVersion : std::uint8_t { k1_2, k1_3 };

struct ListenerTlsSpec {
  std::vector<CertificateSpec> certificates;
  TlsVersion min_version = TlsVersion::k1_2;
  FileSpec client_ca;  // without a path: clients are not asked for certificates

  bool operator==(const ListenerTlsSpec&) const = default;
};

struct ListenerSpec {
  std::string name;
  Endpoint address;  // an IP address and port, or a unix path
  Protocol protocol = Protocol::kAuto;
  std::optional<ListenerTlsSpec> tls;  // absent: in the clear
  std::vector<Cidr> trusted_proxies;
  ListenerLimits limits;
  std::optional<AccessLogSpec> access_log;  // absent: none is written
  bool via = false;
  bool proxy_protocol = false;
  Position position;  // of its address

  bool operator==(const ListenerSpec&) const = default;
};

enum class Balance : std::uint8_t { kRoundRobin, kRandom, kLeastConnections, kPowerOfTwo };

inline constexpr std::uint32_t kWeightMax = 1'000'000;

struct BackendSpec {
  std::string name;
  Endpoint address;
  std::uint32_t weight = 1;  // 0: no new traffic
  std::uint64_t max_connections = kNoLimit;

  bool operator==(const BackendSpec&) const = default;
};

// As the API shows it.
std::string url_of(const BackendSpec& backend);

enum class DnsFamily : std::uint8_t { kAuto, kIpv4, kIpv6, kAll };

struct DnsSpec {
  Duration refresh = 5s;
  DnsFamily family = DnsFamily::kAuto;

  bool operator==(const DnsSpec&) const = default;
};

// How backends with https:// are spoken to.
struct ClusterTlsSpec {
  FileSpec ca;              // without a path: the system's
  std::string server_name;  // empty: the host of the backend's URL
  FileSpec cert;            // what is shown to backends that ask; without a path: nothing
  FileSpec key;
  bool verify = true;

  bool operator==(const ClusterTlsSpec&) const = default;
};

struct ResponseLimits {
  std::uint64_t header_bytes = 256 * 1024;
  std::uint64_t headers = 500;
  Http2Spec http2;

  bool operator==(const ResponseLimits&) const = default;
};

enum class HealthCheckType : std::uint8_t { kHttp, kTcp, kGrpc };

struct HealthCheckSpec {
  HealthCheckType type = HealthCheckType::kHttp;
  std::string path = "/health";  // kHttp only, as is expect
  std::string host;              // kHttp and kGrpc; empty: the backend's own host and port
  Duration interval = 5s;
  Duration timeout = 2s;
  std::uint32_t unhealthy_after = 3;
  std::uint32_t healthy_after = 2;
  std::vector<StatusRange> expect{StatusRange{}};
  std::string service = {};  // kGrpc only; empty: the server as a whole

  bool operator==(const HealthCheckSpec&) const = default;
};

// A budget that is `none`.
inline constexpr std::uint32_t kNoBudget = std::numeric_limits<std::uint32_t>::max();

// After what an attempt is made again.
enum class RetryEvent : std::uint8_t { kConnectFailure, kReset, k502, k503, k504, kUnavailable };

struct RetrySpec {
  std::uint32_t attempts = 2;  // all tries, the first included; at least 1
  std::vector<RetryEvent> on = {RetryEvent::kConnectFailure, RetryEvent::kReset};
  std::uint32_t budget_basis_points = 2000;  // share of requests in 1/100 %, or kNoBudget
  std::vector<std::string> methods;          // retried though not idempotent
  Duration backoff_base = 25ms;
  Duration backoff_max = 1s;

  bool operator==(const RetrySpec&) const = default;
};

struct ClusterTimeouts {
  Duration connect = 5s;
  Duration request = 30s;
  Duration stream_idle = 5min;
  Duration total = kForever;
  Duration idle = 90s;

  bool operator==(const ClusterTimeouts&) const = default;
};

struct ClusterSpec {
  std::string name;
  Balance balance = Balance::kRoundRobin;
  Protocol protocol = Protocol::kAuto;
  std::vector<BackendSpec> backends;
  DnsSpec dns;
  std::optional<ClusterTlsSpec> tls;  // absent: the defaults hold for backends with https://
  ResponseLimits limits;
  std::optional<ProxyVersion> proxy_protocol;   // absent: backends are not told of clients
  std::optional<HealthCheckSpec> health_check;  // absent: nothing is probed
  RetrySpec retry;
  ClusterTimeouts timeouts;
  Position position;

  bool operator==(const ClusterSpec&) const = default;
};

// All that is set must hold; an empty match holds for every request.
struct MatchSpec {
  std::string host;         // lower case, exact or "*." and a suffix; empty: any
  std::string path;         // exact, starts with '/'; empty: any
  std::string path_prefix;  // whole segments, starts with '/'; empty: any
  std::vector<std::string> methods;
  std::vector<HeaderField> headers;

  bool operator==(const MatchSpec&) const = default;
};

struct ToCluster {
  std::string cluster;

  bool operator==(const ToCluster&) const = default;
};

struct SplitTarget {
  std::string cluster;
  std::uint32_t weight = 1;

  bool operator==(const SplitTarget&) const = default;
};

struct Split {
  std::vector<SplitTarget> targets;  // not all weights are 0

  bool operator==(const Split&) const = default;
};

// What is empty (or 0) stays as it was requested.
struct Redirect {
  std::uint16_t status = 308;
  std::uint16_t port = 0;
  std::string scheme;
  std::string host;
  std::string path;
  std::string path_prefix;  // takes the place of the route's path_prefix ("/" if it has none)

  bool operator==(const Redirect&) const = default;
};

struct Respond {
  std::uint16_t status = 200;
  std::string body;
  std::vector<HeaderField> headers;

  bool operator==(const Respond&) const = default;
};

using RouteAction = std::variant<ToCluster, Split, Redirect, Respond>;

// What is absent is the cluster's.
struct RouteTimeouts {
  std::optional<Duration> request;
  std::optional<Duration> stream_idle;
  std::optional<Duration> total;

  bool operator==(const RouteTimeouts&) const = default;
};

// What is absent is the listener's.
struct RouteLimits {
  std::optional<std::uint64_t> body_bytes;

  bool operator==(const RouteLimits&) const = default;
};

enum class FilterKind : std::uint8_t { kRequestHeaders, kResponseHeaders };

// Removes first, then sets (replacing all fields of that name), then adds.
struct FilterSpec {
  FilterKind kind = FilterKind::kRequestHeaders;
  std::vector<HeaderField> set;
  std::vector<HeaderField> add;
  std::vector<std::string> remove;  // lower case

  bool operator==(const FilterSpec&) const = default;
};

struct RouteSpec {
  std::string name;
  MatchSpec match;
  RouteAction action;
  RouteTimeouts timeouts;
  RouteLimits limits;
  std::vector<FilterSpec> filters;
  Position position;

  bool operator==(const RouteSpec&) const = default;
};

// Values as the file has them before `${NAME}` was replaced, by JSON pointer ("/clusters/0/backends/1/url"). Only
// values that contain such a name are kept. No part of a comparison.
struct Unexpanded {
  std::map<std::string, std::string, std::less<>> by_pointer;

  friend bool operator==(const Unexpanded&, const Unexpanded&) { return true; }
};

// The most workers that can be asked for.
inline constexpr std::uint32_t kMaxWorkers = 1024;

struct Spec {
  std::uint32_t workers = 0;  // 0: auto, one per core this process may use
  Duration drain_delay{0};
  Duration drain_timeout = 30s;
  LogSpec log;
  MetricsSpec metrics;
  std::optional<AdminSpec> admin = AdminSpec{};  // absent: `admin: none`
  std::vector<ListenerSpec> listeners;
  std::vector<ClusterSpec> clusters;
  std::vector<RouteSpec> routes;
  Unexpanded unexpanded;

  bool operator==(const Spec&) const = default;
};

}  // namespace weir::config
