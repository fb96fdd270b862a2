// Interim answers, answers that come before the request's end, and upgrades.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

constexpr std::string_view kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
constexpr std::string_view kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

// Agrees to the upgrade, with what belongs to the key that came.
Handler switches(Duration after = Duration::zero(), std::string first = {}) {
  return {{}, [=](const Message& request) {
            Script script;
            if (after > Duration::zero()) script.push_back(wait_for(after));
            script.push_back(send_bytes(switching(request) + first));
            script.push_back(then(Action::Kind::tunnel));
            return script;
          }};
}

class Continue : public OverWires {};
WEIR_OVER_ALL_WIRES(Continue);
class ContinueToHttp1 : public OverWires {};
WEIR_OVER_WIRES_TO_HTTP1(ContinueToHttp1);

TEST_P(Continue, ExpectIsPassedFromEndToEnd) {
  Handler handler;
  handler.at_head = [](const Message&) { return Script{wait_for(20ms), send_bytes("HTTP/1.1 100 Continue\r\n\r\n")}; };
  handler.at_end = [](const Message& request) { return Script{send_bytes(response("got " + request.body))}; };
  backend().on("/", handler);
  start();
  SimClient& client = connect();
  client.raw("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "POST");
  run(10ms);
  EXPECT_EQ(backend().requests().size(), 0U);
  EXPECT_EQ(exchange().request().field("expect"), "100-continue");
  EXPECT_TRUE(client.reader().interim.empty());
  run(20ms);
  ASSERT_EQ(client.reader().interim.size(), 1U);
  EXPECT_EQ(client.reader().interim[0].status, 100);
  client.send("body");
  run(20ms);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].body, "got body");
}

TEST_P(Continue, ABackendMayRefuseWithoutTheBody) {
  Handler handler;
  handler.at_head = [](const Message&) { return Script{send_bytes(response("no", "", "417 Expectation Failed"))}; };
  backend().on("/", handler);
  start();
  SimClient& client = connect();
  client.raw("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "POST");
  run(20ms);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 417);
}

TEST_P(Continue, EarlyHintsReachHttp11ClientsOnly) {
  backend().on("/", Script{send_bytes("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"), wait_for(10ms),
                           send_bytes("HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n" + response("x"))});
  start();
  SimClient& client = get("/");
  ASSERT_EQ(client.answer_count(), 1U);
  ASSERT_EQ(client.reader().interim.size(), 2U);
  EXPECT_EQ(client.reader().interim[1].status, 103);
  EXPECT_EQ(client.reader().interim[1].field("link"), "</b.css>");
  if (!from_http1()) return;
  SimClient& old = connect();
  old.raw("GET / HTTP/1.0\r\n\r\n");
  run(100ms);
  EXPECT_EQ(old.answer_count(), 1U);
  EXPECT_TRUE(old.reader().interim.empty());
}

// The backend answers and goes on reading: the client sends all, and the connection is kept on both sides.
TEST_P(Continue, AnEarlyAnswerIsPassedOnWhileTheBodyIsStillSent) {
  Handler handler;
  handler.at_head = [](const Message&) { return Script{send_bytes(response("early", "", "403 Forbidden"))}; };
  backend().on("/early", handler);
  start();
  SimClient& client = connect();
  client.raw("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + std::string(500, 'a'), "POST");
  run(50ms);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 403);
  client.send(std::string(500, 'b'));
  client.get("/x");
  run(50ms);
  ASSERT_EQ(client.answer_count(), 2U) << client.reader().error();
  EXPECT_EQ(client.answers()[1].body, "hello\n");
}

