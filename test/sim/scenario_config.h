#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "net/address.h"
#include "net/proxy_protocol.h"

namespace weir::sim {

inline constexpr std::size_t kBackends = 4;  // the last one only has a name, app.test
// One is reached over IPv6, one over a unix socket.
inline constexpr std::size_t kBackendOverIpv6 = 1;
inline constexpr std::size_t kBackendOverUnix = 2;
std::string backend_address(std::size_t index);
// One over a unix socket is in the clear even so.
std::string backend_url(std::size_t index, bool over_tls = false);
bool is_backend(const SocketAddress& address);

// Each connection to it begins with a PROXY header.
inline constexpr std::string_view kProxiedListener = "10.0.0.1:82";

// The files that a schedule with TLS has.
inline constexpr std::string_view kListenerCertificate = "/tls/web.crt";
inline constexpr std::string_view kListenerKey = "/tls/web.key";
inline constexpr std::string_view kBackendAuthority = "/tls/backends.pem";
inline constexpr std::string_view kBackendName = "backend.example";

// Which listeners speak TLS. Backends are drawn with their URLs.
struct TlsTraits {
  bool first = false;
  bool second = false;
};

// What holds for a schedule as a whole, or changes with some reloads only.
struct ConfigTraits {
  std::size_t workers = 1;
  std::string_view protocol;       // what clusters say of their backends
  bool patient = false;            // time enough for HTTP/2's PINGs
  const TlsTraits* tls = nullptr;  // null: there is none
};

// The settings that are drawn once for a schedule, and again for each reload.
struct ScenarioConfig {
  Duration total = kForever;
  Duration header_timeout{};
  Duration idle{};  // of connections to backends
  std::uint64_t body_limit = UINT64_MAX;
  std::string second_listener;  // its address: of either family, or a unix socket's; empty for none
  bool several_clusters = false;
  bool health_checked = false;
  bool repeats_posts = false;                // even where a backend may have acted on them
  std::optional<ProxyVersion> proxy_header;  // what connections to backends begin with
  std::string text;
};
ScenarioConfig draw_config(Rng& rng, const ConfigTraits& traits);

}  // namespace weir::sim
