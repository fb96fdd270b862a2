// PROXY headers towards backends: whose connection it is, and that nobody else's requests go over it.

#include <gmock/gmock.h>

#include <set>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

using observe::Family;

class ToldBackend : public OverWires {
 protected:
  explicit ToldBackend(SimProxy::Options options = {}) : OverWires(options) {
    cluster().proxy_protocol = ProxyVersion::v2;
    backend().expects_proxy_header = true;
    outside_.set_ip("10.9.9.9");
  }

  SimClient& get_from(std::string_view ip) {
    outside_.set_ip(ip);
    return get("/");
  }
  const BackendConnection& connection(std::size_t number) { return *backend().connections().at(number); }
};

TEST_P(ToldBackend, AConnectionBeginsWithTheEndsOfTheClients) {
  start();
  SimClient& client = get("/");
  EXPECT_EQ(client.answers().at(0).status, 200);
  ASSERT_EQ(backend().connections().size(), 1U);
  const ProxiedEnds ends = connection(0).proxied().value();
  EXPECT_TRUE(ends.known);
  EXPECT_EQ(ends.source, *IpAddress::parse("10.9.9.9"));
  EXPECT_EQ(ends.destination, kProxy.ip);
  EXPECT_EQ(ends.destination_port, kProxy.port);
  EXPECT_GT(ends.source_port, 0);
}

TEST_P(ToldBackend, TheLineOfVersion1SaysTheSame) {
  cluster().proxy_protocol = ProxyVersion::v1;
  start();
  EXPECT_EQ(get("/").answers().at(0).status, 200);
  const ProxiedEnds ends = connection(0).proxied().value();
  EXPECT_EQ(ends.source, *IpAddress::parse("10.9.9.9"));
  EXPECT_EQ(ends.destination, kProxy.ip);
}

TEST_P(ToldBackend, AClientKeepsItsConnection) {
  start();
  SimClient& client = get("/");
  client.get("/");
  run(100ms);
  EXPECT_EQ(client.answer_count(), 2U);
  EXPECT_EQ(backend().connections().size(), 1U);
  EXPECT_EQ(proxy_.metric(Family::kPoolConnections, {"one", to_http1() ? "http1" : "http2", "idle"}), 1);
}

TEST_P(ToldBackend, NoClientGetsAnothersConnection) {
  start();
  SimClient& first = get_from("10.9.9.1");
  SimClient& second = get_from("10.9.9.2");
  // A second connection of the same client is another one too: its port is.
  get_from("10.9.9.2");
  first.get("/");
  second.get("/");
  run(100ms);
  ASSERT_EQ(backend().connections().size(), 3U);
  EXPECT_EQ(connection(0).proxied()->source, *IpAddress::parse("10.9.9.1"));
  EXPECT_EQ(connection(1).proxied()->source, *IpAddress::parse("10.9.9.2"));
  EXPECT_EQ(connection(2).proxied()->source, *IpAddress::parse("10.9.9.2"));
  EXPECT_NE(connection(1).proxied()->source_port, connection(2).proxied()->source_port);
  EXPECT_EQ(connection(0).requests(), 2U);
  EXPECT_EQ(connection(1).requests(), 2U);
  EXPECT_EQ(connection(2).requests(), 1U);
}

TEST_P(ToldBackend, ItClosesWithTheClient) {
  start();
  SimClient& client = get("/");
  SimClient& other = get("/");
  EXPECT_EQ(backend().open_connections(), 2U);
  client.close();
  run(100ms);
  EXPECT_EQ(backend().open_connections(), 1U);
  EXPECT_TRUE(connection(0).ended());
  other.get("/");
  run(100ms);
  EXPECT_EQ(other.answer_count(), 2U);
}

TEST_P(ToldBackend, AClientThatLeavesInTheMiddleTakesItAlong) {
  backend().on("/", Script{wait_for(1h)});
  start();
  SimClient& client = connect();
  client.get("/");
  run(100ms);
  EXPECT_EQ(proxy_.leases_out(), 1U);
  client.reset();
  run(100ms);
  EXPECT_EQ(proxy_.leases_out(), 0U);
  EXPECT_EQ(backend().open_connections(), 0U);
}

TEST_P(ToldBackend, AClientThatLeavesWhileItIsMadeLeavesNothing) {
  fates_.backend.blackhole = true;
  start();
  SimClient& client = connect();
  client.get("/");
  run(100ms);
  client.reset();
  run(100ms);
  EXPECT_EQ(proxy_.setup.clusters.front().members.front().backend->connections(), 0U);
}

