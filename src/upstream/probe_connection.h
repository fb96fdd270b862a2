#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/proxy_protocol.h"
#include "net/transport.h"

namespace weir {

namespace tls {
class ClientContext;
}

// How connections to one backend begin.
struct Approach {
  SocketAddress address;
  std::optional<ProxyVersion> proxy_protocol = {};
  std::shared_ptr<const tls::ClientContext> tls = {};  // null in the clear
  std::string tls_host = {};
  std::string_view tls_protocol = {};  // a literal: offered by ALPN alone, instead of what requests offer
};

// A connection of Weir's own to a backend, for no request: connects, says in a PROXY header that it speaks for nobody
// else, and shakes hands. The owner hands in readiness and keeps the deadline. Destroying it closes the connection. One
// thread.
class ProbeConnection {
 public:
  enum class Stage : std::uint8_t { connecting, handshake, ready, failed };

  struct Problem {
    enum class Kind : std::uint8_t {
      own_trouble,  // of descriptors, ports or memory: says nothing of the backend
      refused,      // nobody listens there
      unreachable,
      tls,
    };
    Kind kind = Kind::unreachable;
    std::string text = {};  // "connection refused", "certificate has expired"; for a log
  };

  ProbeConnection(EventLoop& loop, Approach approach) : approach_(std::move(approach)), io_(loop) {}
  ProbeConnection(const ProbeConnection&) = delete;
  ProbeConnection& operator=(const ProbeConnection&) = delete;
  ~ProbeConnection() = default;

  // Starts to connect; `handler` gets the readiness. False if it is over already, see problem().
  bool start(ReadinessHandler& handler);
  // Goes on as far as it can. Once ready, io() may have bytes to read without a further edge, and in the clear the
  // PROXY header still to flush.
  Stage advance();

  Stage stage() const { return stage_; }
  const Problem& problem() const { return problem_; }
  Transport& io() { return io_; }
  const Transport& io() const { return io_; }

 private:
  void connected();
  void shake_hands();
  void fail(Problem::Kind kind, std::string text);
  void fail_to_connect(int error);

  const Approach approach_;
  Transport io_;
  Stage stage_ = Stage::connecting;
  Problem problem_;
};

}  // namespace weir
