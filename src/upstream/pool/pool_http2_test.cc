// A pool of HTTP/2 connections over the simulated network, against frames by hand.

#include "http/http2/session_test_util.h"
#include "upstream/pool/pool_fixture.h"

namespace weir {

struct Http2ConnectionPeer {
  static http2::Session& session(UpstreamStream& stream) {
    return static_cast<Http2UpstreamStream&>(stream).connection_.session_;
  }
};

namespace {

using namespace http2::test;
using http2::ErrorCode;
using http2::Setting;

class PoolHttp2 : public PoolTest {
 protected:
  Pool& make_http2(std::uint32_t max_connections = Backend::kNoLimit) {
    Pool& made = make(max_connections);
    backend->set_protocol(SpokenProtocol::http2);
    return made;
  }
  // A try that borrows and sends a GET, or a POST whose body follows.
  Try& get(bool post = false) {
    Try& made = ask();
    if (post) {
      made.head.method_text = "POST";
      made.head.method = http::Method::post;
      made.head.body = http::BodyKind::stream_end;
    }
    run();
    if (made.lent != nullptr) {
      made.lent->send_head(made.head);
      if (!post) made.lent->send_end(nullptr);
      run();
    }
    return made;
  }
  // A try that asks for a WebSocket, and waits for what the settings offer.
  Try& ask_tunnel() {
    Try& made = tries.emplace_back(loop.buffers());
    made.head.upgrade_websocket = true;
    made.head.fields.add("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", http::FieldId::sec_websocket_key);
    EXPECT_EQ(pool->acquire(made).status, Status::pending);
    run();
    return made;
  }
  // The loop reads the clock at the end.
  void pass(Duration time) {
    run(time);
    loop.post([] {});
    run();
  }
  void say(SocketId socket, std::string_view bytes) { answer(socket, bytes); }
  std::string heard(SocketId socket) {
    std::string all;
    char piece[4096];
    for (;;) {
      const IoResult result = outside.read(socket, piece);
      if (result.status != IoStatus::ok) return all;
      all.append(piece, result.bytes);
    }
  }
  // The kinds of the frames behind the preface, if it stands there.
  static std::string kinds(std::string_view bytes) {
    if (bytes.starts_with(http2::Session::kPreface)) bytes.remove_prefix(http2::Session::kPreface.size());
    std::string text;
    while (bytes.size() >= 9) {
      const http2::FrameHeader header = http2::read_frame_header(bytes.data());
      text += std::to_string(static_cast<int>(header.type)) + "@" + std::to_string(header.stream) + " ";
      bytes.remove_prefix(9 + header.length);
    }
    return text;
  }
  static bool is_http2(UpstreamStream& stream) { return dynamic_cast<Http2UpstreamStream*>(&stream) != nullptr; }
  static std::string streams_max(std::uint32_t count) {
    return settings(setting(Setting::max_concurrent_streams, count));
  }
};

TEST_F(PoolHttp2, OneConnectionServesMany) {
  make_http2();
  Try& one = get();
  Try& two = get();
  check(1, 0);
  EXPECT_EQ(context.leases_out, 2U);
  const SocketId socket = accept();
  say(socket,
      settings() + headers(3, kOk, false) + data(3, "two", true) + headers(1, kOk, false) + data(1, "one", true));
  EXPECT_TRUE(one.ended);
  EXPECT_TRUE(two.ended);
  EXPECT_EQ(one.body, "one");
  EXPECT_EQ(two.body, "two");
  EXPECT_EQ(context.leases_out, 0U);
  check(1, 0);
  EXPECT_TRUE(context.close_longest_idle());
  check(0, 0);
}

TEST_F(PoolHttp2, ThoseThatWaitShareWhatIsBeingMade) {
  make_http2();
  for (int i = 0; i < 20; ++i) ask();
  check(1, 0);
  run();
  for (Try& one : tries) EXPECT_NE(one.lent, nullptr);
  check(1, 0);
  for (Try& one : tries) one.lent->cancel();
  EXPECT_EQ(context.leases_out, 0U);
}

TEST_F(PoolHttp2, AtTheLimitOfStreamsAnotherConnectionIsOpened) {
  make_http2();
  Try& one = get();
  const SocketId first = accept();
  say(first, streams_max(1));
  Try& two = get();
  check(2, 0);
  const SocketId second = accept();
  say(second, streams_max(1) + headers(1, kOk));
  EXPECT_TRUE(two.ended);
  EXPECT_FALSE(one.ended);
  Try& three = get();
  check(2, 0);
  say(second, headers(3, kOk));
  EXPECT_TRUE(three.ended);
  one.lent->cancel();
}

TEST_F(PoolHttp2, TheLeastLoadedConnectionCarriesTheNextStream) {
  make_http2();
  Try& one = get();
  const SocketId first = accept();
  say(first, streams_max(2));
  Try& two = get();
  Try& three = get();
  check(2, 0);
  const SocketId second = accept();
  say(second, streams_max(8));
  Try& four = get();  // the first is full
  say(first, headers(1, kOk));
  EXPECT_TRUE(one.ended);
  Try& five = get();
  say(first, headers(5, kOk) + headers(3, kOk));
  EXPECT_TRUE(five.ended);
  EXPECT_TRUE(two.ended);
  say(second, headers(1, kOk) + headers(3, kOk));
  EXPECT_TRUE(three.ended);
  EXPECT_TRUE(four.ended);
}

TEST_F(PoolHttp2, NobodyWaitsBehindAGoAway) {
  make_http2();
  Try& one = get();
  Try& two = get(true);
  const SocketId first = accept();
  say(first, settings() + goaway(1));
  EXPECT_EQ(two.error.failure, UpstreamFailure::reset);
  EXPECT_TRUE(two.error.unprocessed);
  Try& three = get();
  check(2, 0);
  const SocketId second = accept();
  say(second, settings() + headers(1, kOk));
  EXPECT_TRUE(three.ended);
  say(first, headers(1, kOk));
  EXPECT_TRUE(one.ended);
  check(1, 0);
}

TEST_F(PoolHttp2, ARefusedStreamIsUnprocessedAndTheOthersGoOn) {
  make_http2();
  Try& one = get();
  Try& two = get();
  const SocketId socket = accept();
  say(socket, settings() + rst_stream(1, ErrorCode::refused_stream) + rst_stream(3, ErrorCode::internal_error));
  EXPECT_TRUE(one.error.unprocessed);
  EXPECT_EQ(two.error.failure, UpstreamFailure::reset);
  EXPECT_FALSE(two.error.unprocessed);
  EXPECT_TRUE(two.error.written);
  check(1, 0);
}

TEST_F(PoolHttp2, CancellingHarmsNoOtherStream) {
  make_http2();
  Try& one = get();
  Try& two = get();
  const SocketId socket = accept();
  say(socket, settings());
  heard(socket);
  one.lent->cancel();
  run();
  EXPECT_NE(kinds(heard(socket)).find("3@1"), std::string::npos);
  say(socket, headers(3, kOk));
  EXPECT_TRUE(two.ended);
  check(1, 0);
}

TEST_F(PoolHttp2, AHeldBackStreamSlowsNoOther) {
  make_http2();
  Try& one = get();
  Try& two = get();
  const SocketId socket = accept();
  say(socket, settings() + headers(1, kOk, false) + headers(3, kOk, false) + data(1, "ab"));
  one.lent->pause_response();
  say(socket, data(1, "cd") + data(3, "xy") + data(1, "ef", true) + data(3, "z", true));
  EXPECT_EQ(one.body, "ab");
  EXPECT_FALSE(one.ended);
  EXPECT_EQ(two.body, "xyz");
  EXPECT_TRUE(two.ended);
  one.lent->resume_response();
  run();
  EXPECT_EQ(one.body, "abcdef");
  EXPECT_TRUE(one.ended);
}

using Bugs = PoolHttp2;
TEST_F(Bugs, Case034AWindowOpenedAfterAPauseIsToldAtOnce) {
  make_http2();
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings() + headers(1, kOk, false));
  one.lent->pause_response();
  for (int i = 0; i < 4; ++i) say(socket, data(1, std::string(16'000, 'a')));
  heard(socket);
  one.lent->resume_response();
  run();
  EXPECT_EQ(one.body.size(), 64'000U);
  EXPECT_EQ(kinds(heard(socket)).find("8@1"), 0U);
  one.lent->cancel();
}

// A connection whose SETTINGS had not come was lent as often as the last ones said, and the session took fewer.
TEST_F(Bugs, Case036MoreStreamsThanASessionTakesWithoutSettings) {
  make_http2();
  backend->learn_http2(1000, false);
  for (int i = 0; i < 150; ++i) {
    Try& one = ask();
    run();
    if (one.lent == nullptr) continue;
    one.lent->send_head(one.head);
    one.lent->send_end(nullptr);
  }
  for (Try& one : tries) EXPECT_NE(one.lent, nullptr);
  check(1, 0);
  for (Try& one : tries) {
    if (one.lent != nullptr) one.lent->cancel();
  }
}

TEST_F(PoolHttp2, AnAnswerBeforeTheRequestsEndIsComplete) {
  make_http2();
  Try& one = get(true);
  const SocketId socket = accept();
  say(socket, settings() + headers(1, kOk, false) + data(1, "no", true));
  EXPECT_TRUE(one.ended);
  EXPECT_EQ(one.body, "no");
  run();
  EXPECT_NE(kinds(heard(socket)).find("3@1"), std::string::npos);
  check(1, 0);
}

TEST_F(PoolHttp2, WhatBreaksTheRulesIsAProtocolError) {
  make_http2();
  Try& one = get();
  Try& two = get();
  const SocketId socket = accept();
  say(socket, settings() + headers(1, kOk + field("content-length", "3"), false) + data(1, "ab", true));
  EXPECT_EQ(one.error.failure, UpstreamFailure::protocol_error);
  say(socket, data(0, "for no stream"));
  EXPECT_EQ(two.error.failure, UpstreamFailure::protocol_error);
  EXPECT_FALSE(two.error.unprocessed);
  EXPECT_NE(kinds(heard(socket)).find("7@0"), std::string::npos);
  check(0, 0);
}

TEST_F(PoolHttp2, AnEndFailsWhatIsNotComplete) {
  make_http2();
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings());
  outside.close(socket);
  run();
  EXPECT_EQ(one.error.failure, UpstreamFailure::reset);
  EXPECT_FALSE(one.error.unprocessed);
  EXPECT_FALSE(one.error.answered);
  check(0, 0);
}

TEST_F(PoolHttp2, AServerOfHttp1IsFoundOut) {
  make_http2();
  Try& one = get(true);
  const SocketId socket = accept();
  say(socket, "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
  EXPECT_EQ(one.error.failure, UpstreamFailure::protocol_error);
  EXPECT_TRUE(one.error.unprocessed);
  EXPECT_EQ(backend->protocol(), SpokenProtocol::unknown);
  EXPECT_EQ(wanted, 1);
  Try& two = get();
  EXPECT_EQ(two.error.failure, UpstreamFailure::none);
  answer(accept(), kAnswer);
  EXPECT_EQ(two.body, "ok");
}

TEST_F(PoolHttp2, AServerOfHttp2IsFoundOut) {
  make();
  backend->set_protocol(SpokenProtocol::http1);
  Try& one = get(true);
  say(accept(), settings());
  EXPECT_TRUE(one.error.unprocessed);
  EXPECT_EQ(backend->protocol(), SpokenProtocol::http2);
  Try& two = get();
  say(accept(), settings() + headers(1, kOk));
  EXPECT_TRUE(two.ended);
}

TEST_F(PoolHttp2, SilenceIsAskedAboutAndEndsTheConnection) {
  make_http2();
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings());
  heard(socket);
  run(29s);
  EXPECT_EQ(kinds(heard(socket)), "");
  run(2s);
  EXPECT_EQ(kinds(heard(socket)), "6@0 ");
  EXPECT_EQ(one.error.failure, UpstreamFailure::none);
  run(10s);
  EXPECT_EQ(one.error.failure, UpstreamFailure::reset);
  check(0, 0);
}

TEST_F(PoolHttp2, AfterALongSilenceAPingComesFirst) {
  make_http2();
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings() + headers(1, kOk));
  EXPECT_TRUE(one.ended);
  pass(40s);
  heard(socket);
  Try& two = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  run();
  const std::string asked = heard(socket);
  EXPECT_EQ(kinds(asked), "6@0 ");
  EXPECT_EQ(two.lent, nullptr);
  say(socket, frame(http2::FrameType::ping, http2::kFlagAck, 0, asked.substr(9)));
  ASSERT_NE(two.lent, nullptr);
  check(1, 0);
  two.lent->cancel();
  pass(40s);
  Try& three = ask();
  run(2s);
  // No answer: another connection.
  ASSERT_NE(three.lent, nullptr);
  check(1, 0);
  three.lent->cancel();
}

// The path to a backend was gone: each request that was given up left its connection as good as new, for the next one.
TEST_F(Bugs, Case121AConnectionThatHasFallenSilentIsAskedAtOnce) {
  make_http2();
  Try& one = get();
  const SocketId silent = accept();
  say(silent, settings() + headers(1, kOk));
  EXPECT_TRUE(one.ended);
  pass(10s);
  Try& two = get();
  ASSERT_NE(two.lent, nullptr);
  pass(5s);
  two.lent->cancel();
  pass(5s);
  heard(silent);
  Try& three = get();
  EXPECT_EQ(kinds(heard(silent)), "6@0 ");
  pass(2s);
  ASSERT_NE(three.lent, nullptr);
  check(1, 0);
  three.send();
  run();
  say(accept(), settings() + headers(1, kOk));
  EXPECT_TRUE(three.ended);
}

TEST_F(PoolHttp2, OneThatAnsweredMeanwhileIsTrusted) {
  make_http2();
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings());
  pass(5s);
  say(socket, headers(1, kOk, false));
  pass(5s);
  one.lent->cancel();
  pass(1s);
  Try& two = ask();
  EXPECT_EQ(acquired.status, Status::ready);
  two.lent->cancel();
  // Nobody could answer what was not sent.
  pass(1s);
  Try& three = ask();
  EXPECT_EQ(acquired.status, Status::ready);
  three.lent->cancel();
}

TEST_F(PoolHttp2, ATunnelNeedsWhatTheSettingsOffer) {
  make_http2();
  Try& one = ask_tunnel();
  EXPECT_EQ(one.lent, nullptr);
  const SocketId socket = accept();
  say(socket, settings(setting(Setting::enable_connect_protocol, 1)));
  ASSERT_NE(one.lent, nullptr);
  one.lent->send_head(one.head);
  run();
  say(socket, headers(1, kOk, false));
  EXPECT_EQ(one.status, 101);
  one.lent->cancel();
  EXPECT_EQ(context.leases_out, 0U);
}

TEST_F(PoolHttp2, ElseATunnelGoesOverHttp1) {
  make_http2();
  Try& one = ask_tunnel();
  say(accept(), settings());
  run();
  ASSERT_NE(one.lent, nullptr);
  EXPECT_FALSE(one.lent->tells_unprocessed());
  check(2, 0);
  one.lent->cancel();
}

TEST_F(Bugs, Case033TheEndOfAnUpgradeIsNotTheEndOfItsTunnel) {
  make_http2();
  Try& one = ask_tunnel();
  const SocketId socket = accept();
  say(socket, settings(setting(Setting::enable_connect_protocol, 1)));
  ASSERT_NE(one.lent, nullptr);
  one.lent->send_head(one.head);
  one.lent->send_end(nullptr);  // a GET has no body
  run();
  say(socket, headers(1, kOk, false));
  one.lent->start_tunnel();
  heard(socket);
  one.lent->send_body("ping");
  run();
  EXPECT_EQ(heard(socket), data(1, "ping"));
  one.lent->send_end(nullptr);
  run();
  EXPECT_EQ(heard(socket), data(1, "", true));
  one.lent->cancel();
}

// Two connections that had spoken HTTP/1.1 before the backend was found to speak HTTP/2 held both places.
TEST_F(Bugs, Case108WhatIdlesInAnotherVersionMakesRoom) {
  make(2);
  for (int i = 0; i < 2; ++i) ask();
  run();
  for (Try& each : tries) {
    ASSERT_NE(each.lent, nullptr);
    each.send();
  }
  run();
  const SocketId one = accept(), two = accept();
  for (const SocketId socket : {one, two}) answer(socket, kAnswer);
  check(2, 2);
  backend->set_protocol(SpokenProtocol::http2);
  Try& late = get();
  EXPECT_EQ(acquired.status, Status::pending);
  ASSERT_NE(late.lent, nullptr);
  EXPECT_EQ(backend->connections(), 2U);
  late.lent->cancel();
}

// Nothing of the request had gone out, which nobody was told: it was tried again as if it had.
TEST_F(Bugs, Case111ATunnelThatFindsNoConnectionIsUnprocessed) {
  make_http2();
  Try& one = ask_tunnel();
  outside.close(accept());
  run();
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::reset);
  EXPECT_TRUE(one.lease_error.unprocessed);
}

// While a connection was made that would have carried all, it was learnt that it can carry ten: as it could not be
// made, ten were told, and the others waited for nothing.
TEST_F(Bugs, Case112NobodyWaitsForNothing) {
  plan.link.blackhole = true;
  configured->timeouts.connect = 1s;
  make_http2();
  for (int i = 0; i < 30; ++i) ask();
  backend->learn_http2(10, false);
  pass(5s);
  for (const Try& each : tries) EXPECT_EQ(each.lease_error.failure, UpstreamFailure::connect_timeout);
}

// A stream that was cancelled was its connection's last, and the tunnels that waited for it were told within that call:
// of a client that left, with all its requests, the one was the other's neighbour in the list that was gone through.
TEST_F(Bugs, Case122NobodyIsToldWithinACallOfAnother) {
  make_http2();
  Try& one = get();
  Try& tunnel = ask_tunnel();
  const auto changed = std::make_shared<ClusterSettings>(*configured);
  changed->protocol = UpstreamProtocol::http1;
  pool->configure(changed);
  one.lent->cancel();
  EXPECT_EQ(tunnel.lease_error.failure, UpstreamFailure::none);
  run();
  EXPECT_EQ(tunnel.lease_error.failure, UpstreamFailure::reset);
  EXPECT_TRUE(tunnel.lease_error.unprocessed);
  check(0, 0);
}

// The stream that took the last id left its connection among those with room, and whoever came then failed on it.
TEST_F(Bugs, Case123AConnectionWithoutIdsIsLentNoMore) {
  make_http2();
  Try& one = get();
  say(accept(), settings());
  http2::SessionPeer::leave_ids(Http2ConnectionPeer::session(*one.lent), 1);
  Try& two = get();
  Try& late = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  run();
  ASSERT_NE(late.lent, nullptr);
  late.send();
  run();
  check(2, 0);
  for (Try* each : {&one, &two, &late}) EXPECT_EQ(each->error.failure, UpstreamFailure::none);
  for (Try* each : {&one, &two}) each->lent->cancel();
  check(1, 0);
  late.lent->cancel();
}

// Of two that are lent at once, the one for which no id is left has not been sent.
TEST_F(PoolHttp2, WhoFindsNoIdLeftIsUnprocessed) {
  make_http2();
  Try& one = get();
  say(accept(), settings());
  http2::SessionPeer::leave_ids(Http2ConnectionPeer::session(*one.lent), 1);
  Try& two = ask();
  Try& three = ask();
  two.send();
  three.send();
  run();
  EXPECT_EQ(two.error.failure, UpstreamFailure::none);
  EXPECT_EQ(three.error.failure, UpstreamFailure::reset);
  EXPECT_TRUE(three.error.unprocessed);
  for (Try* each : {&one, &two}) each->lent->cancel();
  check(0, 0);
}

// Requests that were given up left their heads, and a reset each, in the output of a connection whose backend had
// stopped, and the next ones were lent the same connection.
TEST_F(Bugs, Case126WhatABackendDoesNotReadIsBounded) {
  make_http2();
  Try& kept = get();
  const SocketId stopped = accept();
  say(stopped, settings());
  const std::string value(8000, 'x');
  std::size_t most = 0;
  for (int i = 0; i < 2000; ++i) {
    Try& made = ask();
    made.head.fields.add("x-long", value, http::FieldId::other);
    run(1ms);
    if (made.lent != nullptr) {
      made.send();
      run(1ms);
      made.lent->cancel();
    } else {
      pool->give_up(made);
    }
    run(1ms);
    most = std::max(most, loop.buffers().outstanding_bytes());
    tries.pop_back();
  }
  EXPECT_LE(most, 2U * 1024 * 1024);
  // Nothing is wrong with what the connection carries.
  while (!heard(stopped).empty()) run(1ms);
  say(stopped, headers(1, kOk));
  EXPECT_TRUE(kept.ended);
}

// The backend reads slowly: the connection is lent again when it has caught up.
TEST_F(PoolHttp2, AConnectionThatIsReadAgainIsLentAgain) {
  make_http2(1);
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings());
  const std::string value(8000, 'x');
  for (int i = 0; i < 60; ++i) {
    Try& made = ask();
    ASSERT_EQ(acquired.status, Status::ready) << i;
    made.head.fields.add("x-long", value, http::FieldId::other);
    made.send();
  }
  run();
  ask();
  EXPECT_EQ(acquired.status, Status::refused);
  EXPECT_EQ(acquired.error.failure, UpstreamFailure::overloaded);
  tries.pop_back();
  while (!heard(socket).empty()) run(1ms);
  ask();
  EXPECT_EQ(acquired.status, Status::ready);
  for (Try& each : tries) each.lent->cancel();
  EXPECT_FALSE(one.ended);
}

