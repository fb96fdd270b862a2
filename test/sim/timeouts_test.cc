// Every timeout and limit fires when it should, with the answer and the reason it should have.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

const Script kNeverAnswers = {wait_for(kForever)};

// How long after `begin` the client's connection was last heard of, in whole milliseconds rounded down.
std::int64_t ms_since(TimePoint begin, TimePoint at) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at - begin).count();
}

class Timeouts : public OverWires {};

WEIR_OVER_ALL_WIRES(Timeouts);
class TimeoutsOfHttp1 : public SimTest {};

TEST_P(Timeouts, Connect) {
  cluster().timeouts.connect = 2s;
  cluster().retry.attempts = 1;
  fates_.backend.blackhole = true;
  start();
  SimClient& client = connect();
  const TimePoint begin = now();
  client.get("/");
  run(5s);
  expect_local_reply(client, 504, "connect_timeout");
  EXPECT_NEAR(static_cast<double>(ms_since(begin, client.last_byte_at())), 2000, 10);
  ASSERT_EQ(proxy_.connect_failures.size(), 1U);
  EXPECT_FALSE(proxy_.connect_failures[0].refused);
}

TEST_P(Timeouts, ConnectIsRetriedElsewhere) {
  cluster().timeouts.connect = 2s;
  SimBackend& two = add_backend("two");
  LinkPlan hole;
  hole.blackhole = true;
  fates_.to_address[backend().address()] = hole;
  start();
  for (int i = 0; i < 2; ++i) connect().request("POST", "/", "", "body");
  run(5s);
  for (const auto& client : clients_) EXPECT_EQ(client->answers().at(0).status, 200);
  EXPECT_EQ(two.requests().size(), 2U);
}

TEST_P(Timeouts, RequestIsFromTheLastByteToTheHead) {
  cluster().timeouts.request = 3s;
  backend().on("/", kNeverAnswers);
  start();
  SimClient& client = connect();
  client.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na", "POST");
  run(5s);
  EXPECT_FALSE(client.anything_said());
  const TimePoint begin = now();
  client.send("b");
  run(5s);
  expect_local_reply(client, 504, "upstream_timeout");
  EXPECT_NEAR(static_cast<double>(ms_since(begin, client.last_byte_at())), 3000, 10);
  EXPECT_TRUE(exchange().stopped());
  client.get("/x");  // the request was complete: the connection goes on
  run(5s);
  EXPECT_EQ(client.answer_count(), 2U);
}

TEST_P(Timeouts, RequestHoldsForAllAttemptsTogether) {
  cluster().timeouts.request = 3s;
  cluster().timeouts.connect = 2s;
  cluster().retry.attempts = 10;
  fates_.backend.blackhole = true;
  start();
  SimClient& client = connect();
  const TimePoint begin = now();
  client.get("/");
  run(10s);
  expect_local_reply(client, 504, "upstream_timeout");
  EXPECT_NEAR(static_cast<double>(ms_since(begin, client.last_byte_at())), 3000, 10);
}

TEST_P(Timeouts, ARoutesRequestTimeoutWins) {
  route().request_timeout = 500ms;
  backend().on("/", kNeverAnswers);
  start();
  SimClient& client = connect();
  const TimePoint begin = now();
  client.get("/");
  run(2s);
  expect_local_reply(client, 504, "upstream_timeout");
  EXPECT_NEAR(static_cast<double>(ms_since(begin, client.last_byte_at())), 500, 10);
}

TEST_P(Timeouts, RequestIsNoLimitToTheBody) {
  cluster().timeouts.request = 1s;
  Script drip = {send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")};
  for (int i = 0; i < 10; ++i) {
    drip.push_back(wait_for(800ms));
    drip.push_back(send_bytes("x"));
  }
  backend().on("/", drip);
  start();
  SimClient& client = connect();
  client.get("/");
  run(20s);
  EXPECT_EQ(client.answer_count(), 1U) << client.reader().error();
}

TEST_P(Timeouts, StreamIdleCutsASilentAnswer) {
  cluster().timeouts.stream_idle = 4s;
  backend().on("/", Script{send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), wait_for(3s),
                           send_bytes("d"), wait_for(kForever)});
  start();
  SimClient& client = connect();
  const TimePoint begin = now();
  client.get("/");
  run(20s);
  EXPECT_EQ(client.answer_count(), 0U);
  EXPECT_TRUE(broken_off(client));
  EXPECT_NEAR(static_cast<double>(ms_since(begin, client.broken_at())), 7000, 10);
  EXPECT_EQ(last_log("reason"), "upstream_timeout");
  EXPECT_EQ(last_log("status"), "200");
  EXPECT_TRUE(exchange().stopped());
}

