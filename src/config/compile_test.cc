#include "config/compile.h"

#include <gtest/gtest.h>

#include <string>

#include "config/load.h"

namespace weir::config {
namespace {

std::shared_ptr<const Spec> spec_of(const std::string& text) {
  Parsed parsed = parse(text, "test.yaml", [](std::string_view) { return std::nullopt; });
  EXPECT_TRUE(parsed.spec.has_value()) << render(parsed.diagnostics);
  return std::make_shared<const Spec>(std::move(*parsed.spec));
}

std::shared_ptr<const Compiled> compiled(const std::string& text, const Compiled* previous = nullptr) {
  auto result = compile(spec_of(text), previous);
  EXPECT_TRUE(result.has_value());
  return *result;
}

const std::string kFull = R"(
listeners:
  - name: web
    address: "[::1]:8080"
    trusted_proxies: [10.0.0.0/8]
    via: true
    proxy_protocol: true
    protocol: http2
    limits: {headers: 7, concurrent_streams: none,
             http2: {resets: 3/s, control_frames: none, window_bytes: none, held_bytes: 3MiB},
      body_bytes: 1MiB, body_min_rate: none, idle_timeout: 3s}
    access_log: {path: "-", format: combined}
clusters:
  - name: app
    balance: power_of_two
    protocol: http1
    proxy_protocol: v1
    limits: {http2: {control_frames: 7/s}}
    backends: [{url: "http://127.0.0.1:1"}]
    retry: {attempts: 3, on: [reset, "502"], budget: 50%, methods: [POST]}
    timeouts: {connect: 1s, total: none}
    health_check: {type: tcp, interval: 9s, unhealthy_after: 4}
  - {name: plain, backends: []}
  - {name: calls, backends: [], health_check: {type: grpc, service: shop.Cart}}
routes:
  - name: a
    match: {host: "*.example.com", path_prefix: /a, methods: [GET], headers: {x-team: blue}}
    split: [{cluster: app, weight: 9}, {cluster: plain, weight: 1}]
    timeouts: {request: 2s}
    filters: [{request_headers: {remove: [x-debug]}}]
  - {name: b, match: {path: /b}, redirect: {status: 301, port: 8443, path: /c}}
  - {name: c, respond: {status: 404, body: none here}}
)";

TEST(Compile, ListenersHaveWhatTheFileSays) {
  const auto result = compiled(kFull);
  ASSERT_EQ(result->listeners.size(), 1);
  const proxy::ListenerSettings& web = *result->listeners[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.address.to_string(), "[::1]:8080");
  EXPECT_EQ(web.head_limits.headers, 7);
  EXPECT_EQ(web.body_bytes_max, 1U << 20U);
  EXPECT_EQ(web.body_bytes_per_s_min, 0);
  EXPECT_EQ(web.idle_timeout, 3s);
  EXPECT_TRUE(web.via);
  EXPECT_TRUE(web.proxy_protocol);
  EXPECT_EQ(web.protocol, proxy::ListenerProtocol::http2);
  EXPECT_EQ(web.concurrent_streams, 0x7FFFFFFFU);
  EXPECT_EQ(web.http2_limits, (http::Http2Limits{30, 0xFFFFFFFFU, 0x7FFFFFFFU}));
  EXPECT_EQ(web.http2_held_bytes, 3U << 20U);
  ASSERT_TRUE(web.access_log.has_value());
  EXPECT_FALSE(web.access_log->json);
  ASSERT_EQ(web.trusted_proxies.size(), 1);
  EXPECT_TRUE(web.trusted_proxies[0].contains(*IpAddress::parse("10.9.8.7")));
  EXPECT_FALSE(web.trusted_proxies[0].contains(*IpAddress::parse("11.0.0.1")));
}

TEST(Compile, ClustersHaveWhatTheFileSays) {
  const auto result = compiled(kFull);
  ASSERT_EQ(result->clusters.size(), 3);
  const ClusterSettings& app = *result->clusters[0].settings;
  EXPECT_EQ(app.policy, balancing::Policy::power_of_two);
  EXPECT_EQ(app.protocol, UpstreamProtocol::http1);
  EXPECT_EQ(app.proxy_protocol, ProxyVersion::v1);
  EXPECT_FALSE(result->clusters[1].settings->proxy_protocol);
  EXPECT_EQ(app.http2_limits, (http::Http2Limits{200, 70, 32U << 20U}));
  EXPECT_EQ(app.retry.attempts, 3);
  EXPECT_FALSE(app.retry.on_connect_failure);
  EXPECT_TRUE(app.retry.on_reset);
  EXPECT_TRUE(app.retry.on_502);
  EXPECT_FALSE(app.retry.on_503 || app.retry.on_504 || app.retry.on_unavailable);
  EXPECT_DOUBLE_EQ(app.retry.budget, 0.5);
  EXPECT_EQ(app.retry.methods, std::vector<std::string>{"POST"});
  EXPECT_EQ(app.timeouts.connect, 1s);
  EXPECT_EQ(app.timeouts.total, kForever);
  EXPECT_TRUE(app.health_checked);
  ASSERT_TRUE(result->clusters[0].health_check);
  EXPECT_EQ(result->clusters[0].health_check->type, health::CheckType::tcp);
  EXPECT_EQ(result->clusters[0].health_check->interval, 9s);
  EXPECT_EQ(result->clusters[0].health_check->unhealthy_after, 4);
  EXPECT_EQ(result->clusters[0].health_check->proxy_protocol, ProxyVersion::v1);
  EXPECT_EQ(result->clusters[0].health_check->protocol, UpstreamProtocol::http1);
  EXPECT_EQ(result->clusters[2].health_check->protocol, UpstreamProtocol::auto_);
  EXPECT_EQ(result->clusters[2].health_check->type, health::CheckType::grpc);
  EXPECT_EQ(result->clusters[2].health_check->service, "shop.Cart");
  EXPECT_FALSE(result->clusters[1].settings->health_checked);
  EXPECT_FALSE(result->clusters[1].health_check);
}

TEST(Compile, RoutesHaveWhatTheFileSays) {
  const auto result = compiled(kFull);
  ASSERT_EQ(result->routes.size(), 3);
  const proxy::Route& split = *result->routes[0];
  EXPECT_EQ(split.clusters, (std::vector<proxy::WeightedCluster>{{"app", 9}, {"plain", 1}}));
  EXPECT_EQ(split.request_timeout, 2s);
  EXPECT_EQ(split.match.host, "*.example.com");
  EXPECT_EQ(split.match.path_prefix, "/a");
  EXPECT_TRUE(split.filters.wants(filters::Step::request_head));
  EXPECT_FALSE(split.filters.wants(filters::Step::response_head));
  const proxy::Route& redirect = *result->routes[1];
  ASSERT_TRUE(redirect.redirect.has_value());
  EXPECT_EQ(redirect.redirect->status, 301);
  EXPECT_EQ(redirect.redirect->port, 8443);
  EXPECT_TRUE(redirect.redirect->has_path);
  EXPECT_FALSE(redirect.redirect->has_path_prefix);
  ASSERT_TRUE(result->routes[2]->respond.has_value());
  EXPECT_EQ(result->routes[2]->respond->body, "none here");
  EXPECT_EQ(result->route_table->size(), 3);
}

TEST(Compile, EqualPartsStayTheSameObjects) {
  const auto first = compiled(kFull);
  const auto second = compiled(kFull, first.get());
  EXPECT_EQ(first->listeners[0], second->listeners[0]);
  EXPECT_EQ(first->clusters[0].settings, second->clusters[0].settings);
  EXPECT_EQ(first->clusters[0].health_check, second->clusters[0].health_check);
  EXPECT_EQ(first->routes, second->routes);
  EXPECT_EQ(first->route_table, second->route_table);
}

TEST(Compile, OnlyWhatChangedIsNew) {
  const auto first = compiled(kFull);
  std::string text = kFull;
  text.replace(text.find("none here"), 9, "not there");
  text.replace(text.find("headers: 7"), 10, "headers: 8");
  const auto second = compiled(text, first.get());
  EXPECT_NE(first->listeners[0], second->listeners[0]);
  EXPECT_EQ(&first->listeners[0]->shared.connections(), &second->listeners[0]->shared.connections());
  EXPECT_EQ(first->routes[0], second->routes[0]);
  EXPECT_NE(first->routes[2], second->routes[2]);
  EXPECT_EQ(second->routes[2]->respond->body, "not there");
  EXPECT_EQ(first->route_table, second->route_table);  // no match changed
}

TEST(Compile, ARouteThatMovedIsTheSameObjectButTheTableIsNew) {
  const auto first = compiled(R"(
listeners: []
clusters: []
routes:
  - {name: one, match: {path: /1}, respond: {status: 200}}
  - {name: two, match: {path: /2}, respond: {status: 200}}
)");
  const auto second = compiled(R"(
listeners: []
clusters: []
routes:
  - {name: two, match: {path: /2}, respond: {status: 200}}
  - {name: one, match: {path: /1}, respond: {status: 200}}
)",
                               first.get());
  EXPECT_EQ(first->routes[0], second->routes[1]);
  EXPECT_EQ(first->routes[1], second->routes[0]);
  EXPECT_NE(first->route_table, second->route_table);
}

TEST(Compile, AUnixPathThatIsTooLongIsAnErrorThatNamesTheListener) {
  Spec spec;
  spec.listeners.emplace_back().name = "web";
  spec.listeners[0].address = {Endpoint::Kind::kUnix, 0, "/" + std::string(200, 'x')};
  const auto result = compile(std::make_shared<const Spec>(spec), nullptr);
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("listener web"), std::string::npos);
}

}  // namespace
}  // namespace weir::config
