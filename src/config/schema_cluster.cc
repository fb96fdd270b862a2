#include <fmt/ranges.h>

#include <algorithm>

#include "config/address.h"
#include "config/codecs.h"
#include "config/json.h"
#include "config/schema_http2.h"
#include "config/schemas.h"
#include "config/tls_files.h"

namespace weir::config {

namespace {

constexpr Choice<Balance> kBalances[] = {
    {"round_robin", Balance::kRoundRobin},  {"weighted_round_robin", Balance::kRoundRobin},
    {"random", Balance::kRandom},           {"least_connections", Balance::kLeastConnections},
    {"power_of_two", Balance::kPowerOfTwo}, choice_not_yet<Balance>("peak_ewma"),
    choice_not_yet<Balance>("ring_hash"),   choice_not_yet<Balance>("maglev"),
    choice_not_yet<Balance>("ip_hash"),
};
constexpr Choice<Protocol> kProtocols[] = {
    {"auto", Protocol::kAuto}, {"http1", Protocol::kHttp1}, {"http2", Protocol::kHttp2}};
constexpr Choice<DnsFamily> kFamilies[] = {
    {"auto", DnsFamily::kAuto}, {"ipv4", DnsFamily::kIpv4}, {"ipv6", DnsFamily::kIpv6}, {"all", DnsFamily::kAll}};
constexpr Choice<ProxyVersion> kProxyVersions[] = {{"v1", ProxyVersion::v1}, {"v2", ProxyVersion::v2}};
constexpr Choice<HealthCheckType> kHealthCheckTypes[] = {
    {"http", HealthCheckType::kHttp}, {"tcp", HealthCheckType::kTcp}, {"grpc", HealthCheckType::kGrpc}};

// The name a backend has if it is given none: what stands in its URL.
std::string_view name_in_url(std::string_view url) {
  const std::size_t scheme = url.find("://");
  return scheme == std::string_view::npos ? url : url.substr(scheme + 3);
}

struct BackendUrl : Leaf {
  static void read(Reader& reader, NodeId id, Endpoint& out) {
    const auto text = reader.scalar(id, "a URL such as http://127.0.0.1:8001");
    if (!text) return;
    auto address = parse_backend_url(*text, reader.base_dir());
    if (address) {
      out = std::move(*address);
      return;
    }
    const bool is_bare = text->find("://") == std::string_view::npos && parse_endpoint(*text, {}).has_value();
    reader.error(id, std::move(address.error()),
                 is_bare ? fmt::format("did you mean 'http://{}'?", *text) : std::string());
  }
  static void write(JsonWriter& writer, const Endpoint& value) { writer.string(url_of(value)); }
};

constexpr Field<BackendSpec> kBackendFields[] = {
    field<&BackendSpec::name, NameValue>("name"),
    field<&BackendSpec::address, BackendUrl>("url", Presence::kRequired),
    field<&BackendSpec::weight, Integer<std::uint32_t, 0, kWeightMax>>("weight"),
    field<&BackendSpec::max_connections, CountOrNone>("max_connections"),
};

void check_backend(Reader& reader, NodeId id, BackendSpec& backend) {
  if (reader.find_key(id, "name") != kNoNode || backend.address.host.empty()) return;
  backend.name = to_string(backend.address);
  // A name that was made from environment variables is shown as the URL is.
  const Reader::Scope scope(reader, std::string_view("url"));
  const std::string url(reader.unexpanded());
  if (url.empty()) return;
  const std::string_view pointer = reader.pointer();
  reader.note_unexpanded(fmt::format("{}/name", pointer.substr(0, pointer.rfind('/'))), std::string(name_in_url(url)));
}
constexpr Schema<BackendSpec> kBackendSchema{kBackendFields, check_backend};

constexpr Field<DnsSpec> kDnsFields[] = {
    field<&DnsSpec::refresh, Interval>("refresh"),
    field<&DnsSpec::family, OneOf<DnsFamily, kFamilies>>("family"),
};
constexpr Schema<DnsSpec> kDnsSchema{kDnsFields};

constexpr Field<ClusterTlsSpec> kTlsFields[] = {
    field<&ClusterTlsSpec::ca, FileValue>("ca"),         field<&ClusterTlsSpec::server_name, HostName>("server_name"),
    field<&ClusterTlsSpec::cert, FileValue>("cert"),     field<&ClusterTlsSpec::key, FileValue>("key"),
    field<&ClusterTlsSpec::verify, BoolValue>("verify"),
};

void check_tls(Reader& reader, NodeId id, ClusterTlsSpec& tls) {
  check_certificates(reader, reader.find_value(id, "ca"), tls.ca);
  const NodeId cert = reader.find_key(id, "cert");
  const NodeId key = reader.find_key(id, "key");
  if ((cert == kNoNode) != (key == kNoNode)) {
    return reader.error(cert == kNoNode ? key : cert, "'cert' and 'key' go together");
  }
  check_identity(reader, id, tls.cert, tls.key);
}
constexpr Schema<ClusterTlsSpec> kTlsSchema{kTlsFields, check_tls};

constexpr Field<ResponseLimits> kLimitFields[] = {
    field<&ResponseLimits::header_bytes, SizeOrNone>("header_bytes"),
    field<&ResponseLimits::headers, CountOrNone>("headers"),
    field<&ResponseLimits::http2, Http2Section>("http2"),
};
constexpr Schema<ResponseLimits> kLimitsSchema{kLimitFields};

// Which types of checks a key means something to: it is an error with others, and not shown for them.
struct CheckKey {
  std::string_view key;
  std::string_view types;
  bool http = false, grpc = false;