TEST_P(ToldBackend, AHeaderMayGoOutInPieces) {
  fates_.backend.to_listener.short_writes = true;
  fates_.backend.to_listener.drip_bytes = 3;
  fates_.backend.to_listener.drip_interval = 1ms;
  fates_.backend.send_buffer_bytes = 5;
  start();
  SimClient& client = connect();
  client.get("/");
  run(3s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers().at(0).status, 200);
  EXPECT_EQ(connection(0).proxied()->source, *IpAddress::parse("10.9.9.9"));
}

TEST_P(ToldBackend, ABackendThatTakesNoHeaderIsTimedOut) {
  fates_.backend.send_buffer_bytes = 5;
  backend().accepts_without_reading = true;
  cluster().timeouts.connect = 2s;
  cluster().retry.attempts = 1;
  start();
  SimClient& client = connect();
  client.get("/");
  run(1900ms);
  EXPECT_EQ(client.answer_count(), 0U);
  run(200ms);
  expect_local_reply(client, 504, "connect_timeout");
}

TEST_P(ToldBackend, AResetInsideTheHeaderIsAFailureToConnect) {
  fates_.backend.to_listener.reset_after_bytes = 4;
  add_backend("two").expects_proxy_header = true;
  fates_.to_address[backend(1).address()] = {};
  start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(get("/").answers().at(0).status, 200) << i;
  EXPECT_EQ(backend(1).requests().size(), 4U);
}

TEST_P(ToldBackend, WhatIsIdleForAnotherMakesRoom) {
  proxy_.setup.clusters.front().members.front().backend->set_max_connections(1);
  start();
  SimClient& first = get_from("10.9.9.1");
  SimClient& second = get_from("10.9.9.2");
  EXPECT_EQ(second.answers().at(0).status, 200);
  EXPECT_EQ(backend().open_connections(), 1U);
  first.get("/");
  run(100ms);
  ASSERT_EQ(first.answer_count(), 2U);
  EXPECT_EQ(first.answers().at(1).status, 200);
  EXPECT_EQ(backend().connections().size(), 3U);
  EXPECT_EQ(connection(2).proxied()->source, *IpAddress::parse("10.9.9.1"));
}

TEST_P(ToldBackend, WhatIsBusyDoesNot) {
  proxy_.setup.clusters.front().members.front().backend->set_max_connections(1);
  backend().on("/slow", Script{wait_for(1s), send_bytes(response("late"))});
  start();
  SimClient& slow = connect();
  slow.get("/slow");
  run(100ms);
  SimClient& second = get("/");
  expect_local_reply(second, 503, "overloaded");
  run(1s);
  EXPECT_EQ(slow.answers().at(0).body, "late");
}

TEST_P(ToldBackend, WhatAProxyBeforeThisOneToldGoesOn) {
  listener().proxy_protocol = true;
  clients_speak_ = Protocol::http1;
  start();
  SimClient& client = connect();
  client.send("PROXY TCP4 192.0.2.7 192.0.2.80 40000 8080\r\n");
  client.get("/");
  run(100ms);
  EXPECT_EQ(client.answers().at(0).status, 200);
  const ProxiedEnds ends = connection(0).proxied().value();
  EXPECT_EQ(ends.source, *IpAddress::parse("192.0.2.7"));
  EXPECT_EQ(ends.source_port, 40000);
  EXPECT_EQ(ends.destination, *IpAddress::parse("192.0.2.80"));
  EXPECT_EQ(ends.destination_port, 8080);
}

TEST_P(ToldBackend, AReloadBeginsAndEndsIt) {
  cluster().proxy_protocol.reset();
  backend().expects_proxy_header = false;
  start();
  SimClient& client = get("/");
  cluster().proxy_protocol = ProxyVersion::v1;
  backend().expects_proxy_header = true;
  proxy_.reload();
  run(10ms);
  EXPECT_EQ(backend().open_connections(), 0U);
  client.get("/");
  run(100ms);
  ASSERT_EQ(client.answer_count(), 2U);
  EXPECT_TRUE(connection(1).proxied());
  cluster().proxy_protocol.reset();
  backend().expects_proxy_header = false;
  proxy_.reload();
  run(10ms);
  EXPECT_EQ(backend().open_connections(), 0U);
  client.get("/");
  run(100ms);
  ASSERT_EQ(client.answer_count(), 3U);
  EXPECT_EQ(client.answers().at(2).status, 200);
  // And once more, for a client that has had a pool already.
  cluster().proxy_protocol = ProxyVersion::v2;
  backend().expects_proxy_header = true;
  proxy_.reload();
  run(10ms);
  client.get("/");
  run(100ms);
  ASSERT_EQ(client.answer_count(), 4U);
  EXPECT_EQ(client.answers().at(3).status, 200);
}

