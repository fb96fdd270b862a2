#include "config/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "filters/header_filter.h"

namespace weir::config {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs to_pairs(const std::vector<HeaderField>& fields) {
  Pairs pairs;
  pairs.reserve(fields.size());
  for (const HeaderField& field : fields) pairs.emplace_back(field.name, field.value);
  return pairs;
}

weir::Cidr to_cidr(const Cidr& cidr) {
  weir::Cidr result;
  result.network.family = cidr.is_v6 ? IpAddress::Family::ipv6 : IpAddress::Family::ipv4;
  result.network.bytes = cidr.address;
  result.prefix_bits = cidr.prefix_length;
  return result;
}

// Rates become counts in a window of 10 s.
http::Http2Limits to_http2_limits(const Http2Spec& spec) {
  constexpr std::uint32_t kAny = std::numeric_limits<std::uint32_t>::max();
  const auto in_window = [](std::uint64_t rate) {
    return rate == kNoLimit ? kAny : static_cast<std::uint32_t>(rate * 10);
  };
  // Windows are 31 bits (RFC 9113 6.9.1).
  const std::uint64_t window = std::min<std::uint64_t>(spec.window_bytes, std::numeric_limits<std::int32_t>::max());
  return {in_window(spec.resets), in_window(spec.control_frames), static_cast<std::uint32_t>(window)};
}

proxy::ListenerProtocol to_listener_protocol(Protocol protocol) {
  switch (protocol) {
    case Protocol::kAuto:
      return proxy::ListenerProtocol::auto_;
    case Protocol::kHttp1:
      return proxy::ListenerProtocol::http1;
    case Protocol::kHttp2:
      return proxy::ListenerProtocol::http2;
  }
  return proxy::ListenerProtocol::auto_;
}

UpstreamProtocol to_upstream_protocol(Protocol protocol) {
  switch (protocol) {
    case Protocol::kAuto:
      return UpstreamProtocol::auto_;
    case Protocol::kHttp1:
      return UpstreamProtocol::http1;
    case Protocol::kHttp2:
      return UpstreamProtocol::http2;
  }
  return UpstreamProtocol::auto_;
}

Result<std::shared_ptr<proxy::ListenerSettings>> compile_listener(const ListenerSpec& spec) {
  auto settings = std::make_shared<proxy::ListenerSettings>();
  const auto address = to_socket_address(spec.address);
  if (!address) return fail(fmt::format("listener {}: {} can't be listened on", spec.name, to_string(spec.address)));
  settings->name = spec.name;
  settings->address = *address;
  settings->head_limits = {spec.limits.header_bytes, spec.limits.headers, spec.limits.uri_bytes};
  settings->body_bytes_max = spec.limits.body_bytes;
  settings->max_connections = spec.limits.max_connections;
  settings->protocol = to_listener_protocol(spec.protocol);
  settings->concurrent_streams = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(spec.limits.concurrent_streams, std::numeric_limits<std::int32_t>::max()));
  settings->http2_limits = to_http2_limits(spec.limits.http2);
  settings->http2_held_bytes = spec.limits.http2.held_bytes;
  settings->handshake_timeout = spec.limits.handshake_timeout;
  settings->header_timeout = spec.limits.header_timeout;
  settings->body_timeout = spec.limits.body_timeout;
  settings->body_bytes_per_s_min = spec.limits.body_min_rate == kNoLimit ? 0 : spec.limits.body_min_rate;
  settings->idle_timeout = spec.limits.idle_timeout;
  settings->tunnel_idle_timeout = spec.limits.tunnel_idle_timeout;
  if (spec.access_log) {
    settings->access_log = {.path = spec.access_log->path, .json = spec.access_log->format == AccessLogFormat::kJson};
  }
  for (const Cidr& cidr : spec.trusted_proxies) settings->trusted_proxies.push_back(to_cidr(cidr));
  settings->via = spec.via;
  settings->proxy_protocol = spec.proxy_protocol;
  return settings;
}

// What is offered by ALPN, the one to prefer first.
std::vector<std::string> protocols_of(proxy::ListenerProtocol protocol) {
  switch (protocol) {
    case proxy::ListenerProtocol::http1:
      return {"http/1.1"};
    case proxy::ListenerProtocol::http2:
      return {"h2"};
    case proxy::ListenerProtocol::auto_:
      break;
  }
  return {"h2", "http/1.1"};
}

