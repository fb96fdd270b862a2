#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "http/limits.h"
#include "net/proxy_protocol.h"
#include "upstream/cluster.h"

namespace weir::health {

enum class CheckType : std::uint8_t { http, tcp, grpc };

// Both ends are included; 100 to 599.
struct StatusRange {
  std::uint16_t first = 200;
  std::uint16_t last = 299;
  bool operator==(const StatusRange&) const = default;
};

// What the configuration says of a cluster's active checks. Immutable; shared by the checks of all its backends.
struct HealthCheckSettings {
  CheckType type = CheckType::http;
  std::string path = "/";             // with query; http only
  std::string service = {};           // of the server, grpc only; empty: the server as a whole
  std::string host = {};              // of the Host field, or :authority; empty: the backend's own host:port
  Duration interval = 5s;             // from the start of one probe to the start of the next, +-10 %
  Duration timeout = 2s;              // of one probe, connecting included
  std::uint32_t unhealthy_after = 3;  // failures in a row; at least 1
  std::uint32_t healthy_after = 2;    // successes in a row; at least 1
  std::vector<StatusRange> expect = {StatusRange{}};
  UpstreamProtocol protocol = UpstreamProtocol::auto_;  // of the cluster; what http checks are spoken in
  std::shared_ptr<const tls::ClientContext> tls = {};   // for backends over TLS
  http::HeadLimits head_limits = {.header_bytes = 256 * 1024, .headers = 500};  // of answers, as for traffic
  std::optional<ProxyVersion> proxy_protocol = {};  // a probe first says that it speaks for nobody else

  bool operator==(const HealthCheckSettings&) const = default;

  bool expects(std::uint16_t status) const {
    return std::any_of(expect.begin(), expect.end(),
                       [status](const StatusRange& range) { return range.first <= status && status <= range.last; });
  }
};

}  // namespace weir::health
