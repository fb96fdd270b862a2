#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "http/limits.h"
#include "net/address.h"
#include "net/proxy_protocol.h"
#include "upstream/balancing/balancer.h"

namespace weir {

namespace tls {
class ClientContext;
}

// What a cluster's backends are spoken to in.
enum class UpstreamProtocol : std::uint8_t {
  auto_,  // what each backend was found to speak: by ALPN over TLS, by a probe in the clear
  http1,
  http2,
};

// What one backend was found to speak.
enum class SpokenProtocol : std::uint8_t { unknown, http1, http2 };
inline std::string_view to_string(SpokenProtocol protocol) {
  switch (protocol) {
    case SpokenProtocol::unknown:
      return "unknown";
    case SpokenProtocol::http1:
      return "http1";
    case SpokenProtocol::http2:
      return "http2";
  }
  return "";
}

// What the configuration says of a cluster, in the form that the data path reads. Immutable; shared by all threads.
struct ClusterSettings {
  struct Timeouts {
    Duration connect = 5s;
    Duration request = 30s;
    Duration stream_idle = 5min;
    Duration total = kForever;
    Duration idle = 90s;
    bool operator==(const Timeouts&) const = default;
  };
  struct Retry {
    std::uint32_t attempts = 2;  // all tries, the first included
    bool on_connect_failure = true;
    bool on_reset = true;
    // Answers that are not passed on while there is another try.
    bool on_502 = false, on_503 = false, on_504 = false;
    bool on_unavailable = false;       // of gRPC: a head without a body that says status 14
    double budget = 0.2;               // share of the last 10 s' requests
    std::vector<std::string> methods;  // retried although not idempotent
    Duration backoff_base = 25ms;
    Duration backoff_max = 1s;

    bool on_answers() const { return on_502 || on_503 || on_504 || on_unavailable; }
    bool operator==(const Retry&) const = default;
  };

  std::string name;
  balancing::Policy policy = balancing::Policy::round_robin;
  UpstreamProtocol protocol = UpstreamProtocol::auto_;
  Timeouts timeouts;
  Retry retry;
  std::uint64_t response_header_bytes = 256 * 1024;
  std::uint64_t response_headers = 500;
  http::Http2Limits http2_limits;
  // For backends over TLS; null if there are none.
  std::shared_ptr<const tls::ClientContext> tls;
  // What connections to the backends begin with: whose they are.
  std::optional<ProxyVersion> proxy_protocol;
  bool health_checked = false;  // a refused connection then takes the backend out at once

  bool operator==(const ClusterSettings&) const = default;
};

// One server address of a cluster. Shared by all threads; immutable but for the count of connections, which is touched
// when a connection opens or closes, never per request, and what was learned of the protocols that it speaks. Its
// identity is name and URL (and the address that a name resolved to): a reload that keeps them keeps the object.
// Objects of one server under two names share all but the name.
class Backend {
 public:
  static constexpr std::uint32_t kNoLimit = std::numeric_limits<std::uint32_t>::max();

  Backend(std::string name, std::string url, SocketAddress address, std::uint32_t max_connections)
      : name_(std::move(name)),
        url_(std::move(url)),
        address_(std::move(address)),
        server_(std::make_shared<Server>(max_connections)) {}
  // The same server under another name: its connections count, and what was learned of it is known.
  Backend(std::string name, const Backend& same)
      : name_(std::move(name)), url_(same.url_), address_(same.address_), server_(same.server_) {}

  const std::string& name() const { return name_; }
  const std::string& url() const { return url_; }
  const SocketAddress& address() const { return address_; }
  // It is spoken to over TLS.
  bool secure() const { return url_.starts_with("https:"); }
  // The host that its URL names: a name, or an address without brackets. Not for unix sockets.
  std::string_view host() const;
  // Host and port of its URL, as a request names them that names no other; "localhost" for a unix socket.
  std::string_view authority() const;

  std::uint32_t max_connections() const { return server_->max_connections.load(std::memory_order_relaxed); }
  void set_max_connections(std::uint32_t limit) { server_->max_connections.store(limit, std::memory_order_relaxed); }
  std::uint32_t connections() const { return server_->connections.load(std::memory_order_relaxed); }