// The connection whose SETTINGS a tunnel waited for was closed for idling.
TEST_F(Bugs, Case131AConnectionIsNotIdleWhileATunnelWaitsForItsSettings) {
  configured->timeouts.idle = 10us;
  make_http2();
  Try& one = ask_tunnel();
  const SocketId socket = accept();
  pass(5s);
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::none);
  check(1, 0);
  say(socket, settings(setting(Setting::enable_connect_protocol, 1)));
  ASSERT_NE(one.lent, nullptr);
  one.lent->cancel();
  run();
  check(0, 0);
  Try& two = ask_tunnel();
  pool->give_up(two);
  pass(2s);
  check(0, 0);
}

// What could not be made for a tunnel failed a request that waited for another worker's answer.
TEST_F(Bugs, Case132ATunnelsFailureIsItsOwn) {
  plan.link.blackhole = true;
  configured->timeouts.connect = 1s;
  make_http2(2);
  backend->learn_http2(100, false);
  ASSERT_TRUE(backend->take_connection_slot());  // another worker's
  Try& tunnel = ask_tunnel();
  Try& other = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  EXPECT_EQ(reclaims, 1);
  pass(2s);
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(other.lease_error.failure, UpstreamFailure::none);
  backend->give_connection_slot();
  plan.link = {};
  pool->reclaimed(1);
  run();
  ASSERT_NE(other.lent, nullptr);
  ASSERT_NE(tunnel.lent, nullptr);
  other.lent->cancel();
  tunnel.lent->cancel();
}

