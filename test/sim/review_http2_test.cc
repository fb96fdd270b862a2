// HTTP/2 at its edges: what a review by reading found.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

using Kind = Action::Kind;
using observe::Family;

constexpr std::string_view kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// An answer that was all there, though its client was slow, was cut when its backend closed the connection.
TEST_P(Bugs, Case072AWholeAnswerIsNotCutByItsConnectionsEnd) {
  if (to_http1()) return;  // there the socket keeps it
  fates_.client.send_buffer_bytes = 8000;
  const std::string body = pattern(1, 90'000);
  backend().on("/", Script{then(Kind::go_away), send_bytes(response(body)), wait_for(500ms), then(Kind::close)});
  start();
  SimClient& client = connect();
  client.stop_reading();
  client.get("/");
  run(1s);
  EXPECT_EQ(backend().open_connections(), 0U);
  client.go_on_reading();
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_TRUE(client.answers()[0].body == body);
}

// The backend's half-close of a tunnel was told twice where its last bytes had filled the client's output: the tunnel
// could not end any more.
TEST_P(Bugs, Case073ATunnelsHalfCloseIsToldOnce) {
  fates_.client.send_buffer_bytes = 8000;
  backend().on("/ws", Handler{{}, [](const Message& request) {
                                return Script{send_bytes(switching(request)), then(Kind::tunnel)};
                              }});
  start();
  for (std::size_t i = 0; i < 12; ++i) {
    SimClient& client = connect();
    client.raw(kUpgrade);
    run(50ms);
    client.stop_reading();
    const std::string down = pattern(1, 52'000 + 4000 * i);
    BackendExchange tunnel = exchange(i);
    tunnel.send(down);
    tunnel.half_close();
    run(50ms);
    client.go_on_reading();
    run(200ms);
    EXPECT_TRUE(client.tunnel() == down) << down.size();
    client.end_tunnel();
    run(100ms);
    ASSERT_EQ(proxy_.live_streams(), 0U) << down.size();
  }
}

// A client that said it awaits 100 Continue, and then had no body, was given up for not sending one.
TEST_P(Bugs, Case074AnExpectationWithoutABodyStartsNoClock) {
  listener().body_timeout = 2s;
  backend().on("/", Script{send_bytes("HTTP/1.1 100 Continue\r\n\r\n"), wait_for(5s), send_bytes(response("x"))});
  start();
  SimClient& client = connect();
  client.raw("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
  run(10s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].status, 200);
  if (from_http1()) return;
  SimH2Client& empty = connect_h2();
  const std::int32_t stream = empty.open("POST", "/", {{"expect", "100-continue"}});
  empty.end(stream);
  run(10s);
  EXPECT_EQ(empty.answer(stream).message.status, 200);
}

// What a backend's earlier connection had allowed was believed for ever, once its SETTINGS left it out.
TEST_F(BugsOfHttp2, Case076SettingsThatAllowNoNumberAllowMany) {
  speak_http2(0, {.streams_max = 1});
  backend().on("/slow", Script{wait_for(1s), send_bytes(response("slow"))});
  start();
  get("/");
  backend().http2 = H2ServerOptions{};
  backend().connections().at(0)->close();
  run(10ms);
  get("/");
  for (int i = 0; i < 20; ++i) connect().get("/slow");
  run(2s);
  EXPECT_EQ(backend().requests().size(), 22U);
  EXPECT_EQ(backend().connections().size(), 2U);
}

// A stream that a backend refused, or reset, was taken for the end of its connection: another one was wanted, which
// max_connections did not allow.
TEST_F(BugsOfHttp2, Case077ARefusedStreamIsTriedAgainOnItsConnection) {
  for (const std::uint32_t code : {kH2RefusedStream, kH2InternalError}) {
    const std::string path = "/" + std::to_string(code);
    speak_http2(0);
    proxy_.setup.clusters.front().members.front().backend->set_max_connections(1);
    const auto first = std::make_shared<bool>(true);
    backend().on(path, Handler{{}, [first, code](const Message&) {
                                 return std::exchange(*first, false) ? Script{then(Kind::reset_stream, code)}
                                                                     : Script{send_bytes(response("again"))};
                               }});
    if (backend().connections().empty()) start();
    get("/");
    SimClient& client = connect();
    client.get(path);
    run(1s);
    ASSERT_EQ(client.answer_count(), 1U);
    EXPECT_EQ(client.answers()[0].status, 200) << code;
    EXPECT_EQ(backend().connections().size(), 1U);
  }
}

// A server that needs no more of an upload says so behind its answer: after as many as the limit on control frames it
// was taken for a flooder, and its connection cut with all that others had on it.
TEST_F(BugsOfHttp2, Case127EarlyAnswersToUploadsHarmNobody) {
  speak_http2(0);
  cluster().http2_limits.control_frames_per_window = 100;
  backend().on("/enough", Handler{[](const Message&) {
                                    return Script{send_bytes(response("enough")), then(Kind::reset_stream, kH2NoError)};
                                  },
                                  {}});
  backend().on("/slow", Script{wait_for(500ms), send_bytes(response("slow"))});
  start();
  get("/");
  SimH2Client& uploader = connect_h2();
  run(10ms);
  SimClient& other = connect();
  for (int round = 0; round < 12; ++round) {
    if (round % 4 == 0) other.get("/slow");
    for (int i = 0; i < 50; ++i) uploader.open("POST", "/enough");
    run(200ms);
  }
  run(1s);
  EXPECT_EQ(uploader.complete_answers(), 600U);
  EXPECT_EQ(other.answer_count(), 3U);
  EXPECT_EQ(proxy_.log().size(), 604U);
  for (const std::string& line : proxy_.log()) ASSERT_EQ(SimProxy::log_value(line, "status"), "200") << line;
  EXPECT_EQ(backend().connections().size(), 1U);
}

// The end of one request closed the connection that another one of the same client waited for, which ended with it
// while the client's requests were gone through.
TEST_F(BugsOfHttp2, Case128AClientTakesAllItsRequestsAlong) {
  fates_.backend.delay = 20ms;
  cluster().retry.attempts = 1;
  speak_http2(0);
  backend().http2_mute = kForever;
  start();
  SimH2Client& client = connect_h2();
  run(2ms);
  client.get("/");
  client.websocket("/ws");
  run(5ms);
  add_backend("two");
  proxy_.setup.clusters.front().members.erase(proxy_.setup.clusters.front().members.begin());
  proxy_.update_members("app");
  run(100ms);
  EXPECT_EQ(backend().heads(), 1U);
  EXPECT_EQ(proxy_.live_streams(), 2U);
  client.close();
  run(1s);
  EXPECT_EQ(proxy_.live_streams(), 0U);
  // What a backend that has left saw is compared with the attempts at it, and the WebSocket never came to it.
  http2_clients_.push_back(std::make_unique<SimH2Client>(outside_, backend().address()));
  http2_clients_.back()->get("/");
  run(100ms);
}

// Trailers behind a body that was said to be empty were lost.
TEST_F(BugsOfHttp2, Case079AnEmptyBodyMayHaveTrailers) {
  speak_http2(0);
  const auto frame = [](std::uint8_t flags, const Message::Fields& fields) {
    return Action{Kind::raw, h2_frame(1, flags, 0, h2_block(fields)), {}, 1};
  };
  backend().on("/", Handler{[&](const Message&) {
                              return Script{frame(4, {{":status", "200"}, {"content-length", "0"}}),
                                            frame(5, {{"x-sum", "0"}}), wait_for(kForever)};
                            },
                            {}});
  start();
  SimH2Client& client = connect_h2();
  const std::int32_t stream = client.get("/");
  run(1s);
  EXPECT_TRUE(client.answer(stream).message.complete);
  EXPECT_EQ(client.answer(stream).message.trailers, (Message::Fields{{"x-sum", "0"}}));
  SimClient& old = get("/");
  ASSERT_EQ(old.answer_count(), 1U);
  EXPECT_EQ(old.answers()[0].body, "");
}

// RFC 7541 6.2.3: trailers that must not be put into tables went on as others do.
TEST_F(BugsOfHttp2, Case163TrailersThatMustNotBeIndexedStayOutOfTables) {
  speak_http2(0);
  const auto frame = [](std::uint8_t type, std::uint8_t flags, std::string_view payload) {
    return Action{Kind::raw, h2_frame(type, flags, 0, payload), {}, 1};
  };
  using namespace std::string_literals;
  backend().on("/", Handler{[&](const Message&) {
                              return Script{frame(1, 4, h2_block({{":status", "200"}})), frame(0, 0, "hello"),
                                            frame(1, 5, "\x10\x05x-key\x01s"s + h2_block({{"x-sum", "0"}})),
                                            wait_for(kForever)};
                            },
                            {}});
  start();
  SimH2Client& client = connect_h2();
  const std::int32_t stream = client.get("/");
  run(1s);
  EXPECT_EQ(client.answer(stream).message.trailers, (Message::Fields{{"x-key", "s"}, {"x-sum", "0"}}));
  EXPECT_THAT(client.answer(stream).never_indexed, testing::ElementsAre("x-key"));
}

// One that was not read from, since it had not taken what was said, was not read from while it was closed either: what
// it had asked for meanwhile, still in the socket, made the close a reset.
TEST_F(BugsOfHttp2, Case186ADrainLetsAFullClientHaveItsAnswers) {
  auto& moved = proxy_.setup.add_route("moved", "", "/old");
  moved.redirect = proxy::Redirect{};
  moved.redirect->scheme = "https";
  std::swap(proxy_.setup.routes[0], proxy_.setup.routes[1]);
  fates_.client.send_buffer_bytes = 64'000;
  fates_.client.to_connector.drip_bytes = 10'000;
  fates_.client.to_connector.drip_interval = 500ms;
  start();
  SimH2Client& client = connect_h2();
  const std::string target = "/old/" + pattern(1, 7000);
  for (int i = 0; i < 100; ++i) client.get(target);
  run(10ms);
  const auto answered = static_cast<std::size_t>(proxy_.metric(observe::Family::kRequests));
  EXPECT_GT(answered, 20U);
  EXPECT_LT(answered, 100U);
  proxy_.drain(2min);
  run(60s);
  EXPECT_EQ(client.complete_answers(), answered);
  EXPECT_TRUE(client.got_fin());
  EXPECT_FALSE(client.got_reset());
  EXPECT_TRUE(proxy_.done());
}

// Whatever a backend had done, all that was seen was 502 upstream_protocol_error.
TEST_F(BugsOfHttp2, Case178WhatABackendFloodsWithIsNotTold) {
  speak_http2(0);
  cluster().http2_limits.control_frames_per_window = 100;
  const std::pair<const char*, std::string> floods[] = {
      {"ping", h2_frame(6, 0, 0, "12345678")},
      {"settings", h2_frame(4, 0, 0, "")},
      {"FRAME_SIZE_ERROR", h2_frame(6, 0, 0, "1")},
  };
  for (const auto& [kind, frame] : floods) {
    std::string flood;
    for (int i = 0; i < 200; ++i) flood += frame;
    backend().on(std::string("/") + kind, Script{{Kind::raw, flood, {}, 0}});
  }
  start();
  EXPECT_EQ(get("/").answers().at(0).status, 200);
  for (const auto& [kind, frame] : floods) {
    SimClient& client = connect();
    client.get(std::string("/") + kind);
    run(1s);
    expect_local_reply(client, 502, "upstream_protocol_error");
    EXPECT_EQ(proxy_.metric(Family::kBackendHttp2Abuse, {kind}), 1) << kind;
    ASSERT_FALSE(proxy_.http2_problems.empty());
    EXPECT_TRUE(proxy_.http2_problems.back().starts_with(kind)) << proxy_.http2_problems.back();
  }
  EXPECT_EQ(proxy_.metric(Family::kBackendHttp2Abuse, {"app", "one"}), 3);
}

// Only those were counted that had to go because all together held too much.
TEST_F(BugsOfHttp2, Case179AnAnswerWhoseEndIsHeldIsEndedWithoutACount) {
  listener().idle_timeout = 5s;
  start();
  SimH2Client& client = connect_h2({.stream_window = 3});
  const auto stream = client.get("/");
  client.engine().hold_window(stream);
  run(10s);
  EXPECT_EQ(client.answer(stream).message.body, "hel");
  EXPECT_EQ(client.answer(stream).reset, kH2Cancel);
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse, {"held_tail"}), 1);
}

}  // namespace
}  // namespace weir::sim
