// TLS towards backends.
#include "sim/fixture.h"
#include "tls/pair_fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

// A backend that answers each request with 200 and "secure\n".
class TlsBackend final : private ReadinessHandler {
 public:
  TlsBackend(SimWorld& world, const SocketAddress& address, std::shared_ptr<const tls::ServerContext> context)
      : world_(world), engine_(world, budget_, "tls backend", address.ip), loop_(engine_, 11), context_(context) {
    world_.add_loop(loop_);
    listener_ = *engine_.listen(address, {});
    EXPECT_TRUE(engine_.watch(listener_, *this).has_value());
  }
  ~TlsBackend() {
    ends_.clear();
    engine_.close(listener_);
    world_.remove_loop(loop_);
  }

  // Answers what has come.
  void answer() {
    for (auto& end : ends_) {
      while (end->io.is_open()) {
        const std::size_t size = end->received.find("\r\n\r\n");
        if (size == std::string::npos) break;
        requests.push_back(end->received.substr(0, size + 4));
        end->received.erase(0, size + 4);
        if (!requests.back().starts_with("PRI")) end->send("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsecure\n");
      }
    }
  }
  void use(std::shared_ptr<const tls::ServerContext> context) { context_ = std::move(context); }
  std::vector<std::unique_ptr<tls::End>>& ends() { return ends_; }

  bool mute = false;  // accepts, and says nothing
  std::vector<std::string> requests;

 private:
  void on_ready(Readiness) override {
    for (;;) {
      const Accepted accepted = engine_.accept(listener_);
      if (accepted.status != Accepted::Status::ok) return;
      ends_.push_back(std::make_unique<tls::End>(loop_));
      if (mute) {
        ends_.back()->io.open(accepted.socket);
      } else {
        ends_.back()->open(accepted.socket, context_->accept(loop_.buffers()));
      }
    }
  }

  SimWorld& world_;
  DescriptorBudget budget_{1000, 0};
  SimEngine engine_;
  EventLoop loop_;
  std::shared_ptr<const tls::ServerContext> context_;
  SocketId listener_ = kNoSocket;
  std::vector<std::unique_ptr<tls::End>> ends_;
};

const SocketAddress kSecure = *SocketAddress::parse("10.1.9.1:443");

class UpstreamTlsTest : public SimTest {
 protected:
  UpstreamTlsTest() : server_(world_, kSecure, serve({})) {
    auto& members = proxy_.setup.clusters.front().members;
    members.clear();
    members.push_back(
        {std::make_shared<Backend>("secure", "https://10.1.9.1:443", kSecure, Backend::kNoLimit), 1, true});
    cluster().retry.attempts = 1;
    cluster().tls = trusting({});
  }

  std::shared_ptr<const tls::ServerContext> serve(tls::ServerOptions options, std::string names = "IP:10.1.9.1") {
    options.certificates.push_back(authority_.issue({.alternative_names = std::move(names)}));
    if (options.protocols.empty()) options.protocols = {"http/1.1"};
    return *tls::ServerContext::make(options, keys_);
  }
  std::shared_ptr<const tls::ClientContext> trusting(tls::ClientOptions options) {
    options.ca = authority_.certificate();
    if (options.protocols.empty()) options.protocols = {"h2", "http/1.1"};
    return *tls::ClientContext::make(options);
  }
  // Sends a request, has the backend answer it, and gives the answer's status.
  int ask() {
    SimClient& client = connect();
    client.get("/");
    for (int i = 0; i < 20; ++i) {
      run(20ms);
      server_.answer();
    }
    return client.answers().empty() ? 0 : client.answers().front().status;
  }
  std::int64_t failures(std::string_view reason) { return proxy_.metric(Family::kBackendTlsFailures, {reason}); }
  Backend& secure() { return *proxy_.setup.clusters.front().members.front().backend; }

  tls::TestAuthority authority_{"root"};
  std::shared_ptr<tls::TicketKeys> keys_ = std::make_shared<tls::TicketKeys>();
  TlsBackend server_;
};