  bool fits(HealthCheckType type) const {
    return (type == HealthCheckType::kHttp && http) || (type == HealthCheckType::kGrpc && grpc);
  }
};
constexpr CheckKey kCheckKeys[] = {{"path", "type: http", true, false},
                                   {"host", "type: http or grpc", true, true},
                                   {"expect", "type: http", true, false},
                                   {"service", "type: grpc", false, true}};

template <std::size_t kKey, auto Member, typename Codec>
constexpr Field<HealthCheckSpec> typed_field() {
  Field<HealthCheckSpec> result = field<Member, Codec>(kCheckKeys[kKey].key);
  result.write = [](JsonWriter& writer, std::string_view name, const HealthCheckSpec& check) {
    if (kCheckKeys[kKey].fits(check.type)) field<Member, Codec>(name).write(writer, name, check);
  };
  return result;
}

// Of a gRPC service: its full name.
struct ServiceName : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out) {
    const auto text = reader.scalar(id, "the name of a gRPC service such as shop.Cart");
    if (!text) return;
    const bool ok = text->size() <= 1024 && std::ranges::all_of(*text, [](char c) { return c > 0x20 && c < 0x7f; });
    if (!ok) return reader.expected(id, "the name of a gRPC service such as shop.Cart", *text);
    out = *text;
  }
};

constexpr Field<HealthCheckSpec> kHealthCheckFields[] = {
    field<&HealthCheckSpec::type, OneOf<HealthCheckType, kHealthCheckTypes>>("type"),
    typed_field<0, &HealthCheckSpec::path, UrlPath>(),
    typed_field<1, &HealthCheckSpec::host, HostAndPort>(),
    field<&HealthCheckSpec::interval, Interval>("interval"),
    field<&HealthCheckSpec::timeout, Interval>("timeout"),
    field<&HealthCheckSpec::unhealthy_after, Integer<std::uint32_t, 1, 1000>>("unhealthy_after"),
    field<&HealthCheckSpec::healthy_after, Integer<std::uint32_t, 1, 1000>>("healthy_after"),
    typed_field<2, &HealthCheckSpec::expect, StatusRanges>(),
    typed_field<3, &HealthCheckSpec::service, ServiceName>(),
};

void check_health_check(Reader& reader, NodeId id, HealthCheckSpec& check) {
  for (const CheckKey& one : kCheckKeys) {
    const NodeId found = one.fits(check.type) ? kNoNode : reader.find_key(id, one.key);
    if (found != kNoNode) reader.error(found, fmt::format("'{}' goes with '{}' only", one.key, one.types));
  }
}
constexpr Schema<HealthCheckSpec> kHealthCheckSchema{kHealthCheckFields, check_health_check};

constexpr Choice<RetryEvent> kRetryEvents[] = {
    {"connect_failure", RetryEvent::kConnectFailure},
    {"reset", RetryEvent::kReset},
    {"502", RetryEvent::k502},
    {"503", RetryEvent::k503},
    {"504", RetryEvent::k504},
    {"unavailable", RetryEvent::kUnavailable},
};

constexpr Field<RetrySpec> kBackoffFields[] = {
    field<&RetrySpec::backoff_base, Delay>("base"),
    field<&RetrySpec::backoff_max, Delay>("max"),
};