Result<void> add_tls(const ListenerSpec& spec, const std::shared_ptr<tls::TicketKeys>& keys,
                     proxy::ListenerSettings& settings) {
  if (!spec.tls) return {};
  tls::ServerOptions options;
  for (const CertificateSpec& certificate : spec.tls->certificates) {
    options.certificates.push_back({certificate.cert.text, certificate.key.text});
  }
  options.min_version = spec.tls->min_version == TlsVersion::k1_3 ? tls::Version::tls1_3 : tls::Version::tls1_2;
  options.client_ca = spec.tls->client_ca.text;
  options.protocols = protocols_of(settings.protocol);
  options.scope = spec.name;
  auto made = tls::ServerContext::make(options, keys);
  if (!made) return fail(fmt::format("listener {}: tls: {}", spec.name, made.error().message));
  settings.tls = std::move(*made);
  return {};
}

balancing::Policy to_policy(Balance balance) {
  switch (balance) {
    case Balance::kRoundRobin:
      return balancing::Policy::round_robin;
    case Balance::kRandom:
      return balancing::Policy::random;
    case Balance::kLeastConnections:
      return balancing::Policy::least_connections;
    case Balance::kPowerOfTwo:
      return balancing::Policy::power_of_two;
  }
  return balancing::Policy::round_robin;
}

std::vector<std::string> protocols_of(UpstreamProtocol protocol) {
  switch (protocol) {
    case UpstreamProtocol::http1:
      return {"http/1.1"};
    case UpstreamProtocol::http2:
      return {"h2"};
    case UpstreamProtocol::auto_:
      break;
  }
  return {"h2", "http/1.1"};
}

bool speaks_tls(const ClusterSpec& spec) {
  return spec.tls || std::ranges::any_of(spec.backends, [](const BackendSpec& one) { return one.address.secure; });
}

Result<std::shared_ptr<const tls::ClientContext>> make_client_context(const ClusterSpec& spec,
                                                                      std::shared_ptr<X509_STORE>& system) {
  const ClusterTlsSpec tls = spec.tls.value_or(ClusterTlsSpec{});
  tls::ClientOptions options;
  options.verify = tls.verify;
  options.ca = tls.ca.text;
  options.server_name = tls.server_name;
  options.protocols = protocols_of(to_upstream_protocol(spec.protocol));
  if (!tls.cert.path.empty()) options.identity = tls::IdentityText{tls.cert.text, tls.key.text};
  if (tls.verify && tls.ca.path.empty()) {
    if (system == nullptr) {
      auto read = tls::system_store();
      if (!read) return fail(fmt::format("cluster {}: tls: {}", spec.name, read.error().message));
      system = std::move(*read);
    }
    options.system = system;
  }
  auto made = tls::ClientContext::make(options);
  if (!made) return fail(fmt::format("cluster {}: tls: {}", spec.name, made.error().message));
  return made;
}

std::shared_ptr<ClusterSettings> compile_cluster(const ClusterSpec& spec) {
  auto settings = std::make_shared<ClusterSettings>();
  settings->name = spec.name;
  settings->policy = to_policy(spec.balance);
  settings->protocol = to_upstream_protocol(spec.protocol);
  settings->timeouts = {.connect = spec.timeouts.connect,
                        .request = spec.timeouts.request,
                        .stream_idle = spec.timeouts.stream_idle,
                        .total = spec.timeouts.total,
                        .idle = spec.timeouts.idle};
  // A budget of `none` lets every request be retried.
  const double budget = spec.retry.budget_basis_points == kNoBudget ? std::numeric_limits<double>::infinity()
                                                                    : spec.retry.budget_basis_points / 10'000.0;
  const auto on = [&](RetryEvent event) { return std::ranges::find(spec.retry.on, event) != spec.retry.on.end(); };
  settings->retry = {.attempts = spec.retry.attempts,
                     .on_connect_failure = on(RetryEvent::kConnectFailure),
                     .on_reset = on(RetryEvent::kReset),
                     .on_502 = on(RetryEvent::k502),
                     .on_503 = on(RetryEvent::k503),
                     .on_504 = on(RetryEvent::k504),
                     .on_unavailable = on(RetryEvent::kUnavailable),
                     .budget = budget,
                     .methods = spec.retry.methods,
                     .backoff_base = spec.retry.backoff_base,
                     .backoff_max = spec.retry.backoff_max};
  settings->response_header_bytes = spec.limits.header_bytes;
  settings->response_headers = spec.limits.headers;
  settings->http2_limits = to_http2_limits(spec.limits.http2);
  settings->proxy_protocol = spec.proxy_protocol;
  settings->health_checked = spec.health_check.has_value();
  return settings;
}

health::CheckType to_check_type(HealthCheckType type) {
  switch (type) {
    case HealthCheckType::kHttp:
      return health::CheckType::http;
    case HealthCheckType::kTcp:
      return health::CheckType::tcp;
    case HealthCheckType::kGrpc:
      return health::CheckType::grpc;
  }
  return health::CheckType::tcp;
}