TEST_F(UpstreamTlsTest, RequestsGoOverTlsAndConnectionsAreKept) {
  start();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(), 200);
  EXPECT_EQ(server_.requests.size(), 3U);
  EXPECT_EQ(server_.ends().size(), 1U) << "tickets that come behind the handshake do not end it";
  EXPECT_EQ(proxy_.metric(Family::kBackendTlsHandshakes, {"secure", "TLSv1.3", "false"}), 1);
  EXPECT_EQ(secure().protocol(), SpokenProtocol::http1) << "as ALPN said";
  EXPECT_EQ(proxy_.metric(Family::kPoolConnectionsCreated, {"http1"}), 1);
}

TEST_F(UpstreamTlsTest, SessionsAreResumed) {
  start();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(ask(), 200);
    server_.ends().back()->io.close();
    run(100ms);
  }
  EXPECT_EQ(proxy_.metric(Family::kBackendTlsHandshakes, {"false"}), 1);
  EXPECT_EQ(proxy_.metric(Family::kBackendTlsHandshakes, {"true"}), 3);
}

TEST_F(UpstreamTlsTest, AlpnTellsOfHttp2) {
  server_.use(serve({.protocols = {"h2"}}));
  start();
  SimClient& client = connect();
  client.get("/");
  run(100ms);
  ASSERT_EQ(server_.ends().size(), 1U);
  EXPECT_TRUE(server_.ends().front()->received.starts_with("PRI * HTTP/2.0"));
  EXPECT_EQ(secure().protocol(), SpokenProtocol::http2);
  EXPECT_EQ(proxy_.metric(Family::kPoolConnectionsCreated, {"http2"}), 1);
  client.close();
}

TEST_F(UpstreamTlsTest, ManyThatWaitAreAllServed) {
  start();
  for (int i = 0; i < 20; ++i) connect().get("/");
  for (int i = 0; i < 20; ++i) {
    run(20ms);
    server_.answer();
  }
  for (auto& client : clients_) {
    ASSERT_EQ(client->answers().size(), 1U);
    EXPECT_EQ(client->answers().front().body, "secure\n");
  }
}

TEST_F(UpstreamTlsTest, WhoIsNotTrustedGetsNoRequest) {
  const tls::TestAuthority stranger("stranger");
  server_.use(
      *tls::ServerContext::make({.certificates = {stranger.issue({.alternative_names = "IP:10.1.9.1"})}}, keys_));
  start();
  SimClient& client = get("/");
  expect_local_reply(client, 502, "upstream_tls_failed");
  EXPECT_EQ(failures("bad_certificate"), 1);
  ASSERT_EQ(proxy_.tls_problems.size(), 1U);
  EXPECT_NE(proxy_.tls_problems.front().find("issuer"), std::string::npos) << proxy_.tls_problems.front();
  // With the wrong name it is no better.
  server_.use(serve({}, "DNS:other.example"));
  expect_local_reply(get("/"), 502, "upstream_tls_failed");
  EXPECT_EQ(failures("bad_certificate"), 2);
  EXPECT_TRUE(server_.requests.empty());
}

TEST_F(UpstreamTlsTest, TheNameToVerifyAndTheVerificationCanBeConfigured) {
  server_.use(serve({}, "DNS:other.example"));
  cluster().tls = trusting({.server_name = "other.example"});
  start();
  EXPECT_EQ(ask(), 200);
  cluster().tls = trusting({.verify = false});
  server_.use(serve({}, "DNS:third.example"));
  proxy_.reload();
  server_.ends().back()->io.close();
  run(100ms);
  EXPECT_EQ(ask(), 200);
}

