// TLS towards clients, with HTTP/1.1 in it.
#include <fmt/format.h>

#include "sim/fixture.h"
#include "tls/pair_fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

class TlsTest : public SimTest {
 protected:
  explicit TlsTest(SimProxy::Options options = {}) : SimTest(options) {
    world_.add_loop(loop_);
    listener().tls = serve({});
  }
  ~TlsTest() override {
    ends_.clear();
    world_.remove_loop(loop_);
  }

  std::shared_ptr<const tls::ServerContext> serve(tls::ServerOptions options) {
    options.certificates.push_back(authority_.issue({.alternative_names = "DNS:example.com"}));
    options.protocols = {"h2", "http/1.1"};
    return *tls::ServerContext::make(options, keys_);
  }
  std::shared_ptr<const tls::ClientContext> trusting(tls::ClientOptions options) {
    options.ca = authority_.certificate();
    return *tls::ClientContext::make(options);
  }

  tls::End& open(const std::shared_ptr<const tls::ClientContext>& context, tls::SessionSlot* slot = nullptr) {
    ends_.push_back(std::make_unique<tls::End>(loop_));
    ends_.back()->open(*engine_.connect(kProxy), context->connect(loop_.buffers(), "example.com", slot));
    return *ends_.back();
  }
  tls::End& open() { return open(trusting({})); }
  tls::End& opened() {
    tls::End& end = open();
    run(100ms);
    EXPECT_TRUE(end.secured);
    return end;
  }
  void close_all() {
    for (auto& end : ends_) end->io.close();
    run(1s);
  }
  static std::string request(std::string_view target, std::string_view more = {}) {
    return fmt::format("GET {} HTTP/1.1\r\nHost: example.com\r\n{}\r\n", target, more);
  }
  std::int64_t failures(std::string_view reason) { return proxy_.metric(Family::kTlsHandshakeFailures, {reason}); }