TEST_P(ToldBackend, WhatRunsOverAChangeFinishes) {
  backend().on("/slow", Script{wait_for(1s), send_bytes(response("late"))});
  start();
  SimClient& client = connect();
  client.get("/slow");
  run(100ms);
  cluster().proxy_protocol = ProxyVersion::v1;
  proxy_.reload();
  run(2s);
  EXPECT_EQ(client.answers().at(0).body, "late");
  EXPECT_EQ(backend().open_connections(), 0U);
}

TEST_P(ToldBackend, ABackendThatLeavesTheClusterIsLetGo) {
  add_backend("two").expects_proxy_header = true;
  start();
  SimClient& client = get("/");
  client.get("/");
  run(100ms);
  EXPECT_EQ(backend(0).open_connections() + backend(1).open_connections(), 2U);
  proxy_.setup.clusters.front().members.pop_back();
  proxy_.update_members("app");
  run(100ms);
  EXPECT_EQ(backend(1).open_connections(), 0U);
  client.get("/");
  run(100ms);
  EXPECT_EQ(client.answer_count(), 3U);
}

TEST_P(ToldBackend, AnUnusableBackendKeepsNothing) {
  start();
  get("/");
  proxy_.setup.clusters.front().members.front().usable = false;
  proxy_.update_member("app", 0);
  run(100ms);
  EXPECT_EQ(backend().open_connections(), 0U);
}

TEST_P(ToldBackend, StreamsOfOneClientShareItsPool) {
  if (from_http1()) return;
  start();
  SimH2Client& client = connect_h2();
  for (int i = 0; i < 5; ++i) client.get("/");
  run(100ms);
  EXPECT_EQ(client.complete_answers(), 5U);
  std::set<std::uint16_t> ports;
  for (const auto& one : backend().connections()) ports.insert(one->proxied()->source_port);
  EXPECT_EQ(ports.size(), 1U);
}

WEIR_OVER_ALL_WIRES(ToldBackend);

class ToldByWorkers : public SimTest {
 protected:
  ToldByWorkers() : SimTest({.workers = 2}) {
    cluster().proxy_protocol = ProxyVersion::v2;
    backend().expects_proxy_header = true;
    proxy_.setup.clusters.front().members.front().backend->set_max_connections(2);
  }
};

// Two clients per worker, two connections in all: each makes room for the next, on its own worker or on the other.
TEST_F(ToldByWorkers, IdleConnectionsOfOtherWorkersMakeRoom) {
  start();
  std::vector<SimClient*> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(&connect());
  run(10ms);
  for (int round = 1; round <= 3; ++round) {
    for (SimClient* client : clients) {
      client->get("/");
      run(10ms);
      ASSERT_EQ(client->answer_count(), static_cast<std::size_t>(round));
      EXPECT_EQ(client->answers().back().status, 200);
    }
  }
  EXPECT_LE(backend().open_connections(), 2U);
}

TEST_F(ToldByWorkers, ManyThatWaitAreAllAnswered) {
  backend().on("/", Script{wait_for(5ms), send_bytes(response("hello"))});
  start();
  std::vector<SimClient*> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(&connect());
    clients.back()->get("/");
  }
  run(1s);
  int served = 0;
  for (SimClient* client : clients) {
    ASSERT_EQ(client->answer_count(), 1U);
    served += client->answers().back().status == 200 ? 1 : 0;
  }
  EXPECT_GE(served, 2);
}

class UnixListener : public SimTest {};

TEST_F(UnixListener, AClientWithoutAnAddressIsNobody) {
  cluster().proxy_protocol = ProxyVersion::v2;
  backend().expects_proxy_header = true;
  const SocketAddress path = *SocketAddress::parse("unix:/run/weir.sock");
  listener().address = path;
  start();
  clients_.push_back(std::make_unique<SimClient>(outside_, path));
  clients_.back()->get("/");
  run(100ms);
  EXPECT_EQ(clients_.back()->answers().at(0).status, 200);
  EXPECT_FALSE(backend().connections().at(0)->proxied()->known);
}

// The pool of a client's own is asked to close what is idle while its connection is being closed.
TEST_F(BugsOfHttp2, Case051AConnectionThatIsLostIsNotClosedTwice) {
  cluster().proxy_protocol = ProxyVersion::v2;
  backend().expects_proxy_header = true;
  speak_http2(0);
  backend().on("/", Script{send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"), wait_for(10ms),
                           then(Action::Kind::reset)});
  start();
  SimClient& client = get("/");
  EXPECT_EQ(client.answer_count(), 0U);
  EXPECT_TRUE(broken_off(client));
  EXPECT_EQ(proxy_.metric(Family::kPoolConnections), 0);
  EXPECT_TRUE(broken_off(get("/")));
}

}  // namespace
}  // namespace weir::sim