TEST_P(Timeouts, StreamIdleCutsAReaderThatStops) {
  cluster().timeouts.stream_idle = 4s;
  backend().on("/", response(pattern(1, 2'000'000)));
  start();
  SimClient& client = connect();
  client.stop_reading();
  client.get("/");
  run(20s);
  EXPECT_EQ(proxy_.live_streams(), 0U);
  EXPECT_EQ(proxy_.connections(), from_http1() ? 0U : 1U);
  client.go_on_reading();
  run(1s);
  EXPECT_EQ(client.answer_count(), 0U);
  EXPECT_TRUE(from_http1() ? client.ended() : client.reader().broken());
}

TEST_P(Timeouts, TotalBoundsTheWholeExchange) {
  cluster().timeouts.total = 5s;
  Script drip = {send_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")};
  for (int i = 0; i < 30; ++i) {
    drip.push_back(wait_for(500ms));
    drip.push_back(send_bytes("1\r\nx\r\n"));
  }
  backend().on("/drip", drip);
  backend().on("/never", kNeverAnswers);
  start();
  SimClient& dripped = connect();
  SimClient& never = connect();
  const TimePoint begin = now();
  dripped.get("/drip");
  never.get("/never");
  run(20s);
  EXPECT_TRUE(broken_off(dripped));
  EXPECT_NEAR(static_cast<double>(ms_since(begin, dripped.broken_at())), 5000, 10);
  expect_local_reply(never, 504, "upstream_timeout");
}

TEST_F(TimeoutsOfHttp1, HeaderRunsFromTheFirstByte) {
  listener().header_timeout = 5s;
  start();
  SimClient& client = connect();
  run(3s);
  const TimePoint begin = now();
  client.raw("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 8; ++i) {
    run(1s);
    client.send("X: y\r\n");
  }
  expect_local_reply(client, 408, "request_timeout");
  EXPECT_NEAR(static_cast<double>(ms_since(begin, client.last_byte_at())), 5000, 10);
  EXPECT_EQ(client.answers()[0].field("connection"), "close");
  run(3s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(proxy_.connections(), 0U);
}

TEST_P(Timeouts, BodyIsTheLongestGap) {
  listener().body_timeout = 3s;
  listener().body_bytes_per_s_min = 0;
  start();
  SimClient& client = connect();
  client.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", "POST");
  for (int i = 0; i < 5; ++i) {
    run(2s);
    client.send("x");
  }
  EXPECT_FALSE(client.anything_said());
  const TimePoint begin = now();
  run(5s);
  expect_local_reply(client, 408, "request_timeout");
  EXPECT_NEAR(static_cast<double>(ms_since(begin, client.last_byte_at())), 3000, 10);
  EXPECT_TRUE(exchange().stopped());
  EXPECT_EQ(last_log("reason"), "request_timeout");
}

TEST_P(Timeouts, BodyMinRateIsAveragedOverHalfAMinute) {
  listener().body_timeout = 20s;
  listener().body_bytes_per_s_min = 100;
  start();
  SimClient& slow = connect();
  SimClient& fast = connect();
  for (SimClient* client : {&slow, &fast})
    client->raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "POST");
  for (int i = 0; i < 40; ++i) {
    run(1s);
    slow.send(std::string(90, 's'));
    fast.send(std::string(110, 'f'));
  }
  expect_local_reply(slow, 408, "request_timeout");
  EXPECT_FALSE(fast.anything_said());
}

// Bug 5: with a spliced body it was. A client is not to blame for a backend that does not read.
TEST_P(Timeouts, ABodyThatIsHeldBackIsNotTooSlow) {
  listener().body_timeout = 2s;
  listener().body_bytes_per_s_min = 1000;
  cluster().timeouts.stream_idle = 10min;
  // Who reads nothing at all answers no PING either: over HTTP/2 it is the stream that is held back.
  backend().accepts_without_reading = to_http1();
  backend().on(
      "/", Handler{[this](const Message&) { return to_http1() ? Script{} : Script{then(Action::Kind::stop_reading)}; },
                   [](const Message&) { return Script{send_bytes(response("got it"))}; }});
  start();
  SimClient& client = connect();
  client.request("POST", "/", "", pattern(1, 1'000'000));
  run(60s);
  EXPECT_FALSE(client.anything_said());
  to_http1() ? backend().connections().at(0)->go_on_reading() : exchange().go_on_reading();
  run(5s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 200);
}

TEST_P(Timeouts, ABodyOverTheLimitIsRefusedAndTheWholeAnswerRead) {
  listener().body_bytes_max = 1000;
  start();
  for (const bool chunked : {false, true}) {
    SimClient& client = connect();
    const std::string body(3'000'000, 'b');
    if (chunked) {
      client.raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 500), "POST");
    } else {
      client.request("POST", "/", "", body);
    }
    run(5s);
    expect_local_reply(client, 413, "body_too_large");
    expect_last(client);
    EXPECT_FALSE(client.got_reset());
    if (from_http1()) EXPECT_EQ(client.unsent(), 0U);
  }
  SimClient& fits = connect();
  fits.request("POST", "/", "", std::string(1000, 'x'));
  run(100ms);
  EXPECT_EQ(fits.answers().at(0).status, 200);
  auto generous = std::make_shared<proxy::Route>(route());
  generous->body_bytes_max = 2000;
  proxy_.setup.routes[0] = generous;
  proxy_.reload();
  SimClient& more = connect();
  more.request("POST", "/", "", std::string(2000, 'x'));
  run(100ms);
  EXPECT_EQ(more.answers().at(0).status, 200);
  EXPECT_EQ(proxy_.metric(Family::kLocalReplies, {"body_too_large"}), 2);
}