  // Takes a place under max_connections, over all workers together; false if there is none. Any thread.
  bool take_connection_slot() {
    if (server_->connections.fetch_add(1, std::memory_order_relaxed) < max_connections()) return true;
    server_->connections.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void give_connection_slot() { server_->connections.fetch_sub(1, std::memory_order_relaxed); }

  // What it was last found to speak, by whoever found it. Any thread.
  SpokenProtocol protocol() const { return server_->protocol.load(std::memory_order_relaxed); }
  void set_protocol(SpokenProtocol protocol) { server_->protocol.store(protocol, std::memory_order_relaxed); }
  // Somebody has to find out: false if that was said already. heard_want() comes before finding out.
  bool want_protocol() { return !server_->protocol_wanted.exchange(true, std::memory_order_relaxed); }
  void heard_want() { server_->protocol_wanted.store(false, std::memory_order_relaxed); }
  // What its SETTINGS last said, for connections whose SETTINGS have not come yet. Any thread.
  static constexpr std::uint32_t kStreamsUnsaid = 100;
  std::uint32_t http2_streams_max() const { return server_->http2_streams_max.load(std::memory_order_relaxed); }
  // Whether it offers extended CONNECT (RFC 8441): not known before its first SETTINGS.
  enum class ExtendedConnect : std::uint8_t { unknown, no, yes };
  ExtendedConnect extended_connect() const { return server_->extended_connect.load(std::memory_order_relaxed); }
  void learn_http2(std::uint32_t streams_max, bool extended_connect) {
    const ExtendedConnect offered = extended_connect ? ExtendedConnect::yes : ExtendedConnect::no;
    if (http2_streams_max() != streams_max) server_->http2_streams_max.store(streams_max, std::memory_order_relaxed);
    if (this->extended_connect() != offered) server_->extended_connect.store(offered, std::memory_order_relaxed);
  }
  // It is another program now, or may be.
  void forget_protocol() {
    set_protocol(SpokenProtocol::unknown);
    server_->http2_streams_max.store(kStreamsUnsaid, std::memory_order_relaxed);
    server_->extended_connect.store(ExtendedConnect::unknown, std::memory_order_relaxed);
  }

 private:
  struct Server {
    explicit Server(std::uint32_t connections_max) : max_connections(connections_max) {}

    std::atomic<std::uint32_t> max_connections;
    std::atomic<std::uint32_t> connections{0};
    std::atomic<std::uint32_t> http2_streams_max{kStreamsUnsaid};
    std::atomic<bool> protocol_wanted{false};
    std::atomic<SpokenProtocol> protocol{SpokenProtocol::unknown};
    std::atomic<ExtendedConnect> extended_connect{ExtendedConnect::unknown};
  };

  const std::string name_;
  const std::string url_;
  const SocketAddress address_;
  const std::shared_ptr<Server> server_;
};

inline std::string_view Backend::host() const {
  std::string_view host = url_;
  if (const std::size_t scheme = host.find("://"); scheme != std::string_view::npos) host.remove_prefix(scheme + 3);
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.rfind(':'));
}

inline std::string_view Backend::authority() const {
  const std::size_t scheme = url_.find("://");
  return scheme == std::string::npos ? std::string_view("localhost") : std::string_view(url_).substr(scheme + 3);
}

// Who is in a cluster just now, as the control thread sees it: configuration, DNS, health and admin changes together.
struct Member {
  std::shared_ptr<Backend> backend;
  std::uint32_t weight = 1;
  bool usable = true;    // healthy, and neither draining nor disabled
  bool failing = false;  // its checks fail: what waits for its answer may as well be tried elsewhere
};
using Membership = std::vector<Member>;

// What a worker tells the control thread. Called in the worker's thread; the implementation passes it on by mail.
class UpstreamEvents {
 public:
  // A connection to `backend` was refused (or timed out while connecting: `refused` false).
  virtual void connect_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend, bool refused) = 0;
  // A TLS handshake with `backend` has failed; `reason` is for a log.
  virtual void tls_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend,
                          const std::string& reason) = 0;
  // An HTTP/2 connection to `backend` was ended since it broke the rules, or did too much of what only costs.
  virtual void http2_broken(const std::string& cluster, const std::shared_ptr<Backend>& backend,
                            const std::string& reason) = 0;
  // This worker needs a connection to `backend` and max_connections is reached: the other workers are asked to close an
  // idle one. Each worker's answer comes back to ClusterRuntime by mail.
  virtual void reclaim_idle(const std::string& cluster, const std::shared_ptr<Backend>& backend) = 0;
  // What `backend` speaks has to be found out: it was not known when a connection was made, or turned out to be wrong.
  virtual void protocol_wanted(const std::string& cluster, const std::shared_ptr<Backend>& backend) = 0;

 protected:
  ~UpstreamEvents() = default;
};

}  // namespace weir
