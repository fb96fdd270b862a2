// HTTP/2 towards clients: what the protocol adds to what every request has.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

using observe::Family;

class Http2 : public SimTest {
 protected:
  static const Message& message(const SimH2Client& client, std::int32_t stream) {
    return client.answer(stream).message;
  }
};

TEST_F(Http2, AGetGoesThrough) {
  backend().on("/x", response("hi", "X-Thing: 1\r\n"));
  start();
  SimH2Client& client = connect_h2();
  const auto stream = client.get("/x?a=b", {{"user-agent", "me"}});
  run(10ms);
  EXPECT_EQ(client.engine().error(), "");
  const Message& answer = message(client, stream);
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hi");
  EXPECT_EQ(answer.field("x-thing"), "1");
  EXPECT_EQ(answer.count("connection"), 0U);
  ASSERT_EQ(backend().requests().size(), 1U);
  const Message& seen = backend().requests()[0];
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.target, "/x?a=b");
  EXPECT_EQ(seen.field("host"), "example.com");
  EXPECT_EQ(seen.count("host"), 1U);
  EXPECT_EQ(seen.field("x-forwarded-proto"), "http");
  EXPECT_EQ(last_log("protocol"), "HTTP/2.0");
  EXPECT_EQ(last_log("user_agent"), "me");
  EXPECT_EQ(proxy_.metric(Family::kActiveConnections), 1);
  EXPECT_GT(proxy_.metric(Family::kBytes, {"received"}), 60);
  EXPECT_EQ(proxy_.metric(Family::kBytes, {"sent"}), static_cast<std::int64_t>(client.received_bytes()));
}

TEST_F(Http2, BodiesAndTrailersPassBothWays) {
  const std::string up = pattern(1, 300'000);
  const std::string down = pattern(2, 400'000);
  backend().on("/", chunked_response(down, 7777, "X-Sum: 42\r\n"));
  start();
  SimH2Client& client = connect_h2();
  const auto stream = client.open("POST", "/", {{"x-a", "b"}});
  client.body(stream, up);
  client.end(stream, {{"x-up", "yes"}, {"x-forwarded-for", "evil"}});
  run(1s);
  EXPECT_EQ(client.engine().error(), "");
  EXPECT_EQ(client.answer(stream).reset.value_or(999), 999U) << last_log("reason") << client.engine().unsent(stream);
  EXPECT_TRUE(message(client, stream).body == down);
  EXPECT_EQ(message(client, stream).trailer("x-sum"), "42");
  ASSERT_EQ(backend().requests().size(), 1U);
  EXPECT_TRUE(backend().requests()[0].body == up);
  EXPECT_TRUE(backend().requests()[0].chunked);
  EXPECT_EQ(backend().requests()[0].trailer("x-up"), "yes");
  EXPECT_EQ(backend().requests()[0].trailer("x-forwarded-for"), "");
  EXPECT_EQ(last_log("request_bytes"), "300000");
  EXPECT_EQ(last_log("response_bytes"), "400000");
}

TEST_F(Http2, ManyStreamsShareAConnection) {
  const std::string body = pattern(3, 200'000);
  backend().on("/", response(body));
  start();
  SimH2Client& client = connect_h2();
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 250; ++i) streams.push_back(client.get("/"));
  run(10s);
  for (const auto stream : streams) EXPECT_TRUE(message(client, stream).body == body) << stream;
  EXPECT_EQ(proxy_.metric(Family::kActiveConnections), 1);
  EXPECT_EQ(client.engine().streams_allowed(), 100U);
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse), 0);
}

