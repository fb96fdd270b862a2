// The client's connection at the edges of its phases.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

constexpr std::string_view kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
// Agrees to the upgrade.
Handler switches() {
  return {{},
          [](const Message& request) { return Script{send_bytes(switching(request)), then(Action::Kind::tunnel)}; }};
}

// Answers without a backend's body knew no back-pressure: a client that sends requests and never reads filled the
// memory.
TEST_F(BugsOfHttp1, Case017LocalRepliesThatNobodyReadsHoldTheRequestsBack) {
  proxy_.setup.routes.front()->match.path_prefix = "/app";
  start();
  SimClient& client = connect();
  client.stop_reading();
  std::string requests;
  for (int i = 0; i < 40'000; ++i) requests += "GET /none HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(requests);
  run(1s);
  EXPECT_LE(proxy_.buffer_bytes_out(), 256U * 1024);
  EXPECT_GT(client.unsent(), requests.size() / 2);
  for (int i = 0; i < 40'000; ++i) client.raw("", "GET");
  client.go_on_reading();
  run(10s);
  EXPECT_EQ(client.answer_count(), 40'000U) << client.reader().error();
}

// An answer that was complete in Weir, but not with its slow reader, was cut off by a drain.
TEST_P(Bugs, Case018ADrainLetsASlowReaderHaveItsAnswer) {
  fates_.client.send_buffer_bytes = 8000;
  const std::string body = pattern(1, 60'000);
  backend().on("/", response(body));
  start();
  SimClient& client = connect();
  client.stop_reading();
  client.get("/");
  run(50ms);
  proxy_.drain(30s);
  run(50ms);
  client.go_on_reading();
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_TRUE(client.answers()[0].body == body);
  EXPECT_TRUE(client.got_fin());
  run(5s);
  EXPECT_TRUE(proxy_.done());
}

// A request that came while the last answer of a drained connection was still being taken was begun, and then lost
// under the close.
TEST_F(BugsOfHttp1, Case028NoRequestBeginsOnAConnectionThatIsAboutToClose) {
  fates_.client.send_buffer_bytes = 8000;
  backend().on("/", response(pattern(1, 60'000)));
  backend().on("/slow", Script{wait_for(5s), send_bytes(response("slow"))});
  start();
  SimClient& client = connect();
  client.stop_reading();
  client.get("/");
  run(50ms);
  proxy_.drain(30s);
  run(50ms);
  client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  run(50ms);
  EXPECT_EQ(proxy_.live_streams(), 0U);
  client.go_on_reading();
  run(10s);
  EXPECT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_TRUE(client.got_fin());
  EXPECT_TRUE(proxy_.done());
}

// To HTTP/1.0 the close is the end of a body: one that its reader did not take in time looked complete.
TEST_F(BugsOfHttp1, Case019ABodyUntilTheCloseThatIsNotTakenEndsWithAReset) {
  fates_.client.send_buffer_bytes = 8000;
  listener().idle_timeout = 5s;
  backend().on("/", chunked_response(pattern(1, 60'000), 9999));
  start();
  SimClient& client = connect();
  client.stop_reading();
  client.raw("GET / HTTP/1.0\r\n\r\n");
  run(20s);
  client.go_on_reading();
  run(1s);
  EXPECT_EQ(client.answer_count(), 0U);
  EXPECT_TRUE(client.got_reset());
}

// A body that came too slowly behind its answer was cut off with a reset, which may destroy the answer.
TEST_F(ReviewOfHttp1, ASlowRestOfABodyDoesNotDestroyTheAnswer) {
  listener().body_timeout = 3s;
  Handler handler;
  handler.at_head = [](const Message&) { return Script{send_bytes(response("early", "", "403 Forbidden"))}; };
  backend().on("/early", handler);
  start();
  SimClient& client = connect();
  client.raw("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", "POST");
  for (int i = 0; i < 10; ++i) {
    run(500ms);
    client.send("abc");
  }
  run(100ms);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_TRUE(client.got_fin());
  EXPECT_FALSE(client.got_reset());
}

// What the client sent right before its FIN, behind a backend's half-close, was dropped if the backend had not taken it
// yet.
TEST_P(Bugs, Case021ATunnelsLastBytesReachASlowBackend) {
  fates_.backend.send_buffer_bytes = 8000;
  backend().on("/ws", switches());
  start();
  SimClient& client = connect();
  client.raw(kUpgrade);
  run(50ms);
  BackendExchange tunnel = exchange();
  tunnel.half_close();
  tunnel.stop_reading();
  run(50ms);
  const std::string up = pattern(1, 50'000);
  client.send(up);
  client.end_tunnel();
  run(500ms);
  tunnel.go_on_reading();
  run(1s);
  EXPECT_TRUE(tunnel.tunnel() == up);
  EXPECT_TRUE(tunnel.tunnel_ended());
  EXPECT_EQ(proxy_.live_streams(), 0U);
}

// A backend that reset the tunnel after its half-close was not noticed: the tunnel stood until it had been idle for an
// hour.
TEST_P(Bugs, Case022ATunnelWhoseBackendIsGoneEnds) {
  backend().on("/ws", switches());
  start();
  SimClient& client = connect();
  client.raw(kUpgrade);
  run(50ms);
  BackendExchange tunnel = exchange();
  tunnel.half_close();
  run(50ms);
  tunnel.reset();
  run(50ms);
  client.send("still there?");
  run(50ms);
  EXPECT_TRUE(from_http1() ? client.ended() : client.reader().broken());
  EXPECT_EQ(proxy_.live_streams(), 0U);
}

// The client may leave the body out that a final answer made needless, and go on with another request: the only safe
// thing is to close.
// What might have been HTTP/2's preface, and was not, got the time for a head twice.
TEST_F(BugsOfHttp1, Case137AHeadHasItsTimeFromItsFirstByteOn) {
  listener().header_timeout = 5s;
  start();
  SimClient& client = connect();
  client.raw("P", "POST");
  run(4s);
  client.send("OST / HTTP/1.1\r\n");
  run(500ms);
  EXPECT_EQ(client.answer_count(), 0U);
  run(1s);
  expect_local_reply(client, 408, "request_timeout");
}

TEST_F(BugsOfHttp1, Case023ARefusedExpectationClosesTheConnection) {
  Handler handler;
  handler.at_head = [](const Message&) { return Script{send_bytes(response("no", "", "417 Expectation Failed"))}; };
  backend().on("/", handler);
  start();
  SimClient& client = connect();
  client.raw("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n", "POST");
  run(20ms);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].field("connection"), "close");
  EXPECT_TRUE(client.got_fin());
}

// A request line that could not be read was counted as a GET.
TEST_F(BugsOfHttp1, Case024ARequestThatCannotBeReadHasNoMethod) {
  start();
  connect().raw("\x01\x02\r\n\r\n");
  run(10ms);
  EXPECT_EQ(proxy_.metric(observe::Family::kRequests, {"OTHER", "400"}), 1);
  EXPECT_EQ(proxy_.metric(observe::Family::kRequests, {"GET"}), 0);
}

// An empty line behind a body, which old clients send, is no request: the connection is idle and closes without a word.
TEST_F(BugsOfHttp1, Case025AnEmptyLineBehindARequestIsNoRequest) {
  listener().header_timeout = 2s;
  listener().idle_timeout = 10s;
  start();
  SimClient& client = connect();
  client.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na\r\n", "POST");
  run(5s);
  EXPECT_EQ(client.answer_count(), 1U);
  EXPECT_FALSE(client.ended());
  client.get("/");
  run(1s);
  EXPECT_EQ(client.answer_count(), 2U);
  EXPECT_EQ(proxy_.log().size(), 2U);
  client.send("\r\n");
  run(11s);
  EXPECT_TRUE(client.got_fin());
  EXPECT_EQ(client.answer_count(), 2U);
  EXPECT_FALSE(client.reader().broken());
}

class BugsFewDescriptors : public SimTest {
 protected:
  BugsFewDescriptors() : SimTest({.workers = 1, .descriptors = 30, .descriptors_reserve = 8}) {}
};

// One pause was counted and logged ten times a second.
TEST_F(BugsFewDescriptors, Case026OnePauseIsCountedOnce) {
  start();
  for (int i = 0; i < 40; ++i) connect();
  run(2s);
  EXPECT_EQ(proxy_.accept_pauses, 1U);
  for (auto& client : clients_) client->close();
  run(1s);
  SimClient& late = connect();
  late.get("/");
  run(1s);
  EXPECT_EQ(late.answer_count(), 1U);
}

// Each reload that came meanwhile gave the connections of a removed listener all the time again.
TEST_P(Bugs, Case027LaterReloadsGiveARemovedListenerNoMoreTime) {
  backend().on("/", Script{wait_for(kForever)});
  add_listener("other", "10.0.0.1:81");
  start();
  SimClient& client = connect();
  client.get("/");
  run(50ms);
  proxy_.setup.listeners.erase(proxy_.setup.listeners.begin());
  for (int i = 0; i < 15; ++i) {
    proxy_.reload(3s);
    run(500ms);
  }
  EXPECT_TRUE(client.ended());
  lost_series_ = 1;  // went with the listener
  EXPECT_EQ(proxy_.connections(), 0U);
}

}  // namespace
}  // namespace weir::sim