TEST_P(Continue, AnEarlyAnswerWithACloseIsReadWhole) {
  Handler handler;
  handler.at_head = [](const Message&) {
    return Script{send_bytes(response(pattern(3, 30'000), "Connection: close\r\n", "413 Too Large")),
                  then(Action::Kind::half_close)};
  };
  backend().on("/early", handler);
  start();
  SimClient& client = connect();
  client.raw("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + std::string(5'000'000, 'a'),
             "POST");
  run(5s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].body, pattern(3, 30'000));
}

TEST_P(Continue, AWebSocketIsATunnel) {
  backend().on("/ws", switches(Duration::zero(), "first"));
  start();
  SimClient& client = connect();
  client.raw(kUpgrade);
  run(10ms);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].status, 101);
  EXPECT_EQ(client.answers()[0].field("upgrade"), from_http1() ? "websocket" : "");
  EXPECT_EQ(client.answers()[0].field("connection"), from_http1() ? "upgrade" : "");
  EXPECT_EQ(client.tunnel(), "first");
  const Message& seen = backend().requests().at(0);
  EXPECT_EQ(seen.field("upgrade"), "websocket");
  EXPECT_EQ(seen.field("connection"), "upgrade");
  if (from_http1()) EXPECT_EQ(seen.field("sec-websocket-key"), "dGhlIHNhbXBsZSBub25jZQ==");
  const std::string up = pattern(1, 300'000), down = pattern(2, 300'000);
  BackendExchange tunnel = exchange();
  client.send(up);
  tunnel.send(down);
  run(1s);
  EXPECT_EQ(tunnel.tunnel(), up);
  EXPECT_EQ(client.tunnel(), "first" + down);
  client.reset();
  run(1s);
  EXPECT_EQ(proxy_.live_streams(), 0U);
  EXPECT_EQ(last_log("status"), "101");
}

// Bug 1: what a client sent after the backend had closed its half was dropped.
TEST_P(Continue, ATunnelCanBeHalfClosedFromEitherSide) {
  backend().on("/ws", switches());
  start();
  SimClient& client = connect();
  client.raw(kUpgrade);
  run(10ms);
  BackendExchange tunnel = exchange();
  client.send("bye");
  client.end_tunnel();
  run(10ms);
  EXPECT_EQ(tunnel.tunnel(), "bye");
  EXPECT_TRUE(tunnel.tunnel_ended());
  EXPECT_FALSE(client.ended());
  tunnel.send("still here");
  run(10ms);
  EXPECT_EQ(client.tunnel(), "still here");
  tunnel.half_close();
  run(10ms);
  EXPECT_TRUE(client.tunnel_ended());
  EXPECT_EQ(proxy_.live_streams(), 0U);

  SimClient& other = connect();
  other.raw(kUpgrade);
  run(10ms);
  BackendExchange second = exchange(1);
  second.send("bye");
  second.half_close();
  run(10ms);
  EXPECT_TRUE(other.tunnel_ended());
  EXPECT_EQ(other.tunnel(), "bye");
  other.send("more");
  run(10ms);
  EXPECT_EQ(second.tunnel(), "more");
  other.end_tunnel();
  run(10ms);
  EXPECT_TRUE(second.tunnel_ended());
  EXPECT_EQ(proxy_.live_streams(), 0U);
}

TEST_P(Continue, ATunnelEndsWhenItIsSilentForTooLong) {
  listener().tunnel_idle_timeout = 10s;
  listener().idle_timeout = 2s;
  cluster().timeouts.stream_idle = 3s;
  cluster().timeouts.total = 4s;
  cluster().timeouts.request = 1s;
  backend().on("/ws", switches());
  start();
  SimClient& client = connect();
  client.raw(kUpgrade);
  for (int i = 0; i < 5; ++i) {
    run(8s);
    ASSERT_FALSE(client.ended() || client.reader().broken()) << i;
    i % 2 == 0 ? client.send("x") : exchange().send("y");
  }
  run(11s);
  EXPECT_TRUE(from_http1() ? client.ended() : client.reader().broken());
  EXPECT_TRUE(exchange().stopped());
}

TEST_P(Continue, ATunnelHoldsItsFastSideBack) {
  backend().on("/ws", switches());
  // A window more is what HTTP/2's clients were let send.
  const std::size_t memory_max = (from_http1() ? 256U : 320U) * 1024;
  start();
  SimClient& client = connect();
  client.raw(kUpgrade);
  run(10ms);
  BackendExchange tunnel = exchange();
  const std::string much = pattern(9, 3'000'000);
  client.stop_reading();
  tunnel.send(much);
  run(1s);
  EXPECT_LE(proxy_.buffer_bytes_out(), memory_max);
  EXPECT_GT(tunnel.unsent(), 2'000'000U);
  client.go_on_reading();
  tunnel.stop_reading();
  client.send(much);
  run(1s);
  EXPECT_EQ(client.tunnel(), much);
  EXPECT_LE(proxy_.buffer_bytes_out(), memory_max);
  tunnel.go_on_reading();
  run(1s);
  EXPECT_EQ(tunnel.tunnel(), much);
}

// HTTP/2 has no 101.
TEST_P(ContinueToHttp1, A101ThatNobodyAskedForIsAnError) {
  backend().on("/", std::string(kSwitching));
  start();
  SimClient& client = get("/");
  expect_local_reply(client, 502, "upstream_protocol_error");
  EXPECT_EQ(backend().open_connections(), 0U);
}

TEST_P(Continue, NothingFollowsAnUpgradeRequestBeforeIts101) {
  backend().on("/ws", switches(100ms));
  start();
  SimClient& client = connect();
  client.raw(kUpgrade);
  client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
  run(50ms);
  EXPECT_EQ(backend().heads(), 1U);
  run(100ms);
  EXPECT_EQ(exchange().tunnel(), "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_P(Continue, ARefusedUpgradeLeavesAnOrdinaryConnection) {
  backend().on("/ws", response("no", "", "403 Forbidden"));
  start();
  SimClient& client = connect();
  client.raw(kUpgrade);
  run(10ms);
  client.get("/x");
  run(10ms);
  ASSERT_EQ(client.answer_count(), 2U);
  EXPECT_EQ(client.answers()[0].status, 403);
  EXPECT_EQ(client.answers()[1].body, "hello\n");
}

}  // namespace
}  // namespace weir::sim