void check_backoff(Reader& reader, NodeId id, RetrySpec& retry) {
  if (retry.backoff_base <= retry.backoff_max) return;
  const NodeId max = reader.find_value(id, "max");
  reader.error(max == kNoNode ? reader.find_value(id, "base") : max,
               fmt::format("backoff: base {} is above max {}", format_duration(retry.backoff_base),
                           format_duration(retry.backoff_max)));
}
constexpr Schema<RetrySpec> kBackoffSchema{kBackoffFields, check_backoff};

constexpr Field<RetrySpec> kRetryFields[] = {
    field<&RetrySpec::attempts, Integer<std::uint32_t, 1, 100>>("attempts"),
    field<&RetrySpec::on, ScalarList<OneOf<RetryEvent, kRetryEvents>>>("on"),
    field<&RetrySpec::budget_basis_points, PercentageOrNone>("budget"),
    field<&RetrySpec::methods, ScalarList<MethodValue>>("methods"),
    {"backoff", [](Reader& reader, NodeId id, RetrySpec& out) { read_section(reader, id, kBackoffSchema, out); },
     [](JsonWriter& writer, std::string_view key, const RetrySpec& retry) {
       writer.member(key, [&] { write_section(writer, kBackoffSchema, retry); });
     },
     [](LeafList& list) { list_leaves(list, kBackoffSchema); }},
};
constexpr Schema<RetrySpec> kRetrySchema{kRetryFields};

constexpr Field<ClusterTimeouts> kTimeoutFields[] = {
    field<&ClusterTimeouts::connect, TimeoutOrNone>("connect"),
    field<&ClusterTimeouts::request, TimeoutOrNone>("request"),
    field<&ClusterTimeouts::stream_idle, TimeoutOrNone>("stream_idle"),
    field<&ClusterTimeouts::total, TimeoutOrNone>("total"),
    field<&ClusterTimeouts::idle, TimeoutOrNone>("idle"),
};
constexpr Schema<ClusterTimeouts> kTimeoutsSchema{kTimeoutFields};

constexpr Field<ClusterSpec> kClusterFields[] = {
    field<&ClusterSpec::name, NameValue>("name"),
    field<&ClusterSpec::balance, OneOf<Balance, kBalances>>("balance"),
    not_yet<ClusterSpec>("hash_on"),
    not_yet<ClusterSpec>("sticky"),
    field<&ClusterSpec::protocol, OneOf<Protocol, kProtocols>>("protocol"),
    field<&ClusterSpec::backends, ListOf<Section<BackendSpec, kBackendSchema>>>("backends", Presence::kRequired),
    field<&ClusterSpec::dns, Section<DnsSpec, kDnsSchema>>("dns"),
    field<&ClusterSpec::tls, Maybe<Section<ClusterTlsSpec, kTlsSchema>>>("tls"),
    field<&ClusterSpec::proxy_protocol, Maybe<OneOf<ProxyVersion, kProxyVersions>>>("proxy_protocol"),
    field<&ClusterSpec::limits, Section<ResponseLimits, kLimitsSchema>>("limits"),
    field<&ClusterSpec::health_check, Maybe<Section<HealthCheckSpec, kHealthCheckSchema>>>("health_check"),
    not_yet<ClusterSpec>("outlier_detection"),
    not_yet<ClusterSpec>("circuit_breaker"),
    not_yet<ClusterSpec>("slow_start"),
    field<&ClusterSpec::retry, Section<RetrySpec, kRetrySchema>>("retry"),
    field<&ClusterSpec::timeouts, Section<ClusterTimeouts, kTimeoutsSchema>>("timeouts"),
    not_yet<ClusterSpec>("queue"),
};

void check_cluster(Reader& reader, NodeId id, ClusterSpec& cluster) {
  cluster.position = reader.position(reader.first_key(id));
}

}  // namespace

constinit const Schema<ClusterSpec> kClusterSchema{kClusterFields, check_cluster};

std::expected<Balance, std::string> parse_balance(std::string_view name) {
  std::vector<std::string_view> allowed;
  for (const Choice<Balance>& choice : kBalances) {
    if (choice.text == name && choice.is_built) return choice.value;
    if (choice.text == name) return std::unexpected("this policy is not supported yet");
    if (choice.is_built) allowed.push_back(choice.text);
  }
  return std::unexpected(fmt::format("expected one of {}", fmt::join(allowed, ", ")));
}

std::string_view to_string(Balance balance) {
  return OneOf<Balance, kBalances>::name(balance);
}

}  // namespace weir::config
