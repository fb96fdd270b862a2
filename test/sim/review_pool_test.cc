// Upstream connections that end at a bad moment.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

WEIR_OVER_ALL_WIRES(Bugs);
WEIR_OVER_ALL_WIRES(Review);
WEIR_OVER_ALL_WIRES(BugsOfWorkers);

// A backend that accepts and closes at once: the closed connection was replaced by a new one, again and again, until
// the request's time was up.
TEST_P(Bugs, Case013ABackendThatClosesEachNewConnectionIsNotConnectedToForEver) {
  for (const auto kind : {Action::Kind::close, Action::Kind::reset, Action::Kind::half_close}) {
    backend().greeting = {then(kind)};
    if (kind == Action::Kind::close) start();
    const std::size_t before = backend().connections().size();
    SimClient& client = connect();
    client.get("/");
    run(2s);
    ASSERT_EQ(client.answer_count(), 1U) << static_cast<int>(kind);
    EXPECT_EQ(client.answers()[0].status, 502);
    EXPECT_LE(backend().connections().size() - before, 3U);
    EXPECT_EQ(last_log("attempts"), "2");
  }
}

// The backend left its cluster while a request waited for a connection to it: nothing is kept, so what had been
// connected was closed, and connected anew.
TEST_P(Bugs, Case014ARequestThatWaitsForABackendThatLeftGetsItsConnection) {
  fates_.backend.delay = 20ms;
  start();
  SimClient& client = connect();
  client.get("/");
  run(5ms);
  add_backend("two");
  proxy_.setup.clusters.front().members.erase(proxy_.setup.clusters.front().members.begin());
  proxy_.update_members("app");
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 200);
  EXPECT_EQ(backend().connections().size(), 1U);
  EXPECT_EQ(backend().open_connections(), 0U);
}

// The same for a WebSocket: the connection that was made for it was closed, and connected anew; and so was the one
// whose SETTINGS it waited for.
TEST_P(Bugs, Case130AWebSocketThatWaitsForABackendThatLeftGetsItsConnection) {
  if (to_http1()) return;
  fates_.backend.delay = 20ms;
  cluster().retry.attempts = 1;
  backend().on("/chat", Handler{{}, [](const Message& request) {
                                  return Script{send_bytes(switching(request)), then(Action::Kind::tunnel)};
                                }});
  auto& members = proxy_.setup.clusters.front().members;
  const Member left = members.front();
  enum class Known { no_tunnels, nothing, nothing_yet };
  for (const Known known : {Known::no_tunnels, Known::nothing, Known::nothing_yet}) {
    const Backend& was = *left.backend;
    members = {{std::make_shared<Backend>(was.name(), was.url(), was.address(), Backend::kNoLimit), 1, true}};
    speak_http2(0, {.streams_max = 100, .offers_tunnels = false});
    if (known == Known::no_tunnels) members.front().backend->learn_http2(100, false);
    backend().http2_mute = known == Known::nothing_yet ? 500ms : 0ms;
    // What serves the tunnel is HTTP/1.1.
    bool first = true;
    backend().before_connection = [&] {
      if (known == Known::no_tunnels || !std::exchange(first, false)) backend().http2.reset();
    };
    const std::size_t before = backend().connections().size();
    if (before == 0) start();
    proxy_.update_members("app");
    SimClient& client = connect();
    client.raw(
        "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    run(known == Known::nothing_yet ? 300ms : 5ms);
    members.clear();
    proxy_.update_members("app");
    run(2s);
    ASSERT_EQ(client.answer_count(), 1U) << static_cast<int>(known) << client.reader().error();
    EXPECT_EQ(client.answers()[0].status, 101) << static_cast<int>(known);
    EXPECT_EQ(backend().connections().size() - before, known == Known::no_tunnels ? 1U : 2U);
    EXPECT_EQ(backend().open_connections(), 1U);
    client.close();
    run(100ms);
    backend().before_connection = {};
  }
}

TEST_P(Review, IdleTimeOfNothingStillConnects) {
  cluster().timeouts.idle = Duration::zero();
  start();
  SimClient& client = connect();
  client.get("/");
  run(100ms);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 200);
  EXPECT_EQ(backend().connections().size(), 1U);
  EXPECT_EQ(backend().open_connections(), 0U);
}