// A stream that came back was offered to requests alone.
TEST_F(Bugs, Case133ATunnelGetsTheStreamThatHasBecomeFree) {
  make_http2(2);
  ASSERT_TRUE(backend->take_connection_slot());  // another worker's
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings(setting(Setting::enable_connect_protocol, 1) + setting(Setting::max_concurrent_streams, 1)));
  Try& tunnel = ask_tunnel();
  EXPECT_EQ(reclaims, 1);
  say(socket, headers(1, kOk));
  EXPECT_TRUE(one.ended);
  ASSERT_NE(tunnel.lent, nullptr);
  tunnel.lent->cancel();
  pool->reclaimed(0);
  backend->give_connection_slot();
}

TEST_F(Bugs, Case181AFreshConnectionTakesThePlaceOfAnIdleOne) {
  make_http2(2);
  ASSERT_TRUE(backend->take_connection_slot());  // another worker's
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings() + headers(1, kOk));
  EXPECT_TRUE(one.ended);
  Try& two = ask(true);
  EXPECT_EQ(acquired.status, Status::pending);
  EXPECT_EQ(reclaims, 0);
  run();
  ASSERT_NE(two.lent, nullptr);
  EXPECT_NE(accept(), kNoSocket);
  two.lent->cancel();
  backend->give_connection_slot();
}