// The close after an answer must not wait for ever for a client that goes on sending or does nothing.
TEST_F(TimeoutsOfHttp1, LingeringIsBounded) {
  listener().body_bytes_max = 10;
  start();
  SimClient& silent = connect();
  silent.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "POST");
  SimClient& endless = connect();
  endless.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n", "POST");
  for (int i = 0; i < 40; ++i) {
    run(1s);
    endless.send("more");
    if (i == 5) EXPECT_EQ(proxy_.connections(), 1U);
  }
  EXPECT_EQ(proxy_.connections(), 0U);
  EXPECT_EQ(silent.answer_count(), 1U);
  EXPECT_EQ(endless.answer_count(), 1U);
}

TEST_P(Timeouts, AnAnswerThatIsNotTakenDoesNotHoldTheConnectionForEver) {
  listener().idle_timeout = 5s;
  backend().on("/", response(pattern(1, 100'000)));
  fates_.client.send_buffer_bytes = 5000;
  start();
  SimClient& client = connect();
  client.stop_reading();
  client.request("GET", "/", "Connection: close\r\n");
  run(8min);
  EXPECT_EQ(proxy_.connections(), 0U);
}

TEST_P(Timeouts, SilentPooledAndConnectingOnesEndToo) {
  backend().on("/", kNeverAnswers);
  cluster().timeouts.request = 1s;
  start();
  for (int i = 0; i < 10; ++i) connect().get("/");
  run(2s);
  EXPECT_EQ(backend().stopped_exchanges(), 10U);
  EXPECT_EQ(backend().open_connections(), to_http1() ? 0U : 1U);
  for (const auto& client : clients_) expect_local_reply(*client, 504, "upstream_timeout");
  EXPECT_EQ(proxy_.metric(Family::kBackendRequests, {"0"}), 10);
}

// Who was told to wait for "100 Continue" can't send: the time until then is the backend's.
TEST_P(Timeouts, ABodyThatMayNotBeSentYetIsNotLate) {
  listener().body_timeout = 2s;
  Handler handler;
  handler.at_head = [](const Message&) { return Script{wait_for(5s), send_bytes("HTTP/1.1 100 Continue\r\n\r\n")}; };
  handler.at_end = [](const Message&) { return Script{send_bytes(response("got it"))}; };
  backend().on("/", handler);
  start();
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
  SimClient& good = connect();
  SimClient& late = connect();
  const TimePoint begin = now();
  good.raw(head, "POST");
  late.raw(head, "POST");
  run(6s);
  EXPECT_EQ(good.reader().interim.size(), 1U);
  EXPECT_EQ(late.reader().interim.size(), 1U);
  good.send("body");
  run(5s);
  ASSERT_EQ(good.answer_count(), 1U) << good.received();
  EXPECT_EQ(good.answers()[0].status, 200);
  expect_local_reply(late, 408, "request_timeout");
  EXPECT_NEAR(static_cast<double>(ms_since(begin, late.last_byte_at())), 7000, 10);
}

TEST_P(Timeouts, ABackendThatNeverSays100IsTooSlow) {
  listener().body_timeout = 2s;
  cluster().timeouts.request = 4s;
  backend().on("/", Handler{[](const Message&) { return kNeverAnswers; }, {}});
  start();
  SimClient& waiting = connect();
  SimClient& impatient = connect();
  const TimePoint begin = now();
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
  waiting.raw(head, "POST");
  impatient.raw(head, "POST");
  run(3s);
  impatient.send("x");  // not to have waited is its right, and from then on its body is late
  run(7s);
  expect_local_reply(waiting, 504, "upstream_timeout");
  expect_last(waiting);
  EXPECT_NEAR(static_cast<double>(ms_since(begin, waiting.last_byte_at())), 4000, 10);
  expect_local_reply(impatient, 408, "request_timeout");
  EXPECT_NEAR(static_cast<double>(ms_since(begin, impatient.last_byte_at())), 5000, 10);
}

}  // namespace
}  // namespace weir::sim
