// Whole exchanges between the two roles.
#include "http/http2/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/http2/session_test_util.h"

namespace weir::http2 {
namespace {

using test::Owner;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

struct Pair {
  explicit Pair(SessionLimits server_limits = {}, SessionLimits client_limits = {})
      : server(Role::server, server_limits), client(Role::client, client_limits) {
    run();
    server.events.clear();
    client.events.clear();
  }
  void run() { test::exchange(client, server); }

  Owner server;
  Owner client;
};

TEST(Session, BothSidesBeginWithTheirSettings) {
  Owner client(Role::client);
  const std::string start = client.take();
  ASSERT_TRUE(start.starts_with(Session::kPreface));
  EXPECT_THAT(test::describe_frames(start.substr(Session::kPreface.size())),
              ElementsAre("SETTINGS 0 len=18", StartsWith("WINDOW_UPDATE 0")));
  Owner server(Role::server);
  server.feed(start);
  EXPECT_THAT(server.events, ElementsAre("settings"));
  EXPECT_THAT(server.take_frames(),
              ElementsAre("SETTINGS 0 len=30", StartsWith("WINDOW_UPDATE 0"), "SETTINGS 0 len=0 ACK"));
  EXPECT_FALSE(server.session.settings_acknowledged());
  server.feed(test::frame(FrameType::settings, kFlagAck, 0, ""));
  EXPECT_TRUE(server.session.settings_acknowledged());
}

TEST(Session, AnExchangeGoesBothWays) {
  Pair pair;
  test::OwnedStream& stream = pair.client.open();
  EXPECT_EQ(stream.id(), 1u);
  EXPECT_EQ(pair.client.session.streams(), 1u);
  pair.run();
  EXPECT_THAT(pair.server.events, ElementsAre("1 head GET / host=a", "1 end"));
  pair.server.respond(1, "hello");
  EXPECT_TRUE(pair.server.stream(1).detached());
  pair.run();
  EXPECT_THAT(pair.client.events, ElementsAre("1 head 200", "1 body hello", "1 end"));
  EXPECT_TRUE(stream.detached());
  EXPECT_EQ(pair.client.session.streams(), 0u);
  EXPECT_EQ(pair.client.open().id(), 3u);
}

TEST(Session, ASmallAnswerIsTwoFrames) {
  Pair pair;
  pair.client.open();
  pair.server.feed(pair.client.take());
  pair.server.respond(1, "hello");
  EXPECT_THAT(pair.server.take_frames(), ElementsAre("HEADERS 1 len=1 END_HEADERS", "DATA 1 len=5 END_STREAM"));
}

TEST(Session, AnAnswerWithoutABodyIsOneFrame) {
  Pair pair;
  pair.client.open();
  pair.server.feed(pair.client.take());
  pair.server.respond(1, "", 204);
  EXPECT_THAT(pair.server.take_frames(), ElementsAre("HEADERS 1 len=1 END_STREAM END_HEADERS"));
}

TEST(Session, TheEndIsAFrameOfItsOwnIfSomethingStandsBehindTheBody) {
  Pair pair;
  pair.client.open();
  pair.server.feed(pair.client.take());
  pair.server.send_head(1);
  pair.server.session.send_body(pair.server.stream(1), "x");
  pair.server.session.ping();
  pair.server.session.send_end(pair.server.stream(1), nullptr);
  EXPECT_THAT(pair.server.take_frames(),
              ElementsAre("HEADERS 1 len=1 END_HEADERS", "DATA 1 len=1", "PING 0 len=8", "DATA 1 len=0 END_STREAM"));
}

TEST(Session, TheEndIsAFrameOfItsOwnOnceTheBodyIsWritten) {
  Pair pair;
  pair.client.open();
  pair.server.feed(pair.client.take());
  pair.server.send_head(1);
  pair.server.session.send_body(pair.server.stream(1), "x");
  EXPECT_THAT(pair.server.take_frames(), ElementsAre("HEADERS 1 len=1 END_HEADERS", "DATA 1 len=1"));
  pair.server.session.send_end(pair.server.stream(1), nullptr);
  EXPECT_THAT(pair.server.take_frames(), ElementsAre("DATA 1 len=0 END_STREAM"));
}

TEST(Session, InterimHeadsAndTrailersPass) {
  Pair pair;
  test::OwnedStream& stream = pair.client.open({}, false);
  pair.client.session.send_body(stream, "question");
  pair.run();
  pair.server.send_head(1, 100);
  pair.server.send_head(1, 103);
  pair.run();
  http::FieldList trailers(stream.arena);
  trailers.add("x-sum", "1", http::FieldId::other);
  pair.client.session.send_end(stream, &trailers);
  pair.run();
  pair.server.send_head(1);
  pair.server.session.send_body(pair.server.stream(1), "answer");
  pair.server.session.send_end(pair.server.stream(1), &trailers);
  pair.run();
  EXPECT_THAT(pair.server.events, ElementsAre("1 head GET / host=a", "1 body question", "1 end x-sum=1"));
  EXPECT_THAT(pair.client.events,
              ElementsAre("1 head 100", "1 head 103", "1 head 200", "1 body answer", "1 end x-sum=1"));
  EXPECT_EQ(pair.server.session.streams() + pair.client.session.streams(), 0u);
}

TEST(Session, LargeHeadsAreCutIntoContinuations) {
  Pair pair;
  const std::string value(20'000, '~');  // as a literal: no shorter in Huffman's code
  const auto fill = [&](http::RequestHead& head) {
    for (const char* name : {"a", "b", "c"}) head.fields.add(name, value, http::FieldId::other);
  };
  test::OwnedStream& stream = pair.client.open(fill);
  const std::string bytes = pair.client.take();
  const std::vector<std::string> frames = test::describe_frames(bytes);
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[0], "HEADERS 1 len=16384 END_STREAM");
  EXPECT_EQ(frames[1], "CONTINUATION 1 len=16384");
  EXPECT_THAT(frames[3], testing::EndsWith("END_HEADERS"));
  pair.server.feed(bytes);
  EXPECT_THAT(pair.server.events,
              ElementsAre("1 head GET / host=a a=" + value + " b=" + value + " c=" + value, "1 end"));
  EXPECT_FALSE(stream.detached());
  pair.server.respond(1, "x");
  pair.run();
  EXPECT_TRUE(stream.detached());
}

TEST(Session, ALargeBodyWaitsForWindowsAndPassesWhole) {
  Pair pair;
  pair.client.open();
  pair.run();
  std::string body;
  for (int i = 0; i < 1'000'000; ++i) body += static_cast<char>(i * 7 % 251);
  pair.server.send_head(1);
  pair.server.session.send_body(pair.server.stream(1), body);
  EXPECT_EQ(pair.server.output.size() / 1024, 64u);
  EXPECT_EQ(pair.server.session.pending(), pair.server.stream(1).pending());
  EXPECT_GT(pair.server.session.pending(), 900'000u);
  pair.server.session.send_end(pair.server.stream(1), nullptr);
  EXPECT_FALSE(pair.server.stream(1).detached());
  pair.run();
  EXPECT_TRUE(pair.server.stream(1).detached());
  EXPECT_EQ(pair.client.stream(1).body, body);
  EXPECT_TRUE(pair.client.stream(1).ended);
  EXPECT_EQ(pair.server.session.pending(), 0u);
  EXPECT_EQ(pair.server.events.back(), "1 closed");
}

TEST(Session, TheOwnerIsToldWhenLittleWaits) {
  Pair pair;
  pair.client.open();
  pair.run();
  pair.server.send_head(1);
  pair.server.session.send_body(pair.server.stream(1), std::string(200'000, 'x'));
  EXPECT_FALSE(pair.server.session.has_events());
  pair.run();
  EXPECT_THAT(pair.server.events, ElementsAre("1 head GET / host=a", "1 end", "1 writable"));
  EXPECT_EQ(pair.client.stream(1).body.size(), 200'000u);
}

TEST(Session, AStreamThatIsNotReadHoldsItsWindowAndNoOther) {
  Pair pair;
  pair.client.open();
  pair.client.open();
  pair.run();
  pair.client.consumes = false;
  for (const std::uint32_t id : {1u, 3u}) pair.server.send_head(id);
  pair.server.session.send_body(pair.server.stream(1), std::string(300'000, 'x'));
  pair.run();
  EXPECT_EQ(pair.client.stream(1).body.size(), pair.client.limits.stream_window_bytes);
  pair.client.consumes = true;
  for (int i = 0; i < 1000; ++i) {
    pair.server.session.send_body(pair.server.stream(3), std::string(10'000, 'y'));
    pair.run();
  }
  EXPECT_EQ(pair.client.stream(3).body.size(), 10'000'000u);
  EXPECT_EQ(pair.client.stream(1).body.size(), pair.client.limits.stream_window_bytes);
  pair.client.session.consumed(pair.client.stream(1), pair.client.limits.stream_window_bytes, pair.client.now);
  pair.run();
  EXPECT_GT(pair.client.stream(1).body.size(), pair.client.limits.stream_window_bytes);
}

TEST(Session, ResetsAreTold) {
  Pair pair;
  pair.client.open();
  pair.client.open();
  pair.run();
  pair.client.session.reset(pair.client.stream(1), ErrorCode::cancel);
  pair.server.session.reset(pair.server.stream(3), ErrorCode::internal_error);
  EXPECT_TRUE(pair.client.stream(1).detached());
  pair.server.events.clear();
  pair.run();
  EXPECT_THAT(pair.server.events, ElementsAre("1 reset CANCEL"));
  EXPECT_THAT(pair.client.events, ElementsAre("3 reset INTERNAL_ERROR"));
  EXPECT_TRUE(pair.client.stream(3).detached());
  EXPECT_EQ(pair.server.session.streams(), 0u);
}

TEST(Session, AnEarlyAnswerStopsTheRequest) {
  Pair pair;
  pair.client.open({}, false);
  pair.run();
  pair.server.respond(1, "no", 413);
  EXPECT_TRUE(pair.server.stream(1).detached());
  EXPECT_THAT(test::describe_frames(pair.server.take()),
              ElementsAre(StartsWith("HEADERS 1"), "DATA 1 len=2 END_STREAM", "RST_STREAM 1 NO_ERROR"));
}

// The request's END_STREAM was in its head, which is told first: the answer was taken for an early one.
TEST(Session, AnAnswerToTheHeadOfACompleteRequestEndsTheStream) {
  Pair pair;
  pair.client.open();
  pair.server.on_step = [&](const Step& step) {
    if (step.event == Event::head) pair.server.respond(1, "no", 404);
  };
  pair.run();
  EXPECT_TRUE(pair.server.stream(1).detached());
  EXPECT_TRUE(pair.client.stream(1).ended);
  EXPECT_THAT(pair.client.events, ElementsAre("1 head 404", "1 body no", "1 end"));
  EXPECT_EQ(pair.server.session.streams(), 0u);
  EXPECT_EQ(pair.client.session.streams(), 0u);
  // A frame behind the end would be the connection's (RFC 9113 5.1): it is closed, not reset.
  pair.server.feed(test::data(1, "late"));
  EXPECT_EQ(pair.server.events.back(), "error STREAM_CLOSED");
}

// Whoever wants no more of an answer whose head was all of it has nobody to tell.
TEST(Session, WhatHasEndedOnBothSidesIsNotReset) {
  Pair pair;
  pair.client.open();
  pair.run();
  pair.client.forget_start();
  pair.client.on_step = [&](const Step& step) {
    if (step.event == Event::head) pair.client.session.reset(pair.client.stream(1), ErrorCode::cancel);
  };
  pair.server.send_head(1, 503, true);
  pair.client.feed(pair.server.take());
  EXPECT_THAT(pair.client.events, ElementsAre("1 head 503"));
  EXPECT_TRUE(pair.client.stream(1).detached());
  EXPECT_THAT(pair.client.take_frames(), testing::IsEmpty());
}

TEST(Session, AnEarlyAnswerMayLetTheRequestGoOn) {
  Pair pair;
  test::OwnedStream& stream = pair.client.open({}, false);
  pair.run();
  pair.server.send_head(1);
  pair.server.session.send_end(pair.server.stream(1), nullptr, true);
  EXPECT_FALSE(pair.server.stream(1).detached());
  pair.run();
  EXPECT_TRUE(pair.client.stream(1).ended);
  pair.client.session.send_body(stream, "still");
  pair.client.session.send_end(stream, nullptr);
  EXPECT_TRUE(stream.detached());
  pair.run();
  EXPECT_THAT(pair.server.events, ElementsAre("1 head GET / host=a", "1 body still", "1 end"));
  EXPECT_TRUE(pair.server.stream(1).detached());
}

TEST(Session, StreamsPastTheLimitAreRefusedAndMayBeTriedAgain) {
  SessionLimits limits;
  limits.concurrent_streams = 2;
  Pair pair(limits);
  EXPECT_EQ(pair.client.session.concurrent_streams(), 2u);
  pair.client.open();
  pair.client.open();
  EXPECT_FALSE(pair.client.session.can_open());
  pair.server.feed(pair.client.take());
  // One that has not seen the limit.
  pair.server.feed(test::headers(5, test::kGet));
  EXPECT_EQ(pair.server.session.refused_streams(), 1u);
  EXPECT_EQ(pair.server.session.streams(), 2u);
  EXPECT_THAT(pair.server.take_frames(), ElementsAre("RST_STREAM 5 REFUSED_STREAM"));
  pair.client.feed(test::rst_stream(3, ErrorCode::refused_stream));
  EXPECT_THAT(pair.client.events, ElementsAre("3 unprocessed"));
  EXPECT_TRUE(pair.client.session.can_open());
}

TEST(Session, TheOwnerMayRefuse) {
  Pair pair;
  pair.client.open();
  pair.server.refuses = [] { return true; };
  pair.run();
  EXPECT_THAT(pair.server.events, IsEmpty());
  EXPECT_THAT(pair.client.events, ElementsAre("1 unprocessed"));
  pair.server.refuses = {};
  pair.client.open();
  pair.run();
  EXPECT_THAT(pair.server.events, ElementsAre("3 head GET / host=a", "3 end"));
}

TEST(Session, GoingAwayInTwoSteps) {
  Pair pair;
  pair.client.open();
  pair.run();
  pair.server.session.go_away(ErrorCode::no_error, false);
  pair.client.open();  // on its way
  EXPECT_EQ(test::describe_frames(pair.server.take()).front(), "GOAWAY 0 last=2147483647 NO_ERROR");
  pair.server.feed(pair.client.take());
  EXPECT_EQ(pair.server.session.streams(), 2u);
  pair.server.session.go_away(ErrorCode::no_error, true);
  const std::string last = pair.server.take();
  EXPECT_EQ(test::describe_frames(last).front(), "GOAWAY 0 last=3 NO_ERROR");
  pair.client.open();  // too late
  pair.server.feed(pair.client.take());
  EXPECT_EQ(pair.server.session.streams(), 2u);
  EXPECT_THAT(pair.server.take_frames(), IsEmpty());
  pair.client.feed(last);
  EXPECT_THAT(pair.client.events, ElementsAre("going_away NO_ERROR", "5 unprocessed"));
  EXPECT_FALSE(pair.client.session.can_open());
  pair.server.respond(1, "a");
  pair.server.respond(3, "b");
  pair.run();
  EXPECT_TRUE(pair.client.stream(1).ended && pair.client.stream(3).ended);
}

TEST(Session, PingsAreAnswered) {
  Pair pair;
  pair.client.session.ping();
  pair.server.session.ping();
  pair.run();
  EXPECT_THAT(pair.client.events, ElementsAre("ping_ack"));
  EXPECT_THAT(pair.server.events, ElementsAre("ping_ack"));
}

TEST(Session, SettingsApplyToOpenStreams) {
  Owner server(Role::server);
  server.feed(std::string(Session::kPreface) + test::settings(test::setting(Setting::initial_window_size, 10)));
  server.feed(test::headers(1, test::kGet));
  server.forget_start();
  server.send_head(1);
  server.session.send_body(server.stream(1), std::string(100, 'x'));
  EXPECT_THAT(test::describe_frames(server.take_all()), ElementsAre(StartsWith("HEADERS 1"), "DATA 1 len=10"));
  server.feed(test::settings(test::setting(Setting::initial_window_size, 30)));
  EXPECT_THAT(test::describe_frames(server.take_all()), ElementsAre("SETTINGS 0 len=0 ACK", "DATA 1 len=20"));
  // Below what was sent: the window is negative, and 25 more only make it one.
  server.feed(test::settings(test::setting(Setting::initial_window_size, 6)));
  server.feed(test::window_update(1, 24));
  EXPECT_THAT(test::describe_frames(server.take_all()), ElementsAre("SETTINGS 0 len=0 ACK"));
  server.feed(test::window_update(1, 1));
  EXPECT_THAT(test::describe_frames(server.take_all()), ElementsAre("DATA 1 len=1"));
  server.feed(test::settings(test::setting(Setting::max_frame_size, 20'000)) + test::window_update(1, 100'000));
  EXPECT_THAT(test::describe_frames(server.take_all()), ElementsAre("SETTINGS 0 len=0 ACK", "DATA 1 len=69"));
}

TEST(Session, TheConnectionsWindowHoldsAll) {
  Owner server(Role::server);
  server.feed(std::string(Session::kPreface) + test::settings(test::setting(Setting::initial_window_size, 100'000)));
  server.feed(test::headers(1, test::kGet) + test::headers(3, test::kGet));
  for (const std::uint32_t id : {1u, 3u}) {
    server.send_head(id);
    server.session.send_body(server.stream(id), std::string(50'000, 'x'));
  }
  server.take_all();
  EXPECT_EQ(server.session.pending(), 100'000u - 65'535u);
  EXPECT_FALSE(server.session.sendable());
  server.feed(test::window_update(0, 100'000));
  EXPECT_TRUE(server.session.sendable());
  server.take_all();
  EXPECT_EQ(server.session.pending(), 0u);
}

TEST(Session, ExtendedConnectIsOffered) {
  Pair pair;
  EXPECT_TRUE(pair.client.session.extended_connect());
  SessionLimits without;
  without.extended_connect = false;
  Pair plain(without);
  EXPECT_FALSE(plain.client.session.extended_connect());
}

TEST(Session, IdsRunOut) {
  Pair pair;
  // Streams are opened and answered in no time: only the ids of the last ones matter.
  EXPECT_TRUE(pair.client.session.can_open());
  pair.client.feed(test::goaway(kStreamIdMax));
  EXPECT_FALSE(pair.client.session.can_open());
}

TEST(Session, WhatComesForAStreamThatWeResetIsIgnored) {
  Pair pair;
  pair.server.feed(test::headers(1, test::kPost, false));
  pair.server.session.reset(pair.server.stream(1), ErrorCode::cancel);
  pair.server.events.clear();
  pair.server.feed(test::data(1, "late") + test::window_update(1, 5) + test::headers(1, test::field("t", "1")) +
                   test::rst_stream(1));
  EXPECT_THAT(pair.server.events, IsEmpty());
  // And of many such streams, long after.
  for (std::uint32_t id = 3; id < 203; id += 2) {
    pair.server.feed(test::headers(id, test::kPost, false));
    pair.server.session.reset(pair.server.stream(id), ErrorCode::cancel);
    pair.server.events.clear();
  }
  pair.server.feed(test::data(3, "late") + test::data(201, "late"));
  EXPECT_THAT(pair.server.events, IsEmpty());
  EXPECT_FALSE(pair.server.session.broken());
}

TEST(Session, AResetWithinDataDropsTheRest) {
  Pair pair;
  pair.server.on_step = [&](const Step& step) {
    if (step.event == Event::body) pair.server.session.reset(*step.stream, ErrorCode::cancel);
  };
  pair.server.feed(test::headers(1, test::kPost, false));
  const std::string bytes = test::data(1, "0123456789", true);
  pair.server.feed(bytes.substr(0, 12));
  pair.server.feed(bytes.substr(12) + test::headers(3, test::kGet));
  EXPECT_THAT(pair.server.events, ElementsAre("1 head POST / host=a", "1 body 012", "3 head GET / host=a", "3 end"));
}

TEST(Session, PaddingIsDroppedAndGivenBack) {
  Pair pair;
  pair.server.feed(test::headers(1, test::kPost, false));
  const std::string padded = std::string(1, '\x05') + "body" + std::string(5, '\0');
  pair.server.feed(test::frame(FrameType::data, kFlagPadded, 1, padded));
  pair.server.feed(test::frame(FrameType::data, kFlagPadded | kFlagEndStream, 1, std::string(1, '\0')));
  const std::string block = std::string(1, '\x03') + std::string(5, '\0') + test::kGet + std::string(3, '\0');
  const std::uint8_t flags = kFlagPadded | kFlagPriority | kFlagEndHeaders | kFlagEndStream;
  pair.server.feed(test::frame(FrameType::headers, flags, 3, block));
  EXPECT_THAT(pair.server.events,
              ElementsAre("1 head POST / host=a", "1 body body", "1 end", "3 head GET / host=a", "3 end"));
}

TEST(Session, PaddingTakesNothingFromTheWindowForGood) {
  Pair pair;
  pair.server.feed(test::headers(1, test::kPost, false));
  const std::string padded = std::string(1, '\xfa') + "body" + std::string(250, '\0');
  for (int i = 0; i < 1000; ++i) pair.server.feed(test::frame(FrameType::data, kFlagPadded, 1, padded));
  EXPECT_FALSE(pair.server.stream(1).detached());
  EXPECT_EQ(pair.server.stream(1).body.size(), 4000U);
}

TEST(Session, AMalformedRequestIsAnsweredAndThenReset) {
  Pair pair;
  pair.server.feed(test::headers(1, "\x82\x86" + test::field(":authority", "a"), false) + test::data(1, "x", true));
  EXPECT_THAT(pair.server.events, ElementsAre("1 malformed"));
  pair.server.take();
  pair.server.respond(1, "bad_request\n", 400);
  EXPECT_TRUE(pair.server.stream(1).detached());
  EXPECT_THAT(pair.server.take_frames(),
              ElementsAre(StartsWith("HEADERS 1"), "DATA 1 len=12 END_STREAM", "RST_STREAM 1 PROTOCOL_ERROR"));
  pair.server.feed(test::headers(3, test::kGet));
  EXPECT_EQ(pair.server.events.back(), "3 end");
}

TEST(Session, HeadsPastTheLimitsAreToldAsSuch) {
  SessionLimits limits;
  limits.head = {.header_bytes = 1000, .headers = 10, .uri_bytes = 50};
  Pair pair(limits);
  MalformedKind kind = MalformedKind::none;
  pair.server.on_step = [&](const Step& step) {
    if (step.event == Event::malformed) kind = step.malformed;
  };
  pair.server.feed(test::headers(1, test::kGet + test::field("a", std::string(2000, 'x'))));
  EXPECT_EQ(kind, MalformedKind::headers_too_large);
  pair.server.feed(
      test::headers(3, "\x82\x86" + test::field(":path", "/" + std::string(60, 'x')) + test::field(":authority", "a")));
  EXPECT_EQ(kind, MalformedKind::uri_too_long);
  pair.server.take();
  pair.server.respond(1, "", 431);
  EXPECT_THAT(pair.server.take_frames(), ElementsAre(testing::HasSubstr("END_STREAM")));
}

TEST(Session, ABrokenResponseIsReset) {
  Pair pair;
  pair.client.open();
  pair.client.open();
  pair.client.take();
  pair.client.feed(test::headers(1, test::field("no", "status")));
  EXPECT_THAT(pair.client.events, ElementsAre("1 malformed"));
  EXPECT_TRUE(pair.client.stream(1).detached());
  EXPECT_THAT(pair.client.take_frames(), ElementsAre("RST_STREAM 1 PROTOCOL_ERROR"));
  pair.client.feed(test::headers(3, test::kOk + test::field("content-length", "3"), false) + test::data(3, "ab", true));
  EXPECT_THAT(pair.client.events, ElementsAre("1 malformed", "3 head 200 content-length=3", "3 malformed"));
}

TEST(Session, AnAnswerToHeadHasNoBody) {
  Pair pair;
  const auto head = [](http::RequestHead& request) {
    request.method = http::Method::head;
    request.method_text = "HEAD";
  };
  pair.client.open(head);
  pair.client.open(head);
  const std::string answer = test::kOk + test::field("content-length", "3");
  pair.client.feed(test::headers(1, answer));
  pair.client.feed(test::headers(3, answer, false) + test::data(3, "abc", true));
  EXPECT_THAT(pair.client.events,
              ElementsAre("1 head 200 content-length=3", "1 end", "3 head 200 content-length=3", "3 malformed"));
}

TEST(Session, WhatIsBrokenStaysQuiet) {
  Pair pair;
  pair.server.feed(test::headers(1, test::kGet) + test::frame(FrameType::push_promise, 0, 1, "xxxx"));
  ASSERT_TRUE(pair.server.session.broken());
  EXPECT_THAT(pair.server.take_frames(), ElementsAre("GOAWAY 0 last=1 PROTOCOL_ERROR"));
  pair.server.respond(1, "too late");
  pair.server.session.ping();
  pair.server.session.go_away(ErrorCode::no_error, true);
  pair.server.session.pump();
  EXPECT_TRUE(pair.server.output.empty());
  EXPECT_EQ(pair.server.session.streams(), 1u);
  pair.server.session.reset(pair.server.stream(1), ErrorCode::cancel);
  EXPECT_TRUE(pair.server.output.empty());
  EXPECT_TRUE(pair.server.stream(1).detached());
  EXPECT_EQ(pair.server.session.next("more", pair.server.now).consumed, 4u);
}

TEST(Session, ItsEndDetachesItsStreams) {
  BufferPool pool;
  test::OwnedStream stream(pool);
  {
    Buffer output(pool);
    Session session(Role::client, {}, pool, output, TimePoint{});
    stream.request.path = "/";
    stream.request.method_text = "GET";
    session.open(stream, stream.request, "http", true, stream.response, stream.trailers);
    EXPECT_FALSE(stream.detached());
  }
  EXPECT_TRUE(stream.detached());
}

TEST(Session, AnIdleOneIsSmall) {
  EXPECT_LE(sizeof(Session), 800u);
  EXPECT_LE(sizeof(SessionStream), 256u);
}

// gRPC demands a DATA frame at the end of a request that was begun without END_STREAM, and its server in Go waits for
// it for ever.
TEST(Bugs, Case035ABegunRequestEndsWithData) {
  Owner client(Role::client);
  client.forget_start();
  test::OwnedStream& stream = client.open([](http::RequestHead& head) { head.method = http::Method::post; }, false);
  client.session.send_end(stream, nullptr);
  EXPECT_THAT(client.take_frames(),
              ElementsAre(testing::AllOf(StartsWith("HEADERS 1"), testing::EndsWith(" END_HEADERS"),
                                         testing::Not(testing::HasSubstr("END_STREAM"))),
                          "DATA 1 len=0 END_STREAM"));
}

}  // namespace
}  // namespace weir::http2