std::shared_ptr<health::HealthCheckSettings> compile_health_check(const ClusterSpec& cluster) {
  const std::optional<HealthCheckSpec>& spec = cluster.health_check;
  if (!spec) return nullptr;
  auto settings = std::make_shared<health::HealthCheckSettings>();
  settings->type = to_check_type(spec->type);
  settings->service = spec->service;
  settings->path = spec->path;
  settings->host = spec->host;
  settings->interval = spec->interval;
  settings->timeout = spec->timeout;
  settings->unhealthy_after = spec->unhealthy_after;
  settings->healthy_after = spec->healthy_after;
  settings->protocol = to_upstream_protocol(cluster.protocol);
  settings->proxy_protocol = cluster.proxy_protocol;
  settings->head_limits.header_bytes = cluster.limits.header_bytes;
  settings->head_limits.headers = cluster.limits.headers;
  settings->expect.clear();
  for (const StatusRange& range : spec->expect) settings->expect.push_back({range.first, range.last});
  return settings;
}

filters::FilterChain compile_filters(const std::vector<FilterSpec>& specs) {
  std::vector<std::shared_ptr<const filters::Filter>> chain;
  chain.reserve(specs.size());
  for (const FilterSpec& spec : specs) {
    const auto direction =
        spec.kind == FilterKind::kRequestHeaders ? filters::Direction::request : filters::Direction::response;
    const filters::HeaderRules rules{.remove = spec.remove, .set = to_pairs(spec.set), .add = to_pairs(spec.add)};
    chain.push_back(std::make_shared<filters::HeaderFilter>(direction, rules));
  }
  return filters::FilterChain(std::move(chain));
}

routing::RouteMatch compile_match(const MatchSpec& spec) {
  routing::RouteMatch match;
  match.host = spec.host;
  if (!spec.path.empty()) match.path = spec.path;
  if (!spec.path_prefix.empty()) match.path_prefix = spec.path_prefix;
  match.methods = spec.methods;
  match.headers = to_pairs(spec.headers);
  return match;
}

// Sets what the route does.
struct ActionCompiler {
  proxy::Route& route;

  void operator()(const ToCluster& action) const { route.clusters.push_back({action.cluster, 1}); }
  void operator()(const Split& action) const {
    for (const SplitTarget& target : action.targets) route.clusters.push_back({target.cluster, target.weight});
  }
  void operator()(const Redirect& action) const {
    proxy::Redirect redirect;
    redirect.status = action.status;
    redirect.scheme = action.scheme;
    redirect.host = action.host;
    redirect.path = action.path;
    redirect.path_prefix = action.path_prefix;
    redirect.has_path = !action.path.empty();
    redirect.has_path_prefix = !action.path_prefix.empty();
    if (action.port != 0) redirect.port = action.port;
    route.redirect = std::move(redirect);
  }
  void operator()(const Respond& action) const {
    route.respond = proxy::Respond{.status = action.status, .body = action.body, .headers = to_pairs(action.headers)};
  }
};

std::shared_ptr<const proxy::Route> compile_route(const RouteSpec& spec) {
  auto route = std::make_shared<proxy::Route>();
  route->name = spec.name;
  route->match = compile_match(spec.match);
  std::visit(ActionCompiler{*route}, spec.action);
  route->request_timeout = spec.timeouts.request;
  route->stream_idle_timeout = spec.timeouts.stream_idle;
  route->total_timeout = spec.timeouts.total;
  route->body_bytes_max = spec.limits.body_bytes;
  route->filters = compile_filters(spec.filters);
  return route;
}

// Finds the part of the previous configuration that has a name. Most often it stands where it stood before.
template <typename Part>
class ByName {
 public:
  explicit ByName(const std::vector<Part>* parts) : parts_(parts) {}

  // The position of the part called `name`, or nothing. `hint` is looked at first.
  std::optional<std::size_t> find(const std::string& name, std::size_t hint) {
    if (parts_ == nullptr) return std::nullopt;
    if (hint < parts_->size() && (*parts_)[hint].name == name) return hint;
    if (index_.empty()) {
      index_.reserve(parts_->size());
      for (std::size_t i = 0; i < parts_->size(); ++i) index_.emplace((*parts_)[i].name, i);
    }
    const auto found = index_.find(name);
    if (found == index_.end()) return std::nullopt;
    return found->second;
  }

 private:
  const std::vector<Part>* parts_;
  std::unordered_map<std::string_view, std::size_t> index_;
};

template <typename T>
std::shared_ptr<const T> keep_if_equal(std::shared_ptr<const T> fresh, const std::shared_ptr<const T>& old) {
  if (fresh && old && *fresh == *old) return old;
  return fresh;
}