// What was busy at a reload went on under the old trust for as long as it was never idle, and so did what had only
// begun its handshake.
TEST_F(UpstreamTlsTest, NothingIsSentUnderAnOldTrust) {
  const auto old = cluster().tls;
  const tls::TestAuthority stranger("stranger");
  const auto strict = *tls::ClientContext::make({.ca = stranger.certificate(), .protocols = {"http/1.1"}});
  start();
  SimClient& slow = get("/slow");
  cluster().tls = strict;
  proxy_.reload();
  run(10ms);
  server_.answer();
  run(10ms);
  ASSERT_EQ(slow.answers().size(), 1U);
  EXPECT_EQ(slow.answers().front().status, 200);
  expect_local_reply(get("/"), 502, "upstream_tls_failed");
  EXPECT_EQ(server_.requests.size(), 1U);

  cluster().tls = old;
  proxy_.reload();
  fates_.backend.delay = 20ms;
  SimClient& waits = connect();
  waits.get("/");
  run(60ms);
  ASSERT_EQ(server_.ends().size(), 3U);
  cluster().tls = strict;
  proxy_.reload();
  run(1s);
  expect_local_reply(waits, 502, "upstream_tls_failed");
  EXPECT_EQ(failures("bad_certificate"), 2);
}

TEST_F(UpstreamTlsTest, WhatIsNoTlsIsAFailureThatCanBeTriedElsewhere) {
  // The plain backend "one" stands where TLS is expected, and the secure one beside it.
  auto& members = proxy_.setup.clusters.front().members;
  members.push_back({std::make_shared<Backend>("plain", "https://10.1.0.1:80", backend().address(), 10U), 1, true});
  backend().greeting = {send_bytes("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")};
  cluster().retry.attempts = 2;
  start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(), 200);
  EXPECT_EQ(failures("not_tls"), proxy_.metric(Family::kRetries, {"tls_failed"}));
  EXPECT_GT(failures("not_tls"), 0);
}

TEST_F(UpstreamTlsTest, AFinRightBehindAPartOfAHandshakeIsHeard) {
  proxy_.setup.clusters.front().members = {
      {std::make_shared<Backend>("plain", "https://10.1.0.1:80", backend().address(), 10U), 1, true}};
  backend().greeting = {send_bytes(std::string("\x16\x03\x03\x00\x50\x02", 6)), then(Action::Kind::half_close)};
  start();
  const SimClient& client = get("/");
  run(1s);
  expect_local_reply(client, 502, "upstream_tls_failed");
}

TEST_F(UpstreamTlsTest, ConnectingEndsWithTheHandshake) {
  cluster().timeouts.connect = 2s;
  server_.mute = true;
  start();
  SimClient& client = get("/");
  run(1500ms);
  EXPECT_TRUE(client.answers().empty());
  run(1s);
  expect_local_reply(client, 504, "connect_timeout");
}

TEST_F(UpstreamTlsTest, ACertificateOfOurOwnIsShown) {
  const tls::TestAuthority staff("staff");
  server_.use(serve({.client_ca = staff.certificate()}));
  cluster().tls = trusting({.identity = staff.issue({.common_name = "weir"})});
  start();
  EXPECT_EQ(ask(), 200);
  ASSERT_NE(server_.ends().front()->io.secure_layer()->peer_certificate(), nullptr);
  EXPECT_EQ(server_.ends().front()->io.secure_layer()->peer_certificate()->subject, "CN=weir");
}

class BugsOfUpstreamTls : public UpstreamTlsTest {};

// Whatever came on an idle connection was read, faster than which it could be sent.
TEST_F(BugsOfUpstreamTls, Case158AnIdleConnectionWhoseKeysChangeWithoutEndIsClosed) {
  start();
  EXPECT_EQ(ask(), 200);
  EXPECT_EQ(proxy_.metric(Family::kPoolConnections), 1);
  tls::End& end = *server_.ends().front();
  SSL* ssl = static_cast<const tls::Layer*>(end.io.secure_layer())->ssl();
  const auto update_keys = [&](int times) {
    SSL_set_info_callback(ssl, nullptr);
    for (int i = 0; i < times; ++i) {
      ASSERT_EQ(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
      ASSERT_EQ(SSL_do_handshake(ssl), 1);
    }
    end.send("");
    run(100ms);
  };
  update_keys(3);
  EXPECT_EQ(ask(), 200);
  EXPECT_EQ(server_.ends().size(), 1U);
  update_keys(10'000);
  EXPECT_EQ(proxy_.metric(Family::kPoolConnections), 0);
  EXPECT_EQ(ask(), 200);
  EXPECT_EQ(server_.ends().size(), 2U);
}

}  // namespace
}  // namespace weir::sim