  DescriptorBudget budget_{100'000, 0};
  SimEngine engine_{world_, budget_, "tls clients", *IpAddress::parse("192.0.2.9")};
  EventLoop loop_{engine_, 7};
  tls::TestAuthority authority_{"root"};
  std::shared_ptr<tls::TicketKeys> keys_ = std::make_shared<tls::TicketKeys>();
  std::vector<std::unique_ptr<tls::End>> ends_;
};

TEST_F(TlsTest, RequestsAreAnsweredAndTheBackendIsToldOfTheScheme) {
  start();
  tls::End& client = opened();
  for (std::size_t i = 1; i <= 3; ++i) {
    client.received.clear();
    client.send(request("/", "Client-Cert: :forged:\r\nX-Client-Cert-Subject: CN=root\r\n"));
    run(100ms);
    EXPECT_TRUE(client.received.starts_with("HTTP/1.1 200 OK\r\n")) << client.received;
    ASSERT_EQ(backend().requests().size(), i);
    EXPECT_EQ(backend().requests().back().field("x-forwarded-proto"), "https");
    EXPECT_EQ(backend().requests().back().field("client-cert"), "");
    EXPECT_EQ(backend().requests().back().field("x-client-cert-subject"), "");
  }
  EXPECT_EQ(proxy_.metric(Family::kTlsHandshakes, {"TLSv1.3", "false"}), 1);
  EXPECT_GT(proxy_.metric(Family::kBytes, {"sent"}), static_cast<std::int64_t>(client.received.size()));
  close_all();
}

TEST_F(TlsTest, LargeBodiesGoBothWays) {
  std::string body(1'000'000, 'b');
  backend().on("/large", fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  start();
  tls::End& client = opened();
  client.send(
      fmt::format("POST /large HTTP/1.1\r\nHost: example.com\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  run(20s);
  EXPECT_TRUE(client.received.ends_with(body));
  ASSERT_EQ(backend().requests().size(), 1U);
  EXPECT_EQ(backend().requests().front().body, body);
  close_all();
}

TEST_F(TlsTest, AlpnChoosesTheProtocol) {
  start();
  for (const std::string_view protocol : {"http/1.1", "h2"}) {
    tls::End& client = open(trusting({.protocols = {std::string(protocol)}}));
    run(100ms);
    ASSERT_TRUE(client.secured) << protocol;
    EXPECT_EQ(client.io.secure_layer()->protocol(), protocol);
    run(100ms);
    // An HTTP/2 server speaks first: its SETTINGS.
    const bool settings = client.received.size() > 9 && client.received[3] == 4;
    EXPECT_EQ(settings, protocol == "h2");
  }
  tls::End& other = open(trusting({.protocols = {"h3"}}));
  run(100ms);
  EXPECT_TRUE(other.failed);
  EXPECT_EQ(failures("no_application_protocol"), 1);
  close_all();
}

TEST_F(TlsTest, WhatIsNoTlsIsRefused) {
  start();
  SimClient& client = connect();
  client.raw("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
  run(3s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(failures("not_tls"), 1);
  SimClient& garbage = connect();
  garbage.raw(std::string(5000, '\x16'));
  run(3s);
  EXPECT_TRUE(garbage.ended());
  EXPECT_EQ(proxy_.metric(Family::kTlsHandshakeFailures), 2);
  EXPECT_EQ(proxy_.connections(), 0U);
}

TEST_F(TlsTest, ASilentOrDrippingClientHasUntilTheHandshakesTimeout) {
  listener().handshake_timeout = 5s;
  start();
  SimClient& silent = connect();
  SimClient& dripping = connect();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(silent.ended() || dripping.ended(), i > 5) << i;
    dripping.raw(i == 0 ? std::string_view("\x16\x03\x01\x02", 4) : "\x01");
    run(900ms);
  }
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(dripping.ended());
  EXPECT_EQ(failures("timeout"), 1) << "who never said a word is no failure";
}

TEST_F(TlsTest, AClientThatLeavesInItsHandshakeIsForgotten) {
  start();
  SimClient& client = connect();
  client.raw(std::string_view("\x16\x03\x01\x02\x00\x01", 6));
  run(100ms);
  client.close();
  run(1s);
  EXPECT_EQ(failures("closed"), 1);
  EXPECT_EQ(proxy_.connections(), 0U);
}

// The FIN had come with the bytes: nothing told of it a second time, and its place was taken until the timeout.
TEST_F(TlsTest, AFinRightBehindAPartOfAHandshakeIsHeard) {
  start();
  SimClient& client = connect();
  client.raw(std::string_view("\x16\x03\x01\x02\x00\x01", 6));
  client.half_close();
  run(1s);
  EXPECT_EQ(failures("closed"), 1);
  EXPECT_EQ(proxy_.connections(), 0U);
}

TEST_F(TlsTest, AboveTheLimitTheConnectionIsJustClosed) {
  listener().max_connections = 1;
  start();
  opened();
  SimClient& second = connect();
  run(100ms);
  EXPECT_TRUE(second.ended());
  EXPECT_EQ(second.received(), "");
  EXPECT_EQ(proxy_.metric(Family::kConnectionsRefused, {"overloaded"}), 1);
  close_all();
}

TEST_F(TlsTest, AVerifiedCertificateGoesOnToTheBackend) {
  const tls::TestAuthority staff("staff");
  listener().tls = serve({.client_ca = staff.certificate()});
  start();
  tls::End& nobody = open();
  run(100ms);
  nobody.send(request("/"));
  run(2s);
  EXPECT_EQ(failures("no_certificate"), 1);
  tls::End& client =
      open(trusting({.identity = staff.issue({.common_name = "alice", .alternative_names = "DNS:alice.example"})}));
  run(100ms);
  client.send(request("/", "X-Client-Cert-Subject: CN=mallory\r\n"));
  run(100ms);
  ASSERT_EQ(backend().requests().size(), 1U);
  const Message& seen = backend().requests().front();
  EXPECT_EQ(seen.field("x-client-cert-subject"), "CN=alice");
  EXPECT_EQ(seen.field("x-client-cert-san"), "DNS:alice.example");
  EXPECT_EQ(seen.field("x-client-cert-fingerprint").size(), 64U);
  EXPECT_TRUE(seen.field("client-cert").starts_with(":MII"));
  close_all();
}

class BugsOfRoutes : public TlsTest {};

// Routes compared with what clients said of themselves, which is not believed, and never with what Weir says instead.
TEST_F(BugsOfRoutes, Case085RoutesSeeTheFieldsThatBackendsWillSee) {
  const tls::TestAuthority staff("staff");
  listener().tls = serve({.client_ca = staff.certificate(), .client_auth = tls::ClientAuth::optional});
  proxy_.setup.routes.clear();
  const auto respond = [&](std::string name, std::string value, std::string body) {
    proxy::Route& made = proxy_.setup.add_route(body, "");
    made.match.headers = {{std::move(name), std::move(value)}};
    made.respond = proxy::Respond{};
    made.respond->body = body;
  };
  respond("X-Client-Cert-Subject", "CN=alice", "known");
  respond("X-Client-Cert-Subject", "CN=mallory", "forged");
  respond("x-forwarded-proto", "http", "clear");
  respond("x-forwarded-proto", "https", "encrypted");
  proxy_.setup.add_listener("clear", "10.0.0.1:81");
  start();
  const std::string_view forged =
      "X-Client-Cert-Subject: CN=alice\r\nX-Client-Cert-Subject: CN=mallory\r\nX-Forwarded-Proto: http\r\n";
  tls::End& nobody = opened();
  nobody.send(request("/", forged));
  run(100ms);
  EXPECT_TRUE(nobody.received.ends_with("\r\nencrypted")) << nobody.received;
  tls::End& alice = open(trusting({.identity = staff.issue({.common_name = "alice"})}));
  run(100ms);
  alice.send(request("/", "X-Client-Cert-Subject: CN=mallory\r\nConnection: X-Client-Cert-Subject\r\n"));
  run(100ms);
  EXPECT_TRUE(alice.received.ends_with("\r\nknown")) << alice.received;
  SimClient& clear = connect_to(*SocketAddress::parse("10.0.0.1:81"));
  clear.request("GET", "/", "X-Forwarded-Proto: https\r\n");
  run(100ms);
  ASSERT_EQ(clear.answer_count(), 1U);
  EXPECT_EQ(clear.answers()[0].body, "clear");
  close_all();
}

TEST_F(TlsTest, ManyHandshakesAtOnceAreAllSeenThrough) {
  start();
  const auto context = trusting({});
  for (int i = 0; i < 100; ++i) open(context).send("");
  run(1s);
  for (auto& end : ends_) end->send(request("/"));
  run(1s);
  for (auto& end : ends_) EXPECT_TRUE(end->received.starts_with("HTTP/1.1 200"));
  EXPECT_EQ(proxy_.metric(Family::kTlsHandshakes), 100);
  close_all();
}

TEST_F(TlsTest, ADrainLetsHandshakesGetTheirAnswer) {
  start();
  tls::End& client = open();
  // The connection is accepted, and in the middle of its handshake.
  ASSERT_TRUE(world_.run_until([&] { return proxy_.connections() == 1; }));
  SimClient& silent = connect();
  ASSERT_TRUE(world_.run_until([&] { return proxy_.connections() == 2; }));
  proxy_.drain(30s);
  ASSERT_TRUE(world_.run_until([&] { return client.secured; }));
  client.send(request("/"));
  run(500ms);
  EXPECT_TRUE(client.received.starts_with("HTTP/1.1 200")) << client.received;
  EXPECT_NE(client.received.find("connection: close"), std::string::npos);
  EXPECT_EQ(client.status, IoStatus::end);
  EXPECT_FALSE(client.io.truncated());
  client.io.close();
  run(2s);
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(proxy_.done());
}

TEST_F(TlsTest, AnIdleConnectionIsClosedWithAGoodbye) {
  listener().idle_timeout = 3s;
  start();
  tls::End& client = opened();
  run(4s);
  EXPECT_EQ(client.status, IoStatus::end);
  EXPECT_FALSE(client.io.truncated());
  close_all();
}

class TlsWorkersTest : public TlsTest {
 protected:
  TlsWorkersTest() : TlsTest({.workers = 4}) {}
};

TEST_F(TlsWorkersTest, SessionsAreResumedByWhicheverWorkerComes) {
  start();
  tls::SessionSlot slot;
  const auto context = trusting({});
  for (int i = 0; i < 40; ++i) {
    tls::End& client = open(context, &slot);
    run(100ms);
    ASSERT_TRUE(client.secured);
    client.io.close();
    run(10ms);
  }
  EXPECT_EQ(proxy_.metric(Family::kTlsHandshakes, {"false"}), 1);
  EXPECT_EQ(proxy_.metric(Family::kTlsHandshakes, {"true"}), 39);
}

}  // namespace
}  // namespace weir::sim
