// What filters, routes and versions of HTTP do to a message on its way.

#include <gmock/gmock.h>

#include "filters/header_filter.h"
#include "sim/bugs.h"

namespace weir::sim {
namespace {

using observe::Family;

filters::FilterChain chain_of(filters::Direction direction, const filters::HeaderRules& rules) {
  return filters::FilterChain({std::make_shared<const filters::HeaderFilter>(direction, rules)});
}

// `request_headers: {set: {host: …}}` changed what the client had asked for, not only what the backend is told: the
// access log named the host that was set, and a redirect led there.
TEST_P(Bugs, Case098AHostThatIsSetIsTheBackendsAlone) {
  const auto chain = chain_of(filters::Direction::request, {{}, {{"host", "app.internal"}}, {}});
  auto& moved = proxy_.setup.add_route("moved", "", "/old");
  moved.redirect = proxy::Redirect{};
  moved.redirect->scheme = "https";
  moved.filters = chain;
  proxy_.setup.routes.front()->filters = chain;
  std::swap(proxy_.setup.routes[0], proxy_.setup.routes[1]);
  start();
  SimClient& client = get("/old/x");
  EXPECT_EQ(client.answers().at(0).field("location"), "https://example.com/old/x");
  client.get("/");
  run(100ms);
  ASSERT_EQ(client.answer_count(), 2U);
  ASSERT_EQ(backend().requests().size(), 1U);
  EXPECT_EQ(backend().requests()[0].field("host"), "app.internal");
  EXPECT_EQ(backend().requests()[0].count("host"), 1U);
  EXPECT_EQ(backend().requests()[0].field("x-forwarded-host"), "example.com");
  EXPECT_EQ(last_log("host"), "example.com");
  if (!from_http1()) return;
  SimClient& absolute = connect();
  absolute.raw("GET http://shop.example/ HTTP/1.1\r\nHost: other\r\n\r\n");
  run(100ms);
  ASSERT_EQ(backend().requests().size(), 2U);
  EXPECT_EQ(backend().requests()[1].field("host"), "app.internal");
  EXPECT_EQ(backend().requests()[1].count("host"), 1U);
  EXPECT_EQ(last_log("host"), "shop.example");
}

// Fields that Weir adds itself were added behind the route's filters and fields, where Weir answers itself.
TEST_P(Bugs, Case099ConfiguredFieldsHaveTheLastWordOnAnswersOfRoutesToo) {
  const auto chain = chain_of(filters::Direction::response, {{"date"}, {{"x-request-id", "set"}}, {}});
  auto& moved = proxy_.setup.add_route("moved", "", "/old");
  moved.redirect = proxy::Redirect{};
  moved.redirect->scheme = "https";
  moved.filters = chain;
  proxy_.setup.add_route("said", "", "/said").respond = proxy::Respond{
      407, "who are you", {{"proxy-authenticate", "Basic realm=x"}, {"x-request-id", "said"}, {"date", "never"}}};
  std::swap(proxy_.setup.routes[0], proxy_.setup.routes[2]);
  start();
  SimClient& client = get("/old/x");
  const Message& redirect = client.answers().at(0);
  EXPECT_EQ(redirect.count("date"), 0U);
  EXPECT_EQ(redirect.field("x-request-id"), "set");
  EXPECT_EQ(redirect.count("x-request-id"), 1U);
  client.get("/said");
  run(100ms);
  const Message& said = client.answers().at(1);
  EXPECT_EQ(said.body, "who are you");
  EXPECT_EQ(said.field("proxy-authenticate"), "Basic realm=x");
  EXPECT_EQ(said.field("x-request-id"), "said");
  EXPECT_EQ(said.count("x-request-id"), 1U);
  EXPECT_EQ(said.field("date"), "never");
  EXPECT_EQ(said.count("date"), 1U);
}

// Some servers of HTTP/1.1 insist on it (RFC 9110 8.6).
TEST_P(Bugs, Case113APostWithoutABodySaysSo) {
  if (from_http1()) return;
  start();
  for (const std::string_view method : {"POST", "PUT", "PATCH", "DELETE"}) {
    SimClient& client = connect();
    client.request(method, "/");
    run(100ms);
    ASSERT_EQ(client.answer_count(), 1U) << method;
    EXPECT_EQ(client.answers()[0].status, 200);
    EXPECT_EQ(backend().requests().back().field("content-length"), method == "DELETE" ? "" : "0") << method;
  }
}

std::string upgrade_to(std::string_view target, std::string_view more = {}) {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         std::string(more) + "\r\n";
}

// The length of an upgrade's absent body went into an extended CONNECT, where DATA follow; and one in the answer to it
// ended the tunnel.
TEST_P(Bugs, Case110AWebSocketHasNoLength) {
  if (to_http1()) return;
  std::optional<std::size_t> lengths;
  backend().on("/chat", Handler{{}, [&](const Message& request) {
                                  lengths = request.count("content-length");
                                  std::string accepted = switching(request);
                                  accepted.insert(accepted.find("\r\n") + 2, "Content-Length: 2\r\n");
                                  return Script{send_bytes(accepted), send_bytes("hello"), then(Action::Kind::tunnel)};
                                }});
  start();
  SimClient& client = connect();
  client.raw(upgrade_to("/chat", from_http1() ? "Content-Length: 0\r\n" : ""));
  run(100ms);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].status, 101);
  EXPECT_EQ(client.answers()[0].count("content-length"), 0U);
  EXPECT_EQ(lengths, 0U);
  EXPECT_EQ(client.reader().tunnel, "hello");
}

