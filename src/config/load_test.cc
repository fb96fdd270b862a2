#include "config/load.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "base/rng.h"
#include "config/json.h"

namespace weir::config {
namespace {

std::optional<std::string> test_environment(std::string_view name) {
  if (name == "PORT") return "8080";
  if (name == "EMPTY") return "";
  if (name == "SECRET") return "hunter2";
  if (name == "EVENT") return "reset";
  return std::nullopt;
}

Parsed load(std::string_view text) {
  return parse(text, "dir/c.yaml", test_environment);
}

// A valid file; tests append to it or replace parts.
constexpr std::string_view kFull = R"(workers: 2
drain_delay: 1s
drain_timeout: none
log: {path: weir.log, level: warn, format: json}
metrics: {per_worker: false}
admin:
  address: "[::1]:9091"
  token: ${SECRET}
listeners:
  - name: web
    address: 0.0.0.0:${PORT}
    protocol: http2
    tls: {certificates: [{cert: site.crt, key: site.key}], min_version: "1.3", client_ca: clients.pem}
    trusted_proxies: [10.1.0.0/8, "2001:db8::/32"]
    limits: {header_bytes: 1KiB, headers: 10, uri_bytes: none, body_bytes: 0, max_connections: 5,
             concurrent_streams: 7,
             http2: {resets: 3/s, control_frames: none, window_bytes: 1MiB, held_bytes: none},
             handshake_timeout: 1s, header_timeout: 2s, body_timeout: 3s,
             body_min_rate: none, idle_timeout: 4s, tunnel_idle_timeout: none}
    access_log: {path: access.log, format: combined}
    via: true
  - address: unix:run/weir.sock
clusters:
  - name: app
    balance: least_connections
    protocol: auto
    proxy_protocol: v2
    backends:
      - {name: one, url: "http://Example.COM:8001", weight: 0, max_connections: 9}
      - {url: "http://[0:0::1]"}
      - {url: "unix:/run/b.sock", max_connections: none}
    dns: {refresh: 30s, family: ipv6}
    tls: {ca: ca.pem, server_name: App.internal, cert: own.crt, key: own.key, verify: false}
    limits: {header_bytes: 8KiB, headers: 20, http2: {resets: none, control_frames: 9/s, window_bytes: none}}
    health_check: {type: http, path: /ok, host: "app:81", interval: 1s, timeout: 500ms, unhealthy_after: 1,
                   healthy_after: 4, expect: "200-204, 301"}
    retry: {attempts: 3, on: [reset, 503, unavailable], budget: 12.5%, methods: [POST], backoff: {base: 0s, max: 2s}}
    timeouts: {connect: 1s, request: none, stream_idle: 1m, total: 1h, idle: 10us}
  - name: canary
    backends: []
    health_check: {type: tcp}
  - {name: calls, backends: [], health_check: {type: grpc, service: shop.Cart, host: "app:81"}}
routes:
  - name: api
    match: {host: "*.Example.com", path: /a%20b, path_prefix: /api, methods: [GET, x], headers: {X-Team: blue}}
    split: [{cluster: app, weight: 90}, {cluster: canary, weight: 0}, {cluster: canary}]
    timeouts: {request: 5s, stream_idle: 6s, total: none}
    limits: {body_bytes: 1MiB}
    filters:
      - request_headers: {set: {Host: a, x-a: "1"}, add: {x-b: $$5}, remove: [X-Debug]}
      - response_headers: {remove: [server]}
  - redirect: {status: 301, scheme: https, host: h, port: 443, path_prefix: /y}
  - respond:
      status: 404
      body: |
        gone
      headers: {content-type: text/plain}
  - cluster: app
)";

TEST(Load, ReadsEverySection) {
  const Parsed parsed = load(kFull);
  ASSERT_TRUE(parsed.spec) << render(parsed.diagnostics);
  const Spec& spec = *parsed.spec;
  EXPECT_EQ(spec.workers, 2U);
  EXPECT_EQ(spec.drain_delay, 1s);
  EXPECT_EQ(spec.drain_timeout, kForever);
  EXPECT_EQ(spec.log, (LogSpec{"dir/weir.log", LogLevel::kWarn, LogFormat::kJson}));
  EXPECT_FALSE(spec.metrics.per_worker);
  ASSERT_TRUE(spec.admin);
  EXPECT_EQ(to_string(spec.admin->address), "[::1]:9091");
  EXPECT_EQ(spec.admin->token, "hunter2");

  ASSERT_EQ(spec.listeners.size(), 2U);
  const ListenerSpec& web = spec.listeners[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(to_string(web.address), "0.0.0.0:8080");
  EXPECT_EQ(web.position.line, 11U);
  EXPECT_EQ(web.position.column, 14U);
  EXPECT_EQ(web.protocol, Protocol::kHttp2);
  ASSERT_EQ(web.trusted_proxies.size(), 2U);
  EXPECT_EQ(to_string(web.trusted_proxies[0]), "10.0.0.0/8");
  EXPECT_EQ(to_string(web.trusted_proxies[1]), "2001:db8::/32");
  EXPECT_EQ(web.limits,
            (ListenerLimits{
                1024, 10, kNoLimit, 0, 5, 7, {{3, kNoLimit, 1 << 20}, kNoLimit}, 1s, 2s, 3s, kNoLimit, 4s, kForever}));
  EXPECT_EQ(web.access_log, (AccessLogSpec{"dir/access.log", AccessLogFormat::kCombined}));
  EXPECT_TRUE(web.via);
  EXPECT_EQ(spec.listeners[1].name, "listener-2");
  EXPECT_EQ(spec.listeners[1].address, (Endpoint{Endpoint::Kind::kUnix, 0, "dir/run/weir.sock"}));
  EXPECT_EQ(spec.listeners[1].limits, ListenerLimits{});
}

TEST(Load, ReadsClusters) {
  const Parsed parsed = load(kFull);
  ASSERT_TRUE(parsed.spec);
  ASSERT_EQ(parsed.spec->clusters.size(), 3U);
  const ClusterSpec& app = parsed.spec->clusters[0];
  EXPECT_EQ(app.balance, Balance::kLeastConnections);
  ASSERT_EQ(app.backends.size(), 3U);
  EXPECT_EQ(app.backends[0], (BackendSpec{"one", {Endpoint::Kind::kTcp, 8001, "example.com"}, 0, 9}));
  EXPECT_EQ(app.backends[1], (BackendSpec{"[::1]:80", {Endpoint::Kind::kTcp, 80, "::1"}, 1, kNoLimit}));
  EXPECT_EQ(app.backends[2].name, "unix:/run/b.sock");
  EXPECT_EQ(url_of(app.backends[1]), "http://[::1]:80");
  EXPECT_EQ(app.dns, (DnsSpec{30s, DnsFamily::kIpv6}));
  EXPECT_EQ(app.limits, (ResponseLimits{8192, 20, {kNoLimit, 9, kNoLimit}}));
  const HealthCheckSpec check{HealthCheckType::kHttp, "/ok", "app:81", 1s, 500ms, 1, 4, {{200, 204}, {301, 301}}};
  EXPECT_EQ(app.health_check, check);
  const std::vector<RetryEvent> on{RetryEvent::kReset, RetryEvent::k503, RetryEvent::kUnavailable};
  EXPECT_EQ(app.retry, (RetrySpec{3, on, 1250, {"POST"}, 0s, 2s}));
  EXPECT_EQ(app.timeouts, (ClusterTimeouts{1s, kForever, 1min, 1h, 10us}));
  const ClusterSpec& canary = parsed.spec->clusters[1];
  EXPECT_TRUE(canary.backends.empty());
  EXPECT_EQ(app.proxy_protocol, ProxyVersion::v2);
  EXPECT_FALSE(canary.proxy_protocol);
  EXPECT_EQ(canary.health_check->type, HealthCheckType::kTcp);
  const HealthCheckSpec& calls = *parsed.spec->clusters[2].health_check;
  EXPECT_EQ(calls.type, HealthCheckType::kGrpc);
  EXPECT_EQ(calls.service, "shop.Cart");
  EXPECT_EQ(calls.host, "app:81");
  EXPECT_EQ(canary.retry, RetrySpec{});
  EXPECT_EQ(canary.timeouts, ClusterTimeouts{});
}

TEST(Load, ReadsRoutes) {
  const Parsed parsed = load(kFull);
  ASSERT_TRUE(parsed.spec);
  ASSERT_EQ(parsed.spec->routes.size(), 4U);
  const RouteSpec& api = parsed.spec->routes[0];
  EXPECT_EQ(api.match, (MatchSpec{"*.example.com", "/a%20b", "/api", {"GET", "x"}, {{"x-team", "blue"}}}));
  EXPECT_EQ(api.action, RouteAction(Split{{{"app", 90}, {"canary", 0}, {"canary", 1}}}));
  EXPECT_EQ(api.timeouts, (RouteTimeouts{5s, 6s, kForever}));
  EXPECT_EQ(api.limits.body_bytes, 1024U * 1024);
  ASSERT_EQ(api.filters.size(), 2U);
  const FilterSpec edit{FilterKind::kRequestHeaders, {{"host", "a"}, {"x-a", "1"}}, {{"x-b", "$5"}}, {"x-debug"}};
  EXPECT_EQ(api.filters[0], edit);
  EXPECT_EQ(api.filters[1], (FilterSpec{FilterKind::kResponseHeaders, {}, {}, {"server"}}));
  EXPECT_EQ(parsed.spec->routes[1].action, RouteAction(Redirect{301, 443, "https", "h", "", "/y"}));
  EXPECT_EQ(parsed.spec->routes[1].name, "route-2");
  EXPECT_EQ(parsed.spec->routes[2].action, RouteAction(Respond{404, "gone\n", {{"content-type", "text/plain"}}}));
  EXPECT_EQ(parsed.spec->routes[3].action, RouteAction(ToCluster{"app"}));
  EXPECT_TRUE(parsed.spec->routes[3].filters.empty());
}

TEST(Load, AcceptsJsonAliasesAndDocumentMarkers) {
  EXPECT_TRUE(load(R"({"listeners": [{"address": "127.0.0.1:1"}], "clusters": [], "routes": []})").spec);
  EXPECT_TRUE(load("---\nlisteners: []\nclusters: []\nroutes: []\n...\n").spec);
  EXPECT_TRUE(load("\xEF\xBB\xBFlisteners: []\r\nclusters: []\r\nroutes: []\r\n").spec);
  const Parsed parsed = load(
      "listeners: []\nclusters:\n- {name: a, backends: [], timeouts: &t {connect: 1s}}\n"
      "- {name: b, backends: [], timeouts: *t}\nroutes: []\n");
  ASSERT_TRUE(parsed.spec) << render(parsed.diagnostics);
  EXPECT_EQ(parsed.spec->clusters[1].timeouts.connect, 1s);
}

TEST(Load, ReadsEveryStyleOfScalar) {
  const auto body = [](std::string_view value) {
    const Parsed parsed = load(fmt::format("listeners: []\nclusters: []\nroutes:\n- respond:\n    body: {}\n", value));
    return parsed.spec ? std::get<Respond>(parsed.spec->routes[0].action).body : render(parsed.diagnostics);
  };
  EXPECT_EQ(body("it's a # b"), "it's a");
  EXPECT_EQ(body("a\n      b"), "a b");
  EXPECT_EQ(body("\"a\\n\\u00e9\\\"\""), "a\n\u00e9\"");
  EXPECT_EQ(body("''"), "");
  EXPECT_EQ(body("'it''s'"), "it's");
  EXPECT_EQ(body("'''''' # '"), "''");
  EXPECT_EQ(body("'a''  \n\n\n      b'"), "a'\n\nb");
  EXPECT_EQ(body("'a''  \n      b'"), "a' b");
  EXPECT_EQ(body("|-\n      a\n       b"), "a\n b");
  EXPECT_EQ(body(">\n      a\n      b\n"), "a b\n");
}

TEST(Load, WhatOnlyMovedIsEqual) {
  const Parsed a = load(kFull);
  const Parsed b = load("# a comment\n\n" + std::string(kFull));
  ASSERT_TRUE(a.spec && b.spec);
  EXPECT_NE(a.spec->routes[0].position.line, b.spec->routes[0].position.line);
  EXPECT_EQ(*a.spec, *b.spec);
}

// The effective configuration, read again, is the same configuration (apart from the masked token and the environment).
TEST(Json, ReadsBackAsTheSameConfiguration) {
  const Parsed parsed = parse(kFull, "c.yaml", test_environment);
  ASSERT_TRUE(parsed.spec) << render(parsed.diagnostics);
  const std::string json = to_json(*parsed.spec);
  const Parsed again = parse(json, "c.json", test_environment);
  ASSERT_TRUE(again.spec) << json << render(again.diagnostics);
  // `$$` is written as the value it stands for, which reads back as itself.
  EXPECT_EQ(*again.spec, *parsed.spec);
  EXPECT_EQ(to_json(*again.spec), json);
}

TEST(Json, ShowsEnvironmentUnexpandedAndNoSecrets) {
  const auto config_with = [](std::string_view token) {
    return fmt::format(
        "admin: {{token: '{}'}}\nlisteners: []\nroutes: []\nclusters:\n"
        "- name: a\n  backends: [{{url: 'http://h:${{PORT}}'}}]\n",
        token);
  };
  const auto json_with = [&](std::string_view token) {
    const Parsed parsed = load(config_with(token));
    return parsed.spec ? to_json(*parsed.spec) : render(parsed.diagnostics);
  };
  EXPECT_THAT(json_with("${SECRET}"), testing::HasSubstr(R"("token":"${SECRET}")"));
  for (const std::string_view token :
       {"literal", "a${SECRET}", "${SECRET}b", "${UNSET:-literal}", "${SECRET}${SECRET}"}) {
    EXPECT_THAT(json_with(token), testing::HasSubstr(R"("token":"***")")) << token;
    EXPECT_THAT(json_with(token), testing::Not(testing::HasSubstr("literal"))) << token;
  }
  EXPECT_THAT(json_with("x"), testing::HasSubstr(R"({"name":"h:${PORT}","url":"http://h:${PORT}",)"));
  EXPECT_THAT(json_with("x"), testing::Not(testing::HasSubstr("8080")));
  const Parsed retrying =
      load("listeners: []\nroutes: []\nclusters:\n- {name: a, backends: [], retry: {on: ['503', '${EVENT}']}}\n");
  ASSERT_TRUE(retrying.spec) << render(retrying.diagnostics);
  EXPECT_THAT(to_json(*retrying.spec), testing::HasSubstr(R"("on":["503","${EVENT}"])"));
}

TEST(Json, MatchOfOneRoute) {
  const Parsed parsed = load(
      "listeners: []\nclusters: []\nroutes:\n- respond: {}\n"
      "- {match: {path_prefix: /a, headers: {x: '${SECRET}'}}, respond: {}}\n");
  ASSERT_TRUE(parsed.spec);
  EXPECT_EQ(match_to_json(*parsed.spec, 0), "{}");
  EXPECT_EQ(match_to_json(*parsed.spec, 1), R"({"path_prefix":"/a","headers":{"x":"${SECRET}"}})");
}

TEST(Load, LeafKeysAreListed) {
  const std::vector<std::string> keys = accepted_leaf_keys();
  EXPECT_THAT(keys, testing::IsSupersetOf({"workers", "admin.token", "listeners[].limits.body_min_rate",
                                           "listeners[].trusted_proxies", "clusters[].backends[].weight",
                                           "clusters[].retry.backoff.base", "routes[].match.headers",
                                           "routes[].split[].weight", "routes[].filters[].request_headers.set"}));
  EXPECT_THAT(keys, testing::Not(testing::Contains("listeners[].tls")));
  std::vector<std::string> sorted = keys;
  std::ranges::sort(sorted);
  EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end());
}

// The JSON of a configuration that sets everything has every leaf: what is accepted is also shown.
TEST(Json, ShowsEveryLeaf) {
  const Parsed parsed = load(kFull);
  ASSERT_TRUE(parsed.spec);
  const std::string json = to_json(*parsed.spec);
  for (const std::string& leaf : accepted_leaf_keys()) {
    if (leaf == "routes[].redirect.path" || leaf.starts_with("routes[].filters[].response")) continue;
    const std::string last = leaf.substr(leaf.find_last_of(".]") + 1);
    EXPECT_THAT(json, testing::HasSubstr(fmt::format("\"{}\":", last))) << leaf;
  }
}

// Random damage to a valid file gives a spec or errors with positions inside the file, never a crash.
TEST(Load, SurvivesMutations) {
  Rng rng(20240607);
  constexpr std::string_view kPieces[] = {
      "[", "]",    "{",    "}",    ":",  "- ", "\n", "  ",    "\t",    "\"",
      "'", "&a ",  "*a",   "!!x ", "|",  ">",  "#",  "---\n", "...\n", "${",
      "$", "\xC3", "\xFF", "é",    "<<", "%",  "?",  "none",  "-1",    "999999999999999999999",
      "~", "\r",   "\x01", ","};
  int accepted = 0;
  for (int round = 0; round < 10'000; ++round) {
    std::string text(kFull);
    const std::uint64_t edits = rng.between(1, 3);
    for (std::uint64_t edit = 0; edit < edits; ++edit) {
      const std::size_t at = rng.below(text.size());
      switch (rng.below(5)) {
        case 0:
          text.erase(at, rng.between(1, 20));
          break;
        case 1:
          text.insert(at, kPieces[rng.below(std::size(kPieces))]);
          break;
        case 2:
          text[at] = static_cast<char>(rng.below(256));
          break;
        case 3:
          text.insert(at, text.substr(rng.below(text.size()), rng.between(1, 60)));
          break;
        default:
          text.resize(at + 1);
          break;
      }
    }
    const Parsed parsed = load(text);
    ASSERT_NE(parsed.spec.has_value(), !parsed.diagnostics.empty());
    accepted += parsed.spec ? 1 : 0;
    const auto lines =
        static_cast<std::uint32_t>(std::ranges::count_if(text, [](char c) { return c == '\n' || c == '\r'; }));
    for (const Diagnostic& diagnostic : parsed.diagnostics) {
      ASSERT_LE(diagnostic.line, lines + 1) << text;
      ASSERT_GE(diagnostic.column, 1U);
      ASSERT_FALSE(diagnostic.message.empty());
    }
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 9'000);
}

}  // namespace
}  // namespace weir::config