// What idles of HTTP/1.1 was opened for tunnels. Who waited for a stream got it.
TEST_F(Bugs, Case182WhoWaitsForAStreamGetsNoConnectionOfATunnel) {
  make_http2();
  Try& tunnel = ask_tunnel();
  const SocketId socket = accept();
  say(socket, streams_max(1));
  ASSERT_NE(tunnel.lent, nullptr);
  tunnel.lent->send_head(tunnel.head);
  tunnel.lent->send_end(nullptr);
  run();
  answer(accept(), "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
  EXPECT_TRUE(tunnel.ended);
  check(2, 1);
  Try& one = get();
  Try& two = ask();
  Try& three = ask();
  one.lent->cancel();
  run();
  for (Try* waited : {&two, &three}) {
    ASSERT_NE(waited->lent, nullptr);
    EXPECT_TRUE(is_http2(*waited->lent));
    waited->lent->cancel();
  }
}

// Its tunnel had left while it was made.
TEST_F(Bugs, Case183NorDoesItGetOneThatIsBeingMadeForATunnel) {
  make_http2();
  Try& one = get();
  const SocketId socket = accept();
  say(socket, streams_max(1));
  Try& tunnel = tries.emplace_back(loop.buffers());
  tunnel.head.upgrade_websocket = true;
  EXPECT_EQ(pool->acquire(tunnel).status, Status::pending);
  Try& two = ask();
  pool->give_up(tunnel);
  run();
  one.lent->cancel();
  run();
  ASSERT_NE(two.lent, nullptr);
  EXPECT_TRUE(is_http2(*two.lent));
  two.lent->cancel();
}

TEST_F(Bugs, Case185AFailedWriteDoesNotKeepTheWorkerBusy) {
  make_unix();
  backend->set_protocol(SpokenProtocol::http2);
  Try& one = get(true);
  const SocketId socket = accept();
  const std::string answer = settings() + headers(1, kOk, false) + data(1, std::string(1000, 'x'), true);
  iovec piece{const_cast<char*>(answer.data()), answer.size()};
  ASSERT_EQ(outside.write(socket, {&piece, 1}, false).bytes, answer.size());
  heard(socket);
  outside.close(socket);
  one.lent->send_body("ab");
  run_quietly(400ms);
  EXPECT_FALSE(one.ended);
  EXPECT_EQ(one.error.failure, UpstreamFailure::none);
  Try& other = ask();
  EXPECT_EQ(other.lent, nullptr);  // not there
  pool->give_up(other);
  run_quietly(400ms);
  EXPECT_TRUE(one.ended);
}

TEST_F(PoolHttp2, ARetiredPoolClosesWithTheLastStream) {
  make_http2();
  Try& one = get();
  const SocketId socket = accept();
  say(socket, settings());
  pool->retire();
  check(1, 0);
  say(socket, headers(1, kOk));
  EXPECT_TRUE(one.ended);
  check(0, 0);
}

}  // namespace
}  // namespace weir