// What is a GET where HTTP/1.1 is spoken was tried again for a client of HTTP/1.1, and not for one of HTTP/2, which
// says CONNECT.
TEST_P(Bugs, Case116AWebSocketIsTriedAgainWhateverItsClientSpeaks) {
  if (!to_http1()) return;
  int upgrades = 0;
  backend().on("/chat", Handler{{}, [&](const Message& request) {
                                  if (++upgrades == 1) return Script{then(Action::Kind::reset)};
                                  return Script{send_bytes(switching(request)), then(Action::Kind::tunnel)};
                                }});
  start();
  SimClient& client = connect();
  client.raw(upgrade_to("/chat"));
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].status, 101);
  EXPECT_EQ(upgrades, 2);
}

// An old connection made room for a successor that `max_connections` did not allow: as long as one stream of it went
// on, everybody else was refused.
TEST_P(Bugs, Case107AnOldConnectionGoesOnWhereThereIsNoRoomForAnother) {
  if (to_http1()) return;
  proxy_.setup.clusters.front().members.front().backend->set_max_connections(1);
  cluster().timeouts.request = cluster().timeouts.stream_idle = kForever;
  backend().on("/slow", Script{wait_for(3h), send_bytes(response("late"))});
  start();
  SimClient& slow = connect();
  slow.get("/slow");
  run(90min);
  SimClient& client = get("/");
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 200);
  run(2h);
  ASSERT_EQ(slow.answer_count(), 1U);
  EXPECT_EQ(slow.answers()[0].body, "late");
  // Now it can go.
  EXPECT_EQ(get("/").answers().at(0).status, 200);
  EXPECT_EQ(backend().connections().size(), 2U);
}

// A connection that idled in HTTP/2 stood in the way of one for a WebSocket, which needs HTTP/1.1 there.
TEST_P(Bugs, Case117AnIdleHttp2ConnectionMakesRoomForATunnel) {
  if (to_http1()) return;
  speak_http2(0, {.streams_max = 100, .offers_tunnels = false});
  proxy_.setup.clusters.front().members.front().backend->set_max_connections(1);
  backend().on("/chat", Handler{{}, [](const Message& request) {
                                  return Script{send_bytes(switching(request)), then(Action::Kind::tunnel)};
                                }});
  start();
  get("/");
  backend().http2.reset();  // what comes now finds HTTP/1.1
  SimClient& client = connect();
  client.raw(upgrade_to("/chat"));
  run(100ms);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].status, 101);
}

// A port or a place in a unix socket's queue that is missing towards one backend is not missing towards the others.
TEST_P(Bugs, Case142AnotherBackendIsTakenWhereOneCannotBeConnectedTo) {
  cluster().retry.attempts = 1;
  SimBackend& other = add_backend("two");
  start();
  for (const int error : {EADDRNOTAVAIL, ENOBUFS, EAGAIN}) {
    LinkPlan& plan = fates_.to_address[backend().address()];
    plan = fates_.backend;
    plan.connect_errno = error;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(get("/").answers().at(0).status, 200);
  }
  EXPECT_EQ(backend().heads(), 0U);
  EXPECT_EQ(other.heads(), 12U);
  EXPECT_TRUE(proxy_.connect_failures.empty());
}

// The log had no client for a head that was refused. What such a head says of who sent it is not believed.
TEST_P(Bugs, Case164WhoseHeadIsRefusedIsNamedInTheLog) {
  listener().trusted_proxies = {*Cidr::parse("192.0.2.0/24")};
  listener().head_limits = {.header_bytes = 300, .headers = 20, .uri_bytes = 50};
  start();
  for (const char* more : {"", "X-Forwarded-For: 1.2.3.4\r\n"}) {
    get("/" + std::string(50, 'u'), more);
    EXPECT_EQ(last_log("reason"), "uri_too_long");
    EXPECT_EQ(last_log("client"), "192.0.2.1");
    get("/", more + ("X-Large: " + std::string(400, 'h') + "\r\n"));
    EXPECT_EQ(last_log("reason"), "headers_too_large");
    EXPECT_EQ(last_log("client"), "192.0.2.1");
    get("/\x7f", more);
    EXPECT_EQ(last_log("reason"), "bad_request");
    EXPECT_EQ(last_log("client"), "192.0.2.1");
  }
}

// A listener is heard of by one worker after the other, and the first hands connections to the last.
TEST_P(BugsOfWorkers, Case143AConnectionComesBeforeTheNewsOfItsListener) {
  proxy_.reload_lag = 10ms;
  proxy_.start();
  for (int i = 0; i < 8; ++i) connect().get("/");
  run(5ms);
  EXPECT_GT(proxy_.hand_overs, 0U);
  run(1s);
  for (const auto& client : clients_) {
    ASSERT_EQ(client->answer_count(), 1U) << client->reader().error();
    EXPECT_EQ(client->answers()[0].status, 200);
  }
}

// Many changes at once come to a worker as a new list.
TEST_P(Bugs, Case147WhatAListMakesUnusableKeepsItsIdleConnections) {
  start();
  EXPECT_EQ(get("/").answers().at(0).status, 200);
  ASSERT_EQ(backend().connections().size(), 1U);
  EXPECT_FALSE(backend().connections()[0]->ended());
  proxy_.setup.clusters.front().members.front().usable = false;
  proxy_.update_members("app");
  run(10ms);
  EXPECT_TRUE(backend().connections()[0]->ended());
}

}  // namespace
}  // namespace weir::sim
