// Connections of clients and pooled ones of backends: how long they are kept, and what happens when they turn out
// closed.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

class Connections : public OverWires {};
WEIR_OVER_ALL_WIRES(Connections);
class ConnectionsOfHttp1 : public SimTest {};
class ConnectionsToHttp1 : public OverWires {};
WEIR_OVER_WIRES_TO_HTTP1(ConnectionsToHttp1);

TEST_P(Connections, AreKeptOnBothSides) {
  start();
  SimClient& client = connect();
  for (int i = 0; i < 5; ++i) {
    client.get("/");
    run(10ms);
  }
  EXPECT_EQ(client.answer_count(), 5U);
  EXPECT_EQ(backend().connections().size(), 1U);
  EXPECT_EQ(proxy_.metric(Family::kPoolConnections, {"idle"}), 1);
  EXPECT_EQ(proxy_.metric(Family::kActiveConnections), 1);
}

TEST_F(ConnectionsOfHttp1, PipelinedRequestsAreAnsweredInOrder) {
  backend().on("/slow", Script{wait_for(50ms), send_bytes(response("slow"))});
  backend().on("/big", response(pattern(7, 100'000)));
  start();
  SimClient& client = connect();
  std::string all;
  for (const char* path : {"/slow", "/big", "/x", "/slow"})
    all += std::string("GET ") + path + " HTTP/1.1\r\nHost: a\r\n\r\n";
  all +=
      "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /x HTTP/1.1\r\nHost: a\r\nConnection: "
      "close\r\n\r\n";
  for (int i = 0; i < 5; ++i) client.raw("", "GET");
  client.raw(all);
  run(500ms);
  ASSERT_EQ(client.answer_count(), 6U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].body, "slow");
  EXPECT_EQ(client.answers()[1].body, pattern(7, 100'000));
  EXPECT_EQ(client.answers()[2].body, "hello\n");
  EXPECT_EQ(client.answers()[4].body, "slow");
  EXPECT_EQ(client.answers()[5].field("connection"), "close");
  EXPECT_TRUE(client.got_fin());
}

TEST_P(Connections, RequestsMayComeByteByByte) {
  start();
  SimClient& client = connect();
  const std::string text =
      "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks("some body", 4);
  client.raw("", "POST");
  for (const char c : text) {
    client.send(std::string_view(&c, 1));
    run(1ms);
  }
  run(10ms);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(backend().requests().at(0).body, "some body");
}

TEST_P(ConnectionsToHttp1, ThePoolLendsTheLastUsedFirst) {
  backend().on("/", Script{wait_for(20ms), send_bytes(response("x"))});
  start();
  for (int i = 0; i < 3; ++i) connect().get("/");
  run(100ms);
  ASSERT_EQ(backend().connections().size(), 3U);
  SimClient& one = *clients_[0];
  for (int i = 0; i < 5; ++i) {
    one.get("/");
    run(100ms);
  }
  std::vector<std::size_t> served;
  for (const auto& connection : backend().connections()) served.push_back(connection->requests());
  EXPECT_THAT(served, testing::UnorderedElementsAre(1, 1, 6));
}

TEST_P(Connections, IdlePooledOnesCloseAfterTheirTime) {
  cluster().timeouts.idle = 3s;
  start();
  get("/");
  run(2s);
  EXPECT_EQ(backend().open_connections(), 1U);
  run(2s);
  EXPECT_EQ(backend().open_connections(), 0U);
  EXPECT_EQ(proxy_.metric(Family::kPoolConnections), 0);
}

TEST_P(ConnectionsToHttp1, ABackendsKeepAliveTimeoutIsRespectedWithASecondToSpare) {
  backend().on("/", response("x", "Keep-Alive: timeout=5\r\n"));
  start();
  get("/");
  run(3800ms);
  EXPECT_EQ(backend().open_connections(), 1U);
  run(300ms);
  EXPECT_EQ(backend().open_connections(), 0U);
}

TEST_P(ConnectionsToHttp1, AKeepAliveTimeoutOfASecondIsNotKept) {
  backend().on("/", response("x", "Keep-Alive: timeout=1\r\n"));
  start();
  get("/");
  EXPECT_EQ(backend().open_connections(), 0U);
}

TEST_P(Connections, ABackendThatClosesAfterEachAnswer) {
  backend().on("/said", Script{send_bytes(response("x", "Connection: close\r\n")), then(Action::Kind::close)});
  backend().on("/unsaid", Script{send_bytes(response("x")), then(Action::Kind::close)});
  start();
  SimClient& client = connect();
  for (const char* path : {"/said", "/unsaid", "/said", "/unsaid", "/unsaid"}) {
    client.get(path);
    run(10ms);
  }
  EXPECT_EQ(client.answer_count(), 5U);
  EXPECT_EQ(backend().connections().size(), 5U);
  EXPECT_EQ(proxy_.metric(Family::kRetries), 0);
}

// The FIN is on its way when the request goes out: nobody can know, and nobody notices.
TEST_P(Connections, AStalePooledConnectionIsRetriedForAGet) {
  fates_.backend.delay = 1ms;
  start();
  SimClient& client = get("/");
  backend().connections()[0]->close();
  client.get("/again");
  run(100ms);
  ASSERT_EQ(client.answer_count(), 2U);
  EXPECT_EQ(client.answers()[1].status, 200);
  EXPECT_EQ(backend().connections().size(), 2U);
  EXPECT_EQ(last_log("attempts"), "2");
}

TEST_P(Connections, EveryPooledConnectionMayBeStale) {
  fates_.backend.delay = 1ms;
  backend().on("/", Script{wait_for(20ms), send_bytes(response("x"))});
  start();
  for (int i = 0; i < 20; ++i) connect().get("/");
  run(100ms);
  for (const auto& connection : backend().connections()) connection->reset();
  for (const auto& client : clients_) client->get("/");
  run(1s);
  for (const auto& client : clients_) {
    ASSERT_EQ(client->answer_count(), 2U);
    EXPECT_EQ(client->answers()[1].status, 200);
  }
}

TEST_P(Connections, APostOnAStaleConnectionIsNeverSentTwice) {
  fates_.backend.delay = 1ms;
  start();
  SimClient& client = get("/");
  backend().connections()[0]->close();
  client.request("POST", "/p", "X-Id: p1\r\n", "body");
  run(1s);
  ASSERT_EQ(client.answer_count(), 2U);
  expect_local_reply(client, 502, "upstream_reset");
  EXPECT_EQ(backend().ids().contains("p1"), false);
  EXPECT_EQ(backend().connections().size(), 1U);
  client.request("POST", "/p", "X-Id: p2\r\n", "body");
  run(1s);
  EXPECT_EQ(client.answers().at(2).status, 200);
  EXPECT_EQ(backend().ids().at("p2"), 1);
}

TEST_P(Connections, APostToABackendThatResetsItIsNotTriedAgain) {
  backend().on("/", Script{then(Action::Kind::reset)});
  SimBackend& two = add_backend("two");
  two.on("/", Script{then(Action::Kind::reset)});
  start();
  SimClient& client = connect();
  client.request("POST", "/p", "X-Id: a\r\n", "body");
  run(1s);
  expect_local_reply(client, 502, "upstream_reset");
  EXPECT_EQ(backend().heads() + two.heads(), 1U);
}

TEST_P(Connections, AClosedPooledConnectionIsFoundBeforeItIsUsed) {
  start();
  SimClient& client = get("/");
  backend().connections()[0]->close();
  run(100ms);
  EXPECT_EQ(proxy_.metric(Family::kPoolConnections), 0);
  client.request("POST", "/p", "X-Id: a\r\n", "body");
  run(100ms);
  EXPECT_EQ(client.answers().at(1).status, 200);
}

TEST_P(Connections, BytesThatNobodyAskedForCloseAPooledConnection) {
  start();
  SimClient& client = get("/");
  backend().connections()[0]->send(response("smuggled"));
  run(10ms);
  EXPECT_EQ(proxy_.metric(Family::kPoolConnections), 0);
  client.get("/");
  run(10ms);
  EXPECT_EQ(client.answers().at(1).body, "hello\n");
}

TEST_P(ConnectionsToHttp1, BytesBehindAnAnswerNeverReachAnotherClient) {
  backend().on("/two", response("first") + response("smuggled"));
  start();
  SimClient& client = connect();
  client.get("/two");
  client.get("/x");
  run(100ms);
  ASSERT_EQ(client.answer_count(), 2U);
  EXPECT_EQ(client.answers()[0].body, "first");
  EXPECT_EQ(client.answers()[1].body, "hello\n");
  EXPECT_EQ(backend().connections().size(), 2U);
}

TEST_P(Connections, IdleClientsAreClosed) {
  listener().idle_timeout = 5s;
  start();
  SimClient& silent = connect();
  SimClient& used = get("/");
  run(4s);
  EXPECT_FALSE(silent.ended());
  run(2s);
  EXPECT_TRUE(silent.got_fin());
  EXPECT_TRUE(used.got_fin());
  if (from_http1()) EXPECT_EQ(silent.received(), "");
  EXPECT_EQ(silent.answer_count(), 0U);
  EXPECT_EQ(proxy_.log().size(), 1U);
}

TEST_F(ConnectionsOfHttp1, AFinAfterTheRequestIsAHalfClose) {
  backend().on("/", Script{wait_for(1s), send_bytes(response("late"))});
  start();
  SimClient& client = connect();
  client.get("/");
  client.half_close();
  run(2s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].body, "late");
  EXPECT_TRUE(client.got_fin());
  EXPECT_EQ(last_log("status"), "200");
}

TEST_F(ConnectionsOfHttp1, AFinBehindPipelinedRequestsIsAHalfClose) {
  backend().on("/", Script{wait_for(1s), send_bytes(response("late"))});
  start();
  SimClient& client = connect();
  client.get("/1");
  client.get("/2");
  client.half_close();
  run(5s);
  EXPECT_EQ(client.answer_count(), 2U);
  EXPECT_TRUE(client.got_fin());
}

TEST_P(Connections, AFinInsideARequestMeansThatTheClientIsGone) {
  start();
  if (from_http1()) {
    SimClient& in_head = connect();
    in_head.raw("GET / HTTP/1.1\r\nHo");
    in_head.half_close();
  }
  SimClient& in_body = connect();
  in_body.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", "POST");
  run(10ms);
  EXPECT_EQ(backend().heads(), 1U);
  in_body.half_close();
  run(10ms);
  EXPECT_TRUE(in_body.ended());
  if (from_http1()) EXPECT_EQ(in_body.received(), "");
  EXPECT_EQ(in_body.answer_count(), 0U);
  EXPECT_TRUE(exchange().stopped());
  EXPECT_EQ(proxy_.live_streams(), 0U);
  EXPECT_EQ(last_log("status"), "0");
}

TEST_P(Connections, AResetClientStopsTheBackend) {
  backend().on("/", Script{wait_for(10s), send_bytes(response("late"))});
  start();
  SimClient& client = get("/");
  EXPECT_EQ(backend().open_connections(), 1U);
  client.reset();
  run(10ms);
  EXPECT_EQ(backend().open_connections(), to_http1() ? 0U : 1U);
  EXPECT_TRUE(exchange().stopped());
  EXPECT_EQ(last_log("status"), "0");
  EXPECT_EQ(proxy_.metric(Family::kRequests, {"0"}), 1);
}

TEST_F(ConnectionsOfHttp1, Http10ClientsAndKeepAlive) {
  backend().on("/chunked", chunked_response("in chunks", 4, "X-T: 1\r\n"));
  start();
  SimClient& once = connect();
  once.raw("GET / HTTP/1.0\r\n\r\n");
  run(10ms);
  ASSERT_EQ(once.answer_count(), 1U) << once.received();
  EXPECT_TRUE(once.got_fin());
  EXPECT_EQ(once.answers()[0].field("connection"), "close");
  SimClient& kept = connect();
  kept.raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: x\r\n\r\n");
  run(10ms);
  EXPECT_EQ(kept.answers().at(0).field("connection"), "keep-alive");
  kept.raw("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\nHost: x\r\n\r\n");
  run(10ms);
  ASSERT_EQ(kept.answer_count(), 2U);
  EXPECT_FALSE(kept.answers()[1].chunked);
  EXPECT_EQ(kept.answers()[1].body, "in chunks");
  EXPECT_TRUE(kept.got_fin());
  EXPECT_EQ(backend().requests().at(0).version, "HTTP/1.1");
}

TEST_P(Connections, Http10BackendsAndBodiesUntilTheClose) {
  backend().on("/", Script{send_bytes("HTTP/1.0 200 OK\r\nX: 1\r\n\r\nall of it"), wait_for(50ms),
                           send_bytes(", at last"), then(Action::Kind::close)});
  start();
  SimClient& client = connect();
  client.get("/a");
  run(200ms);
  client.get("/b");
  run(200ms);
  ASSERT_EQ(client.answer_count(), 2U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].body, "all of it, at last");
  if (!from_http1()) return;
  EXPECT_EQ(client.answers()[0].version, "HTTP/1.1");
  EXPECT_TRUE(client.answers()[0].chunked);
  SimClient& old = connect();
  old.raw("GET / HTTP/1.0\r\n\r\n");
  run(200ms);
  ASSERT_EQ(old.answer_count(), 1U);
  EXPECT_TRUE(old.answers()[0].until_close);
  EXPECT_EQ(old.answers()[0].body, "all of it, at last");
}

}  // namespace
}  // namespace weir::sim
