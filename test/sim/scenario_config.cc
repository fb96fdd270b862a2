#include "sim/scenario_config.h"

#include <fmt/format.h>

namespace weir::sim {

namespace {

constexpr std::string_view kBackendSocket = "/run/b2.sock";

std::string ms(std::uint64_t value) {
  return fmt::format("{}ms", value);
}

std::string ms(Duration value) {
  if (value == kForever) return "none";
  return ms(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(value).count()));
}

constexpr double kTlsBackends = 0.65;

std::string backends_text(Rng& rng, const ConfigTraits& traits) {
  std::string text;
  for (std::size_t i = 0; i < kBackends; ++i) {
    const bool named = i + 1 == kBackends;
    if (rng.chance(named ? 0.7 : i == 0 ? 0.05 : 0.3)) continue;
    const bool over_tls = traits.tls != nullptr && rng.chance(kTlsBackends);
    const std::string named_url = over_tls ? "https://app.test:80" : "http://app.test:80";
    text += fmt::format("      - {{name: b{}, url: \"{}\", weight: {}, max_connections: {}}}\n", i,
                        named ? named_url : backend_url(i, over_tls), rng.below(4),
                        rng.chance(0.3) ? std::to_string(rng.between(1, 4)) : "none");
  }
  return text.empty() ? fmt::format("      - {{name: b0, url: \"{}\"}}\n", backend_url(0)) : text;
}

std::string timeouts_text(Rng& rng, const ConfigTraits& traits, ScenarioConfig& config) {
  if (rng.chance(0.3)) config.total = std::chrono::milliseconds(rng.between(300, 2000));
  config.idle = std::chrono::milliseconds(rng.between(20, 2000));
  std::uint64_t request_ms = rng.between(100, 1500);
  std::uint64_t silence_ms = rng.between(100, 1500);
  if (traits.patient) {
    config.total = kForever;
    config.idle = 100s;
    request_ms = 45'000;
    silence_ms = 50'000;
  }
  return fmt::format("    timeouts: {{connect: {}, request: {}, stream_idle: {}, total: {}, idle: {}}}\n",
                     ms(rng.between(50, 500)), ms(request_ms), ms(silence_ms), ms(config.total), ms(config.idle));
}

// What the clusters have in common.
std::string policy_text(Rng& rng, const ConfigTraits& traits, ScenarioConfig& config) {
  std::string text = fmt::format("    protocol: {}\n", traits.protocol);
  if (traits.tls != nullptr) {
    text += fmt::format("    tls: {{ca: {}, server_name: {}}}\n", kBackendAuthority, kBackendName);
  }
  text += timeouts_text(rng, traits, config);
  config.repeats_posts = rng.chance(0.15);
  static constexpr std::string_view kRetried[] = {"connect_failure", "connect_failure, reset", "connect_failure, reset",
                                                  "connect_failure, reset, unavailable"};
  text += fmt::format("    retry: {{attempts: {}, on: [{}], methods: [{}], backoff: {{base: {}, max: {}}}}}\n",
                      rng.between(1, 4), kRetried[rng.below(std::size(kRetried))], config.repeats_posts ? "POST" : "",
                      ms(rng.between(1, 30)), ms(rng.between(30, 200)));
  text += fmt::format("    dns: {{refresh: {}}}\n", ms(rng.between(50, 400)));
  if (rng.chance(0.15)) config.proxy_header = rng.chance(0.5) ? ProxyVersion::v1 : ProxyVersion::v2;
  if (config.proxy_header) {
    text += fmt::format("    proxy_protocol: {}\n", *config.proxy_header == ProxyVersion::v1 ? "v1" : "v2");
  }
  config.health_checked = !traits.patient && rng.chance(0.5);
  if (!config.health_checked) return text;
  // Each is a handshake where there is TLS, and those cost most of a schedule's time.
  const std::uint64_t rarer = traits.tls == nullptr ? 1 : 4;
  return text + fmt::format(
                    "    health_check: {{type: {}, interval: {}, timeout: {}, unhealthy_after: {}, healthy_after: "
                    "{}}}\n",
                    rng.chance(0.7) ? "http, path: /health" : "tcp", ms(rarer * rng.between(30, 300)),
                    ms(rng.between(20, 30)), rng.between(1, 3), rng.between(1, 2));
}

std::string clusters_text(Rng& rng, const ConfigTraits& traits, ScenarioConfig& config) {
  const auto balance = [&rng] {
    static constexpr std::string_view kBalance[] = {"round_robin", "random", "least_connections", "power_of_two"};
    return kBalance[rng.below(std::size(kBalance))];
  };
  const std::string policy = policy_text(rng, traits, config);
  std::string text = fmt::format("clusters:\n  - name: app\n    balance: {}\n    backends:\n{}{}", balance(),
                                 backends_text(rng, traits), policy);
  config.several_clusters = rng.chance(0.3);
  if (config.several_clusters) {
    const bool over_tls = traits.tls != nullptr && rng.chance(kTlsBackends);
    text += fmt::format("  - name: extra\n    balance: {}\n    backends: [{{url: \"{}\"}}, {{url: \"{}\"}}]\n{}",
                        balance(), backend_url(0, over_tls), backend_url(rng.between(1, 2), over_tls), policy);
  }
  return text;
}

std::string listener_tls_text(bool over_tls) {
  if (!over_tls) return {};
  return fmt::format("tls: {{certificates: [{{cert: {}, key: {}}}]}}, ", kListenerCertificate, kListenerKey);
}

std::string listeners_text(Rng& rng, const ConfigTraits& traits, ScenarioConfig& config) {
  const std::uint64_t header_ms = rng.between(100, 800);
  config.header_timeout = std::chrono::milliseconds(header_ms);
  if (rng.chance(0.3)) config.body_limit = rng.between(1000, 60'000);
  static constexpr std::string_view kSecond[] = {
      "", "", "10.0.0.1:81", kProxiedListener, "[fd00::1]:81", "unix:/run/weir.sock"};
  config.second_listener = kSecond[rng.below(std::size(kSecond))];
  std::string limits = fmt::format(
      "{{header_timeout: {}, body_timeout: {}, body_min_rate: {}, idle_timeout: {}, tunnel_idle_timeout: {}, "
      "body_bytes: {}, max_connections: {}, header_bytes: 4KiB, uri_bytes: 1KiB}}",
      ms(header_ms), ms(rng.between(100, 800)), rng.chance(0.5) ? "none" : "1KiB/s", ms(rng.between(100, 1500)),
      ms(rng.between(200, 1500)), config.body_limit == UINT64_MAX ? "none" : std::to_string(config.body_limit),
      rng.chance(0.2) ? rng.between(1, 4) : 1000);
  const TlsTraits tls = traits.tls == nullptr ? TlsTraits{} : *traits.tls;
  if (traits.tls != nullptr) {
    limits.insert(1, fmt::format("handshake_timeout: {}, ", ms(rng.between(200, 1500))));
  }
  std::string text = fmt::format(
      "  - {{name: web, address: \"10.0.0.1:80\", {}limits: {}, via: {}, access_log: {{path: /access.log, format: "
      "json}}}}\n",
      listener_tls_text(tls.first), limits, rng.chance(0.3));
  if (!config.second_listener.empty()) {
    // Who waits to be accepted while a reload changes what a connection begins with is taken by the new rule: so that
    // one has a name of its own.
    const bool proxied = config.second_listener == kProxiedListener;
    text += fmt::format(
        "  - {{name: {}, address: \"{}\", {}proxy_protocol: {}, limits: {}, access_log: {{path: /access.log, format: "
        "json}}}}\n",
        proxied ? "proxied" : "second", config.second_listener, listener_tls_text(tls.second), proxied, limits);
  }
  return text;
}

}  // namespace

// The second byte tells a backend from the proxy.
std::string backend_address(std::size_t index) {
  if (index == kBackendOverIpv6) return "[fd01::2]:80";
  if (index == kBackendOverUnix) return fmt::format("unix:{}", kBackendSocket);
  return fmt::format("10.1.0.{}:80", index + 1);
}

std::string backend_url(std::size_t index, bool over_tls) {
  const std::string address = backend_address(index);
  if (index == kBackendOverUnix) return address;
  return (over_tls ? "https://" : "http://") + address;
}

bool is_backend(const SocketAddress& address) {
  return address.is_unix() ? address.path == kBackendSocket : address.port == 80 && address.ip.bytes[1] == 1;
}

ScenarioConfig draw_config(Rng& rng, const ConfigTraits& traits) {
  ScenarioConfig config;
  std::string text = fmt::format("workers: {}\ndrain_timeout: {}\nadmin: {{address: \"127.0.0.1:9090\"}}\nlisteners:\n",
                                 traits.workers, ms(rng.between(50, 800)));
  text += listeners_text(rng, traits, config);
  text += clusters_text(rng, traits, config);
  text += fmt::format(
      "routes:\n  - {{name: said, match: {{path_prefix: /said}}, respond: {{status: 200, body: said}}}}\n"
      "  - {{name: {}, match: {{path_prefix: /r}}, {}}}\n",
      rng.chance(0.3) ? "other" : "all",
      config.several_clusters ? "split: [{cluster: app, weight: 2}, {cluster: extra, weight: 1}]" : "cluster: app");
  config.text = std::move(text);
  return config;
}

}  // namespace weir::sim