TEST_F(Http2, AHeadHasNoBody) {
  backend().on("/", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  start();
  SimH2Client& client = connect_h2();
  const auto stream = client.engine().submit("HEAD", "/", {}, true);
  client.ping();
  run(10ms);
  EXPECT_TRUE(message(client, stream).complete);
  EXPECT_EQ(message(client, stream).field("content-length"), "1000");
  EXPECT_EQ(client.engine().error(), "");
}

// The preface decides, in whatever pieces it comes.
TEST_F(Http2, ThePrefaceMayComeByteByByte) {
  start();
  SimClient& raw = connect();
  const std::string opening =
      std::string(kH2Preface) + h2_frame(4, 0, 0, "") +
      h2_frame(1, 5, 1, h2_block({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/bytes"}}));
  for (const char byte : opening) {
    raw.send({&byte, 1});
    run(1ms);
  }
  ASSERT_EQ(backend().requests().size(), 1U);
  EXPECT_EQ(backend().requests()[0].target, "/bytes");
  EXPECT_EQ(last_log("protocol"), "HTTP/2.0");
  EXPECT_EQ(proxy_.metric(Family::kActiveConnections), 1);
}

TEST_F(Http2, WhatOnlyLooksLikeThePrefaceIsHttp1) {
  start();
  SimClient& post = connect();
  post.raw("P", "POST");
  run(10ms);
  post.send("RI / HTTP/1.1\r\nHost: a\r\n\r\n");
  run(10ms);
  ASSERT_EQ(post.answer_count(), 1U);
  EXPECT_EQ(backend().requests().at(0).method, "PRI");
}

TEST_F(Http2, WhoStopsInsideThePrefaceIsTold) {
  listener().header_timeout = 5s;
  start();
  SimClient& slow = connect();
  slow.raw("PRI * HT");
  run(6s);
  expect_local_reply(slow, 408, "request_timeout");
}

TEST_F(Http2, AListenerMaySpeakOneProtocolOnly) {
  listener().protocol = proxy::ListenerProtocol::http1;
  auto& other = proxy_.setup.add_listener("h2", "10.0.0.1:81");
  other.protocol = proxy::ListenerProtocol::http2;
  start();
  SimClient& http1 = connect();
  http1.raw(kH2Preface, "PRI");
  run(10ms);
  expect_local_reply(http1, 505, "http_version_unsupported");
  SimH2Client client(outside_, *SocketAddress::parse("10.0.0.1:81"));
  const auto stream = client.get("/");
  SimClient wrong(outside_, *SocketAddress::parse("10.0.0.1:81"));
  wrong.raw("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  run(10ms);
  EXPECT_EQ(message(client, stream).status, 200);
  EXPECT_TRUE(wrong.got_fin());
  EXPECT_EQ(wrong.received().find("HTTP/1.1"), std::string::npos);
  client.close();
  wrong.close();
}

TEST_F(Http2, AResetStopsTheBackendsSide) {
  backend().on("/", Script{wait_for(1h)});
  start();
  SimH2Client& client = connect_h2();
  const auto stream = client.get("/");
  const auto other = client.get("/");
  run(10ms);
  client.reset_stream(stream);
  run(10ms);
  EXPECT_EQ(proxy_.live_streams(), 1U);
  EXPECT_EQ(backend().open_connections(), 1U);
  EXPECT_EQ(last_log("status"), "0");
  EXPECT_FALSE(client.answer(other).closed);
}

TEST_F(Http2, AFinMeansThatTheClientIsGone) {
  backend().on("/", Script{wait_for(1h)});
  start();
  SimH2Client& client = connect_h2();
  client.get("/");
  client.get("/");
  run(10ms);
  client.half_close();
  run(10ms);
  EXPECT_EQ(proxy_.live_streams(), 0U);
  EXPECT_EQ(proxy_.connections(), 0U);
  EXPECT_EQ(backend().open_connections(), 0U);
}

TEST_F(Http2, ACutAnswerIsAResetOfItsStreamAlone) {
  backend().on("/cut",
               Script{send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), then(Action::Kind::close)});
  start();
  SimH2Client& client = connect_h2();
  const auto cut = client.get("/cut");
  const auto whole = client.get("/");
  run(100ms);
  EXPECT_EQ(client.answer(cut).reset, kH2InternalError);
  EXPECT_FALSE(message(client, cut).complete);
  EXPECT_EQ(message(client, whole).body, "hello\n");
}

TEST_F(Http2, AnEarlyAnswerEndsTheUploadAlone) {
  route().body_bytes_max = 1000;
  start();
  SimH2Client& client = connect_h2();
  const auto stream = client.open("POST", "/");
  client.body(stream, std::string(2000, 'b'));
  const auto other = client.get("/");
  run(100ms);
  EXPECT_EQ(message(client, stream).status, 413);
  EXPECT_TRUE(message(client, stream).complete);
  EXPECT_EQ(client.answer(stream).reset, kH2NoError);
  EXPECT_EQ(message(client, other).status, 200);
}

TEST_F(Http2, MalformedRequestsAreResetAndNeverForwarded) {
  start();
  const Message::Fields good{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}};
  const std::vector<Message::Fields> bad{
      {{"X-Upper", "1"}},
      {{"transfer-encoding", "chunked"}},
      {{"connection", "close"}},
      {{"x", "a\r\nhost: b"}},
      {{"x", std::string("a\0b", 3)}},
      {{"a:b", "1"}},
      {{"host", "b"}},
      {{":path", "/again"}},
      {{"content-length", "1, 1"}},
      {{"upgrade", "h2c"}},
      {{"te", "gzip"}},
      {{"content-length", "5"}},
  };
  for (const Message::Fields& fields : bad) {
    SimClient& client = connect();
    Message::Fields all = good;
    all.insert(all.end(), fields.begin(), fields.end());
    client.raw(std::string(kH2Preface) + h2_frame(4, 0, 0, "") + h2_frame(1, 5, 1, h2_block(all)), "");
    run(10ms);
    EXPECT_TRUE(backend().requests().empty()) << fields[0].first;
    EXPECT_NE(client.received().find(h2_frame(3, 0, 1, std::string("\0\0\0\1", 4))), std::string::npos)
        << fields[0].first;
    EXPECT_FALSE(client.ended()) << fields[0].first;
  }
  EXPECT_GE(proxy_.metric(Family::kLocalReplies, {"bad_request"}), static_cast<std::int64_t>(bad.size()) - 1);
}

TEST_F(Http2, OversizedHeadsAreAnswered) {
  listener().head_limits = {200, 5, 50};
  start();
  SimH2Client& client = connect_h2();
  const auto uri = client.get("/" + std::string(60, 'u'));
  const auto lines = client.get("/", {{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}, {"e", "1"}, {"f", "1"}});
  const auto fits = client.get("/");
  run(10ms);
  EXPECT_EQ(message(client, uri).status, 414);
  EXPECT_EQ(message(client, lines).status, 431);
  EXPECT_EQ(message(client, fits).status, 200);
}

TEST_F(Http2, ADrainSaysGoodbyeTwiceAndFinishesWhatRuns) {
  backend().on("/slow", Script{wait_for(2s), send_bytes(response("late"))});
  start();
  SimH2Client& busy = connect_h2();
  SimH2Client& idle = connect_h2();
  const auto slow = busy.get("/slow");
  idle.get("/");
  run(100ms);
  proxy_.drain(10s);
  run(1200ms);
  ASSERT_EQ(busy.engine().go_aways().size(), 2U);
  EXPECT_EQ(busy.engine().go_aways()[0].last_id, INT32_MAX);
  EXPECT_EQ(busy.engine().go_aways()[1].last_id, slow);
  // It has not answered the PING: nghttp2 has nothing left to say.
  EXPECT_TRUE(idle.got_fin());
  EXPECT_FALSE(busy.ended());
  run(2s);
  EXPECT_EQ(message(busy, slow).body, "late");
  EXPECT_TRUE(busy.got_fin());
}

TEST_F(Http2, AnIdleConnectionIsEndedWithAGoodbye) {
  listener().idle_timeout = 5s;
  start();
  SimH2Client& client = connect_h2();
  client.get("/");
  run(4s);
  EXPECT_FALSE(client.ended());
  run(2s);
  EXPECT_TRUE(client.got_fin());
  ASSERT_EQ(client.engine().go_aways().size(), 1U);
  EXPECT_EQ(client.engine().go_aways()[0].code, kH2NoError);
}

// What an idle connection frees is made anew.
TEST_F(Http2, ARestedConnectionGoesOn) {
  backend().on("/", response("hi", "X-One: 1\r\nX-Two: 2\r\n"));
  start();
  SimH2Client& client = connect_h2();
  for (int i = 0; i < 9; ++i) {
    const auto stream = client.get("/");
    run(i % 3 == 2 ? 10s : 100ms);
    EXPECT_EQ(client.engine().error(), "");
    EXPECT_EQ(message(client, stream).field("x-two"), "2");
  }
  EXPECT_EQ(proxy_.metric(Family::kActiveConnections), 1);
  run(61s);
  EXPECT_TRUE(client.got_fin());
}

TEST_F(Http2, HeldWindowsEndByStreamIdle) {
  cluster().timeouts.stream_idle = 5s;
  backend().on("/", response(pattern(1, 1'000'000)));
  start();
  H2Options options;
  options.stream_window = 1000;
  SimH2Client& client = connect_h2(options);
  const auto stream = client.get("/");
  client.engine().hold_window(stream);
  run(4s);
  EXPECT_FALSE(client.answer(stream).closed);
  run(7s);
  EXPECT_EQ(client.answer(stream).reset, kH2InternalError);
  EXPECT_EQ(client.answer(stream).body_bytes, 1000U);
  EXPECT_EQ(proxy_.live_streams(), 0U);
}

TEST_F(Http2, AnUploadIsHeldBackWithItsBackend) {
  backend().on("/", Handler{[](const Message&) {
                              return Script{then(Action::Kind::stop_reading), wait_for(2s),
                                            then(Action::Kind::go_on_reading)};
                            },
                            [](const Message&) { return Script{send_bytes(response("got it"))}; }});
  start();
  const std::string up = pattern(1, 5'000'000);
  SimH2Client& client = connect_h2();
  const auto stream = client.post("/", up);
  run(1s);
  EXPECT_GT(client.engine().unsent(stream), 3'000'000U);
  EXPECT_LE(proxy_.buffer_bytes_out(), 1024U * 1024);
  run(10s);
  EXPECT_EQ(client.engine().error(), "");
  EXPECT_EQ(client.answer(stream).reset.value_or(999), 999U) << last_log("reason") << client.engine().unsent(stream);
  EXPECT_EQ(message(client, stream).body, "got it");
  EXPECT_TRUE(backend().requests().at(0).body == up);
}

TEST_F(Http2, ASlowBodyIsLate) {
  listener().body_timeout = 3s;
  start();
  SimH2Client& client = connect_h2();
  const auto stream = client.open("POST", "/");
  client.body(stream, "x");
  run(5s);
  EXPECT_EQ(message(client, stream).status, 408);
  EXPECT_FALSE(client.ended());
}

TEST_F(Http2, AFrameThatIsNeverFinishedEndsTheConnection) {
  listener().header_timeout = 3s;
  start();
  SimH2Client& client = connect_h2();
  client.get("/");
  run(100ms);
  client.raw(h2_frame(1, 0, 3, "").substr(0, 5));
  run(5s);
  ASSERT_EQ(client.engine().go_aways().size(), 1U);
  EXPECT_EQ(client.engine().go_aways()[0].code, kH2EnhanceYourCalm);
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse, {"slow_frame"}), 1);
}

// What an HTTP/1.1 backend says by any answer but 101, that there will be no tunnel, must not look like one (RFC 8441
// 5).
TEST_F(BugsOfHttp2, Case050ARefusedUpgradeIsNoTunnel) {
  backend().on("/ok", response("not a tunnel"));
  backend().on("/no", response("no", "", "403 Forbidden"));
  proxy_.setup.add_route("said", {}, "/said").respond = proxy::Respond{200, "ok", {}};
  std::swap(proxy_.setup.routes[0], proxy_.setup.routes[1]);
  start();
  SimH2Client& client = connect_h2();
  const auto ok = client.websocket("/ok");
  const auto no = client.websocket("/no");
  const auto said = client.websocket("/said");
  run(100ms);
  EXPECT_EQ(client.answer(ok).message.status, 502);
  EXPECT_EQ(client.answer(ok).message.body, "502 upstream_protocol_error\n");
  EXPECT_EQ(client.answer(no).message.status, 403);
  EXPECT_EQ(client.answer(said).message.status, 405);
}

// A protocol's breach is counted by its error code.
TEST_F(Http2, BreachesAreCounted) {
  start();
  connect().raw(std::string(kH2Preface) + h2_frame(4, 0, 0, "") + h2_frame(0, 0, 0, "data"), "");
  connect().raw(std::string(kH2Preface) + h2_frame(4, 0, 0, "") + h2_frame(1, 5, 1, std::string(6, '\xFF')), "");
  run(100ms);
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse, {"PROTOCOL_ERROR"}), 1);
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse, {"COMPRESSION_ERROR"}), 1);
}

// The header of the PROXY protocol stands before the preface.
TEST_F(Http2, ThePrefaceMayFollowAProxyHeader) {
  listener().proxy_protocol = true;
  start();
  SimClient& raw = connect();
  raw.raw("PROXY TCP4 203.0.113.7 10.0.0.1 5555 80\r\n" + std::string(kH2Preface) + h2_frame(4, 0, 0, "") +
          h2_frame(1, 5, 1, h2_block({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}})));
  run(100ms);
  ASSERT_EQ(backend().requests().size(), 1U);
  EXPECT_EQ(backend().requests()[0].field("x-forwarded-for"), "203.0.113.7");
  EXPECT_EQ(last_log("protocol"), "HTTP/2.0");
}

}  // namespace
}  // namespace weir::sim