// That of before where nothing has changed: sessions can be resumed in it only.
Result<std::shared_ptr<const tls::ClientContext>> compile_cluster_tls(
    const ClusterSpec& spec, const ClusterSpec* old, const std::shared_ptr<const tls::ClientContext>& before,
    std::shared_ptr<X509_STORE>& system) {
  if (!speaks_tls(spec)) return std::shared_ptr<const tls::ClientContext>();
  if (before != nullptr && old->tls == spec.tls && old->protocol == spec.protocol) return before;
  return make_client_context(spec, system);
}

void compile_routes(const Compiled* previous, Compiled& result) {
  ByName<RouteSpec> old(previous ? &previous->spec->routes : nullptr);
  bool same_table = previous && previous->routes.size() == result.spec->routes.size();
  result.routes.reserve(result.spec->routes.size());
  for (std::size_t i = 0; i < result.spec->routes.size(); ++i) {
    const RouteSpec& spec = result.spec->routes[i];
    const auto at = old.find(spec.name, i);
    if (at && previous->spec->routes[*at] == spec) {
      result.routes.push_back(previous->routes[*at]);
    } else {
      result.routes.push_back(compile_route(spec));
    }
    same_table = same_table && previous->routes[i]->match == result.routes[i]->match;
  }
  if (same_table) {
    result.route_table = previous->route_table;
    return;
  }
  std::vector<routing::RouteMatch> matches;
  matches.reserve(result.routes.size());
  for (const auto& route : result.routes) matches.push_back(route->match);
  result.route_table = std::make_shared<const routing::RouteTable>(routing::RouteTable::build(matches));
}

}  // namespace

std::optional<SocketAddress> to_socket_address(const Endpoint& endpoint) {
  if (endpoint.kind == Endpoint::Kind::kUnix) return SocketAddress::parse("unix:" + endpoint.host);
  const auto ip = IpAddress::parse(endpoint.host);
  if (!ip) return std::nullopt;
  return SocketAddress{.ip = *ip, .port = endpoint.port, .path = {}};
}

Result<std::shared_ptr<const Compiled>> compile(std::shared_ptr<const Spec> spec, const Compiled* previous) {
  auto result = std::make_shared<Compiled>();
  result->spec = std::move(spec);
  if (previous) result->system_store = previous->system_store;
  result->ticket_keys = previous ? previous->ticket_keys : std::make_shared<tls::TicketKeys>();

  ByName<ListenerSpec> old_listeners(previous ? &previous->spec->listeners : nullptr);
  for (std::size_t i = 0; i < result->spec->listeners.size(); ++i) {
    auto settings = compile_listener(result->spec->listeners[i]);
    if (!settings) return std::unexpected(std::move(settings.error()));
    const auto at = old_listeners.find((*settings)->name, i);
    if (at) (*settings)->shared = previous->listeners[*at]->shared;
    const ListenerSpec* old = at ? &previous->spec->listeners[*at] : nullptr;
    if (old && old->tls == result->spec->listeners[i].tls && old->protocol == result->spec->listeners[i].protocol) {
      (*settings)->tls = previous->listeners[*at]->tls;
    } else if (auto made = add_tls(result->spec->listeners[i], result->ticket_keys, **settings); !made) {
      return std::unexpected(std::move(made.error()));
    }
    const std::shared_ptr<const proxy::ListenerSettings> fresh = std::move(*settings);
    result->listeners.push_back(at ? keep_if_equal(fresh, previous->listeners[*at]) : fresh);
  }

  ByName<ClusterSpec> old_clusters(previous ? &previous->spec->clusters : nullptr);
  for (std::size_t i = 0; i < result->spec->clusters.size(); ++i) {
    const ClusterSpec& cluster = result->spec->clusters[i];
    const auto at = old_clusters.find(cluster.name, i);
    auto client = compile_cluster_tls(cluster, at ? &previous->spec->clusters[*at] : nullptr,
                                      at ? previous->clusters[*at].settings->tls : nullptr, result->system_store);
    if (!client) return std::unexpected(std::move(client.error()));
    const auto settings = compile_cluster(cluster);
    settings->tls = *client;
    const auto health_check = compile_health_check(cluster);
    if (health_check) health_check->tls = *client;
    CompiledCluster compiled{settings, health_check};
    if (at) {
      compiled.settings = keep_if_equal(compiled.settings, previous->clusters[*at].settings);
      compiled.health_check = keep_if_equal(compiled.health_check, previous->clusters[*at].health_check);
    }
    result->clusters.push_back(std::move(compiled));
  }

  compile_routes(previous, *result);
  return result;
}

}  // namespace weir::config
