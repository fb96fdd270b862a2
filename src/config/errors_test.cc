#include <fmt/format.h>
#include <gmock/gmock.h>

#include "config/load.h"

namespace weir::config {
namespace {

std::optional<std::string> test_environment(std::string_view name) {
  if (name == "PORT") return "8080";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

std::vector<std::string> errors_of(std::string_view text) {
  std::vector<std::string> result;
  for (const Diagnostic& diagnostic : parse(text, "c.yaml", test_environment).diagnostics) {
    result.push_back(diagnostic.headline().substr(std::string_view("c.yaml:").size()));
  }
  return result;
}

struct Case {
  std::string_view text;
  std::vector<std::string> errors;  // "line:column: error: ..."
};

// What is to be tested stands in the first lines; the tails complete it to a configuration.
constexpr std::string_view kTail = "listeners: []\nclusters: []\nroutes: []\n";

void expect_errors(const std::vector<Case>& cases, std::string_view tail) {
  for (const Case& test : cases) {
    EXPECT_THAT(errors_of(std::string(test.text) + std::string(tail)), testing::ElementsAreArray(test.errors))
        << test.text;
  }
}

TEST(Errors, TopLevel) {
  expect_errors(
      {
          {"werkers: 2\n", {"1:1: error: unknown key 'werkers', did you mean 'workers'?"}},
          {"zzz: 2\n", {"1:1: error: unknown key 'zzz'"}},
          {"workers: 0\n", {"1:10: error: expected auto or a whole number from 1 to 1024, not '0'"}},
          {"workers: -1\n", {"1:10: error: expected auto or a whole number from 1 to 1024, not '-1'"}},
          {"workers: [1]\n", {"1:10: error: expected auto or a whole number from 1 to 1024, not a list"}},
          {"workers:\n", {"1:1: error: expected auto or a whole number from 1 to 1024, not nothing"}},
          {"workers: 1\nworkers: 2\n", {"2:1: error: key 'workers' is there twice"}},
          {"drain_delay: none\n", {"1:14: error: expected a duration such as 250ms, 5s or 1m, not 'none'"}},
          {"drain_timeout: 5\n", {"1:16: error: expected a duration such as 250ms, 5s or 1m, or none, not '5'"}},
          {"drain_timeout: 5 s\n", {"1:16: error: expected a duration such as 250ms, 5s or 1m, or none, not '5 s'"}},
          {"log: {level: trace}\n", {"1:14: error: expected one of debug, info, warn, error, not 'trace'"}},
          {"log: {level: inof}\n",
           {"1:14: error: expected one of debug, info, warn, error, not 'inof', did you mean 'info'?"}},
          {"log: 5\n", {"1:6: error: expected a mapping, not text"}},
          {"metrics: {per_worker: yes}\n", {"1:23: error: expected true or false, not 'yes'"}},
          {"admin: off\n", {"1:8: error: expected a mapping, or none, not 'off'"}},
          {"admin: {address: \"9090\"}\n", {"1:18: error: expected host:port, [v6]:port or unix:/path"}},
          {"admin: {token: ''}\n", {"1:16: error: a token is of visible ASCII characters without spaces"}},
          {"<<: {}\n", {"1:1: error: merge keys ('<<') are not supported"}},
          {"log: {path: ${UNSET}}\n",
           {"1:14: error: invalid YAML: missing comma in flow mapping, inside [...] and {...} a value with ${...} "
            "needs "
            "quotes"}},
          {"log:\n  path: ${UNSET}\n", {"2:9: error: environment variable 'UNSET' is not set"}},
          {"log: {path: \"${EMPTY}\"}\n", {"1:13: error: expected a path, not ''"}},
          {"log: {path: \"${A B}\"}\n", {"1:13: error: 'A B' is no name of an environment variable"}},
          {"log: {path: \"${A\"}\n", {"1:13: error: '${' without its '}'; write '$$' for a '$'"}},
          {"log: {path: \"${UNSET:-x}\"}\nworkers: ${EMPTY:-3}\n", {}},
          // Columns count characters, and all errors come in the order of the file.
          {"log: {path: \"é€😀\", pth: 1}\nworkers: x\n",
           {"1:20: error: unknown key 'pth', did you mean 'path'?",
            "2:10: error: expected auto or a whole number from 1 to 1024, not 'x'"}},
      },
      kTail);
}

TEST(Errors, RequiredKeysAndEmptyFiles) {
  expect_errors(
      {{"", {"1:1: error: the configuration is empty, 'listeners', 'clusters' and 'routes' are required"}},
       {"# nothing\n", {"1:1: error: the configuration is empty, 'listeners', 'clusters' and 'routes' are required"}},
       {"\n\nworkers: 1\nlisteners: []\n", {"3:1: error: missing key 'clusters'", "3:1: error: missing key 'routes'"}},
       // A misspelt key is not missing as well.
       {"listners: []\nclusters: []\nroutes: []\n", {"1:1: error: unknown key 'listners', did you mean 'listeners'?"}},
       {"listeners:\nclusters: {}\nroutes: x\n",
        {"1:1: error: expected a list, not nothing", "2:11: error: expected a list, not a mapping",
         "3:9: error: expected a list, not text"}},
       {"- a\n", {"1:1: error: the top level must be a mapping, such as 'listeners: [...]'"}},
       {"text\n", {"1:1: error: the top level must be a mapping, such as 'listeners: [...]'"}}},
      "");
}

TEST(Errors, Listeners) {
  expect_errors(
      {
          {"listeners: [{name: a}]\n", {"1:14: error: missing key 'address'"}},
          {"listeners: [{}]\n", {"1:13: error: missing key 'address'"}},
          {"listeners: [a]\n", {"1:13: error: expected a mapping, not text"}},
          {"listeners: [{address: \"localhost:80\", adres: 1}]\n",
           {"1:39: error: unknown key 'adres', did you mean 'address'?"}},
          {"listeners: [{adress: \"localhost:80\"}]\n", {"1:14: error: unknown key 'adress', did you mean 'address'?"}},
          {"listeners: [{address: \"example.com:80\"}]\n",
           {"1:23: error: listening needs an IP address (or localhost), not a name"}},
          {"listeners: [{address: \"1.2.3.4:70000\"}]\n", {"1:23: error: expected a port from 1 to 65535"}},
          {"listeners: [{address: \"1.2.3.4.5:80\"}]\n",
           {"1:23: error: '1.2.3.4.5' is neither an IP address nor a host name"}},
          {"listeners: [{address: \"::1:80\"}]\n", {"1:23: error: an IPv6 address needs brackets, as in [::1]:80"}},
          {"listeners: [{address: \":80\"}]\n",
           {"1:23: error: expected a host before the port, such as 0.0.0.0 or [::]"}},
          {"listeners: [{address: \"http://1.2.3.4:80\"}]\n", {"1:23: error: expected host:port, not a URL"}},
          {"listeners: [{address: \"unix:\"}]\n", {"1:23: error: expected a path after 'unix:'"}},
          {"listeners: [{address: 1.2.3.4:80, tls: {}, proxy_protocol: v2}]\n",
           {"1:40: error: missing key 'certificates'", "1:60: error: expected true or false, not 'v2'"}},
          {"listeners: [{address: 1.2.3.4:80, tls: {certificates: [], min_version: 1.1}}]\n",
           {"1:55: error: expected at least one entry",
            "1:72: error: expected one of 1.2, 1.3, not '1.1', did you mean '1.2'?"}},
          {"listeners: [{address: 1.2.3.4:80, tls: {certificates: [{cert: a}]}}]\n",
           {"1:57: error: missing key 'key'"}},
          {"listeners: [{address: 1.2.3.4:80, protocol: tcp}]\n", {"1:45: error: 'tcp' is not supported yet"}},
          {"listeners: [{address: 1.2.3.4:80, protocol: http3}]\n",
           {"1:45: error: expected one of auto, http1, http2, not 'http3', did you mean 'http1'?"}},
          {"listeners: [{address: 1.2.3.4:80, trusted_proxies: [10.0.0.0/33, x]}]\n",
           {"1:53: error: expected a prefix length from 0 to 32",
            "1:66: error: expected a network such as 10.0.0.0/8 or 2001:db8::/32"}},
          {"listeners: [{address: 1.2.3.4:80, limits: {header_bytes: 64KB, headers: 0, body_min_rate: 5}}]\n",
           {"1:58: error: expected a size such as 64KiB or 1MiB, or none, not '64KB'",
            "1:73: error: must be above 0, 'none' switches it off",
            "1:91: error: expected a rate such as 240B/s or 1KiB/s, or none, not '5'"}},
          {"listeners: [{address: 1.2.3.4:80, limits: {idle_timeout: 0s, uri_bytes: 99999999999999999999}}]\n",
           {"1:58: error: must be above 0, 'none' switches it off",
            "1:73: error: expected a size such as 64KiB or 1MiB, or none, not '99999999999999999999'"}},
          {"listeners: [{address: 1.2.3.4:80, access_log: {}}]\n", {"1:47: error: missing key 'path'"}},
          {"listeners: [{name: a, address: 1.2.3.4:80}, {name: a, address: 1.2.3.4:80}]\n",
           {"1:52: error: listener 'a' is there twice",
            "1:64: error: address 1.2.3.4:80 is used by listener 'a' already"}},
          {"listeners: [{address: 1.2.3.4:80, name: listener-2}, {address: 1.2.3.4:81}]\n",
           {"1:55: error: listener 'listener-2' is there twice"}},
          {"listeners: [{address: 127.0.0.1:9090}]\n",
           {"1:23: error: address 127.0.0.1:9090 is used by the admin port already, 'admin: none' or another admin "
            "address frees it"}},
          {"listeners: [{address: 127.0.0.1:0}, {address: 127.0.0.1:0}]\n", {}},
      },
      "clusters: []\nroutes: []\n");
}

TEST(Errors, Clusters) {
  expect_errors(
      {
          {"clusters: [{name: a}]\n", {"1:13: error: missing key 'backends'"}},
          {"clusters: [{backends: [], balance: ip_hash, hash_on: x, sticky: x, tls: x, proxy_protocol: v3}]\n",
           {"1:36: error: 'ip_hash' is not supported yet", "1:45: error: 'hash_on' is not supported yet",
            "1:57: error: 'sticky' is not supported yet", "1:73: error: expected a mapping, not text",
            "1:92: error: expected one of v1, v2, not 'v3', did you mean 'v1'?"}},
          {"clusters: [{backends: [], outlier_detection: x, circuit_breaker: x, slow_start: 1s, queue: x}]\n",
           {"1:27: error: 'outlier_detection' is not supported yet",
            "1:49: error: 'circuit_breaker' is not supported yet", "1:69: error: 'slow_start' is not supported yet",
            "1:85: error: 'queue' is not supported yet"}},
          {"clusters: [{backends: [], balance: rund_robin}]\n",
           {"1:36: error: expected one of round_robin, weighted_round_robin, random, least_connections, power_of_two, "
            "not "
            "'rund_robin', did you mean 'round_robin'?"}},
          {"clusters: [{backends: [], protocol: tcp}]\n",
           {"1:37: error: expected one of auto, http1, http2, not 'tcp'"}},
          {"clusters: [{backends: [{weight: 1}]}]\n", {"1:25: error: missing key 'url'"}},
          {"clusters: [{backends: [{url: \"http://h:1/\"}]}]\n", {"1:30: error: a backend URL has no path"}},
          {"clusters: [{backends: [{url: \"http://h?q\"}]}]\n", {"1:30: error: a backend URL has no query"}},
          {"clusters: [{backends: [{url: \"http://h#f\"}]}]\n", {"1:30: error: a backend URL has no fragment"}},
          {"clusters: [{backends: [{url: \"http://u:p@h\"}]}]\n", {"1:30: error: a backend URL has no user"}},
          {"clusters: [{backends: [{url: \"https://h/\"}]}]\n", {"1:30: error: a backend URL has no path"}},
          {"clusters: [{backends: [], tls: {cert: a, server_name: \"-\"}}]\n",
           {"1:33: error: 'cert' and 'key' go together", "1:55: error: expected a host name, not '-'"}},
          {"clusters: [{backends: [{url: \"h:80\"}]}]\n",
           {"1:30: error: expected http://host:port, https://host:port or unix:/path, did you mean 'http://h:80'?"}},
          {"clusters: [{backends: [{url: \"ftp://h\"}]}]\n",
           {"1:30: error: expected http://host:port, https://host:port or unix:/path"}},
          {"clusters: [{backends: [{url: \"http://\"}]}]\n",
           {"1:30: error: '' is neither an IP address nor a host name"}},
          {"clusters: [{backends: [{url: \"http://h:0\"}]}]\n", {"1:30: error: expected a port from 1 to 65535"}},
          {"clusters: [{backends: [{url: \"http://h\", weight: -1}]}]\n",
           {"1:50: error: expected a whole number from 0 to 1000000, not '-1'"}},
          {"clusters: [{backends: [{url: \"http://h\", max_connections: 0}]}]\n",
           {"1:59: error: must be above 0, 'none' switches it off"}},
          {"clusters: [{backends: [{url: \"http://h\"}, {url: \"http://h:80\"}]}]\n",
           {"1:49: error: backend 'h:80' is there twice, give it a name"}},
          {"clusters: [{name: a, backends: []}, {name: a, backends: []}]\n",
           {"1:44: error: cluster 'a' is there twice"}},
          {"clusters: [{name: '', backends: []}, {name: '', backends: []}]\n",
           {"1:19: error: a name must not be empty", "1:45: error: a name must not be empty"}},
          {"clusters: [{backends: [], dns: {refresh: none, family: v4}}]\n",
           {"1:42: error: expected a duration such as 250ms, 5s or 1m, not 'none'",
            "1:56: error: expected one of auto, ipv4, ipv6, all, not 'v4'"}},
          {"clusters: [{backends: [], health_check: {type: grpc, path: /x, expect: 200, service: a b, host: a}}]\n",
           {"1:54: error: 'path' goes with 'type: http' only", "1:64: error: 'expect' goes with 'type: http' only",
            "1:86: error: expected the name of a gRPC service such as shop.Cart, not 'a b'"}},
          {"clusters: [{backends: [], health_check: {service: a}}]\n",
           {"1:42: error: 'service' goes with 'type: grpc' only"}},
          {"clusters: [{backends: [], health_check: {type: tcp, host: a}}]\n",
           {"1:53: error: 'host' goes with 'type: http or grpc' only"}},
          {"clusters: [{backends: [], health_check: {type: tcp, path: /x}}]\n",
           {"1:53: error: 'path' goes with 'type: http' only"}},
          {"clusters: [{backends: [], health_check: {path: x, expect: 99, unhealthy_after: 0}}]\n",
           {"1:48: error: expected a path that begins with '/', not 'x'",
            "1:59: error: expected status codes such as 200-299 or 200-299,404, not '99'",
            "1:80: error: expected a whole number from 1 to 1000, not '0'"}},
          {"clusters: [{backends: [], retry: {attempts: 0, on: [reset, \"503\", x], budget: 101%, methods: [a b]}}]\n",
           {"1:45: error: expected a whole number from 1 to 100, not '0'",
            "1:67: error: expected one of connect_failure, reset, 502, 503, 504, unavailable, not 'x'",
            "1:79: error: expected a share from 0% to 100%, or none, not '101%'",
            "1:95: error: expected a method such as GET, not 'a b'"}},
          {"clusters: [{backends: [], retry: {backoff: {base: 2s}}}]\n",
           {"1:51: error: backoff: base 2s is above max 1s"}},
          {"clusters: [{backends: [], timeouts: {conect: 1s, total: 1}}]\n",
           {"1:38: error: unknown key 'conect', did you mean 'connect'?",
            "1:57: error: expected a duration such as 250ms, 5s or 1m, or none, not '1'"}},
      },
      "listeners: []\nroutes: []\n");
}

TEST(Errors, Routes) {
  expect_errors(
      {
          {"routes: [{name: a}]\n", {"1:11: error: a route needs one of cluster, split, redirect and respond"}},
          {"routes: [{}]\n", {"1:10: error: a route needs one of cluster, split, redirect and respond"}},
          {"routes: [{clutser: app}]\n", {"1:11: error: unknown key 'clutser', did you mean 'cluster'?"}},
          {"routes: [{cluster: app, respond: {}}]\n", {"1:25: error: 'respond' and 'cluster' exclude each other"}},
          {"routes: [{cluster: ap}]\n", {"1:20: error: unknown cluster 'ap', did you mean 'app'?"}},
          {"routes: [{cluster: other}]\n", {"1:20: error: unknown cluster 'other'"}},
          {"routes: [{split: [{cluster: app}, {cluster: apq, weight: 2}]}]\n",
           {"1:45: error: unknown cluster 'apq', did you mean 'app'?"}},
          {"routes: [{split: [{cluster: app, weight: 0}]}]\n", {"1:18: error: the weights must not all be 0"}},
          {"routes: [{split: []}]\n", {"1:18: error: expected at least one entry"}},
          {"routes: [{split: [{weight: 1}]}]\n", {"1:20: error: missing key 'cluster'"}},
          {"routes: [{redirect: {status: 300, scheme: ftp}}]\n",
           {"1:30: error: expected 301, 302, 303, 307 or 308, not '300'",
            "1:43: error: expected one of http, https, not 'ftp'"}},
          {"routes: [{redirect: {status: 301}}]\n",
           {"1:22: error: a redirect needs one of scheme, host, port, path and path_prefix"}},
          {"routes: [{redirect: {path: /a, path_prefix: /b}}]\n",
           {"1:32: error: 'path_prefix' and 'path' exclude each other"}},
          {"routes: [{respond: {status: 199}}]\n", {"1:29: error: expected a whole number from 200 to 599, not '199'"}},
          {"routes: [{respond: {status: 204, body: x}}]\n", {"1:40: error: a response with status 204 has no body"}},
          {"routes: [{respond: {headers: {Content-Length: 1, \"a b\": 1, X: \"a\\nb\", x: 2}}}]\n",
           {"1:31: error: header 'Content-Length' belongs to the connection and cannot be changed",
            "1:50: error: expected the name of a header field, not 'a b'",
            "1:63: error: a header value has no control characters and no white space around it",
            "1:71: error: key 'x' is there twice"}},
          {"routes: [{cluster: app, match: {host: \"a:80\", path: /a?b, path_prefix: \"/a b\"}}]\n",
           {"1:39: error: a host is matched without its port, write 'a'",
            "1:53: error: a path has no query and no fragment",
            "1:72: error: expected a path of URL characters (others as %XX), not '/a b'"}},
          {"routes: [{cluster: app, match: {host: \"*\", methods: [], headers: [a]}}]\n",
           {"1:39: error: '*' is no host, leave 'host' out to match every host",
            "1:53: error: expected at least one entry", "1:66: error: expected a mapping, not a list"}},
          {"routes: [{cluster: app, match: {host: \"a.*.b\"}}]\n",
           {"1:39: error: expected a host such as example.com or *.example.com, not 'a.*.b'"}},
          {"routes: [{cluster: app, match: {query: {}, path_regex: x, any: [], not: {}}}]\n",
           {"1:33: error: 'query' is not supported yet", "1:44: error: 'path_regex' is not supported yet",
            "1:59: error: 'any' is not supported yet", "1:68: error: 'not' is not supported yet"}},
          {"routes: [{cluster: app, match: {host_regex: x, header_regex: x, scheme: x, client_ip: x, all: []}}]\n",
           {"1:33: error: 'host_regex' is not supported yet", "1:48: error: 'header_regex' is not supported yet",
            "1:65: error: 'scheme' is not supported yet", "1:76: error: 'client_ip' is not supported yet",
            "1:90: error: 'all' is not supported yet"}},
          {"routes: [{cluster: app, timeouts: {connect: 1s}, limits: {headers: 1}}]\n",
           {"1:36: error: key 'connect' does not belong here, it is set in a cluster's timeouts",
            "1:59: error: key 'headers' does not belong here, it is set in a listener's limits"}},
          {"routes: [{cluster: app, request_headers: {}}]\n",
           {"1:25: error: key 'request_headers' does not belong here, it is an entry of 'filters'"}},
          {"routes: [{cluster: app, filters: [{rate_limit: {}}, {compress: {}}, {}, x]}]\n",
           {"1:36: error: 'rate_limit' is not supported yet", "1:54: error: 'compress' is not supported yet",
            "1:69: error: a filter needs its name as its key", "1:73: error: expected a mapping, not text"}},
          {"routes: [{cluster: app, filters: [{request_headers: {}, response_headers: {}}]}]\n",
           {"1:57: error: a filter has one key, begin another list entry with '- '"}},
          {"routes: [{cluster: app, filters: [{request_headers: {add: {HOST: x}, remove: [host, te]}}]}]\n",
           {"1:60: error: a request has exactly one host: it can only be set",
            "1:79: error: a request has exactly one host: it can only be set",
            "1:85: error: header 'te' belongs to the connection and cannot be changed"}},
          // What is wrong with a value is told at the value.
          {"routes: [{cluster: app, filters: [{request_headers: {set: {host: \"a b\"}}}]}]\n",
           {"1:66: error: 'a b' is not a host"}},
          {"routes: [{name: a, cluster: app}, {name: a, cluster: app}]\n", {"1:42: error: route 'a' is there twice"}},
      },
      "listeners: []\nclusters: [{name: app, backends: []}]\n");
}

TEST(Errors, Yaml) {
  expect_errors(
      {
          {"log: {path: \"a\nworkers: 0\n",
           {"1:13: error: invalid YAML: wrongly indented double-quoted scalar",
            "2:10: error: expected auto or a whole number from 1 to 1024, not '0'"}},
          // A bracket that is not closed costs only its own section.
          {"log: {path: a, x: 1\nworkers: 0\n",
           {"1:6: error: invalid YAML: a bracket that is not closed",
            "2:10: error: expected auto or a whole number from 1 to 1024, not '0'"}},
          {"workers: 0\nlog:\n\tpath: a\nmetrics: 1\n",
           {"1:10: error: expected auto or a whole number from 1 to 1024, not '0'",
            "3:1: error: invalid YAML: tab character may not be used as indentation",
            "4:10: error: expected a mapping, not text"}},
          {"workers: 1\n---\nlog: 1\n", {"2:1: error: a configuration is one YAML document"}},
          {"workers: !!int 1\n", {"1:10: error: YAML tags are not supported"}},
          {"workers: *a\n", {"1:10: error: alias '*a' has no anchor before it"}},
          {"log: &a {path: *a}\n", {"1:16: error: alias '*a' has no anchor before it"}},
          {"? [a]\n: b\n", {"1:3: error: a key must be plain text"}},
          {"workers: \xFF\n", {"1:10: error: a byte that is no UTF-8 text"}},
          {"workers: é\xC3\n", {"1:11: error: a byte that is no UTF-8 text"}},
          {"workers: \x01\n", {"1:10: error: a byte that is no UTF-8 text"}},
          {std::string_view("a: \0b\n", 6), {"1:4: error: a byte that is no UTF-8 text"}},
      },
      kTail);
}

TEST(Errors, DeepAndExplodingFilesAreRefused) {
  for (const std::string_view piece : {"[", "{a: ", "- ", "? ", "&a [", "!x ["}) {
    std::string text = "workers: \n  ";
    for (int i = 0; i < 20'000; ++i) text += piece;
    EXPECT_FALSE(errors_of(text).empty()) << piece;
  }
  std::string bomb = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n";
  for (int i = 1; i < 20; ++i) {
    bomb += fmt::format("x{}: &x{} [", i, i);
    for (int j = 0; j < 10; ++j) bomb += fmt::format("*x{},", i - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(errors_of(bomb), testing::Contains(testing::HasSubstr("aliases repeat too much")));
}

// libfyaml would need minutes for each of these.
TEST(Errors, CostlyFilesAreRefusedEarly) {
  std::string blank = "a: |\n";
  for (int i = 0; i < 200'000; ++i) blank += " \n";
  EXPECT_THAT(errors_of(blank), testing::ElementsAre("10002:1: error: more than 10000 blank lines in a row"));
  EXPECT_THAT(errors_of(std::string(500'000, '%')),
              testing::ElementsAre("1:1: error: a YAML directive that is too long"));
}

TEST(Errors, AreAtMostAThousand) {
  std::string text(kTail);
  for (int i = 0; i < 5000; ++i) text += fmt::format("k{}: 1\n", i);
  const std::vector<std::string> errors = errors_of(text);
  ASSERT_EQ(errors.size(), 1000U);
  EXPECT_THAT(errors.back(), testing::HasSubstr("and 4000 more errors"));
}

TEST(Errors, ShowTheLineWithACaret) {
  const Parsed parsed =
      parse("listeners: []\n\tx: 1\nclusters: []\nroutes: []\nlög: {é: 1}\n", "a/b.yaml", test_environment);
  ASSERT_FALSE(parsed.diagnostics.empty());
  EXPECT_EQ(parsed.diagnostics.back().render(),
            "a/b.yaml:5:1: error: unknown key 'lög', did you mean 'log'?\n  lög: {é: 1}\n  ^");
  const Parsed deep =
      parse("listeners: []\nclusters: []\nroutes: []\nlog: {path: \"é\", x: 1}\n", "c", test_environment);
  EXPECT_EQ(render(deep.diagnostics),
            "c:4:18: error: unknown key 'x'\n  log: {path: \"é\", x: 1}\n                   ^\n");
}

TEST(Errors, LongLinesAreCutAroundTheError) {
  const std::string text = "listeners: []\nclusters: []\nlog: {path: " + std::string(5000, 'a') +
                           ", é: 1, path: " + std::string(5000, 'b') + "}\nroutes: []\n";
  const Parsed parsed = parse(text, "c", test_environment);
  ASSERT_EQ(parsed.diagnostics.size(), 2U);
  const Diagnostic& first = parsed.diagnostics[0];
  EXPECT_EQ(first.column, 5015U);
  EXPECT_LE(first.source_line.size(), 250U);
  EXPECT_EQ(first.source_line.substr(first.caret, 2), "é");
}

}  // namespace
}  // namespace weir::config