// An answer that ended just where a read did: what the backend sent behind it was found by nobody, and taken for the
// answer to the next request.
TEST_F(BugsOfHttp1, Case016BytesBehindAnAnswerThatEndsWithTheReadAreFound) {
  // A spliced answer makes the connection read the next head in pieces of 1024 bytes.
  backend().on("/big", response(pattern(1, 200'000)));
  std::string exact = response(std::string(900, 'x'));
  exact = response(std::string(900 + 1024 - exact.size(), 'x'));
  ASSERT_EQ(exact.size(), 1024U);
  backend().on("/exact", exact + response("smuggled"));
  start();
  SimClient& client = connect();
  client.get("/big");
  run(50ms);
  client.raw("GET /exact HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  client.request("GET", "/y");
  run(50ms);
  ASSERT_GE(client.answer_count(), 3U) << client.reader().error();
  EXPECT_EQ(client.answers()[2].body, "hello\n");
}

// A backend was full, of another worker's connections: when that one had none to spare the request was refused,
// although others had room. Only where all connections were the worker's own were they asked.
TEST_P(BugsOfWorkers, Case080AFullBackendOfAnotherWorkerIsPassedOver) {
  cluster().retry.attempts = 1;
  proxy_.setup.clusters.front().members.front().backend->set_max_connections(1);
  add_backend("two");
  backend(0).on("/slow", Script{wait_for(5s), send_bytes(response("late"))});
  start();
  SimClient& first = connect();
  SimClient& second = connect();
  while (backend(0).heads() == 0) {
    first.get("/slow");
    run(50ms);
  }
  const std::size_t before = backend(1).heads();
  for (std::size_t i = 1; i <= 6; ++i) {
    second.get("/");
    run(50ms);
    ASSERT_EQ(second.answer_count(), i);
    EXPECT_EQ(second.answers().back().status, 200) << i;
    EXPECT_EQ(last_log("attempts"), "1");
  }
  EXPECT_EQ(backend(1).heads() - before, 6U);
  EXPECT_GT(proxy_.reclaims, 0U);
  // The full one had no part in them.
  EXPECT_EQ(proxy_.metric(observe::Family::kBackendRequests, {"one"}), 0);
  backend(1).stop_listening();
  for (const auto& connection : backend(1).connections()) connection->reset();
  run(50ms);
  Backend& other = *proxy_.setup.clusters.front().members[1].backend;
  other.set_max_connections(0);
  second.get("/");
  run(50ms);
  expect_local_reply(second, 503, "overloaded");
  EXPECT_EQ(last_log("attempts"), "0");
  run(6s);
  EXPECT_EQ(first.answers().back().body, "late");
}

// After sixteen that were full no other was asked.
TEST_P(Bugs, Case081TheOnlyBackendWithRoomIsFound) {
  proxy_.setup.clusters.front().members.front().backend->set_max_connections(0);
  for (int i = 0; i < 40; ++i) add_backend("b" + std::to_string(i), 1, i == 25 ? Backend::kNoLimit : 0);
  start();
  SimClient& client = connect();
  for (std::size_t i = 1; i <= 20; ++i) {
    client.get("/");
    run(10ms);
    ASSERT_EQ(client.answer_count(), i);
    EXPECT_EQ(client.answers().back().status, 200) << i;
  }
  EXPECT_EQ(backend(26).requests().size(), 20U);
  proxy_.setup.clusters.front().members[26].backend->set_max_connections(0);
  for (const auto& connection : backend(26).connections()) connection->reset();
  run(10ms);
  client.get("/");
  run(10ms);
  expect_local_reply(client, 503, "overloaded");
}

// The access log named a backend that was only full: it is that of the last attempt.
TEST_P(Bugs, Case187WhoIsFullWasNotTried) {
  add_backend("full", 1, 0);
  start();
  backend(1).stop_listening();
  for (int i = 0; i < 4; ++i) {
    SimClient& client = get("/");
    EXPECT_EQ(last_log("backend"), "one");
    EXPECT_EQ(last_log("attempts"), "1");
    ASSERT_EQ(client.answer_count(), 1U);
  }
  for (const auto& connection : backend().connections()) connection->reset();
  backend().stop_listening();
  run(10ms);
  proxy_.setup.clusters.front().members.front().backend->set_max_connections(0);
  SimClient& client = get("/");
  expect_local_reply(client, 503, "overloaded");
  EXPECT_EQ(last_log("backend"), "");
  EXPECT_EQ(last_log("attempts"), "0");
}

}  // namespace
}  // namespace weir::sim
