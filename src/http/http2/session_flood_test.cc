// Hostile peers: each pattern ends the connection with its name, and memory stays bounded until then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/http2/session_test_util.h"

namespace weir::http2 {
namespace {

using test::OwnedStream;
using test::Owner;

// Feeds what `next(i)` makes until the session ends; how many it took. What the session writes is read.
template <typename Next>
int flood(Owner& owner, Next&& next, int most = 100'000, bool reads = true) {
  for (int i = 0; i < most; ++i) {
    if (reads) owner.take();
    owner.feed(next(i));
    if (owner.session.broken()) return i + 1;
  }
  return most;
}

void expect_end(Owner& owner, Abuse abuse) {
  ASSERT_TRUE(owner.session.broken());
  EXPECT_EQ(owner.last_error.error, ErrorCode::enhance_your_calm);
  EXPECT_EQ(owner.last_error.abuse, abuse) << to_string(owner.last_error.abuse);
  EXPECT_FALSE(owner.last_error.detail.empty());
}

std::uint32_t id_of(int i) {
  return static_cast<std::uint32_t>(2 * i + 1);
}

struct Server : Owner {
  explicit Server(SessionLimits with = {}) : Owner(Role::server, with) { feed(test::kServerStart); }
};

TEST(SessionFlood, RapidReset) {
  Server server;
  const auto next = [](int i) { return test::headers(id_of(i), test::kGet) + test::rst_stream(id_of(i)); };
  EXPECT_EQ(flood(server, next), 201);
  expect_end(server, Abuse::rapid_reset);
}

TEST(SessionFlood, ResetsOfStreamsThatAreServedAreFine) {
  Server server;
  std::uint32_t id = 1;
  for (int round = 0; round < 1000; ++round, id += 4) {
    server.feed(test::headers(id, test::kGet) + test::headers(id + 2, test::kGet));
    server.respond(id, "x");
    server.take();
    server.feed(test::rst_stream(id + 2));
  }
  EXPECT_FALSE(server.session.broken());
}

TEST(SessionFlood, SlowResetsAreFine) {
  Server server;
  const auto next = [&](int i) {
    server.now += 100ms;
    return test::headers(id_of(i), test::kGet) + test::rst_stream(id_of(i));
  };
  EXPECT_EQ(flood(server, next, 2000), 2000);
}

TEST(SessionFlood, ResetsThatThePeerMakesUsSend) {
  const std::string kBadLength = test::kPost + test::field("content-length", "1");
  const std::function<std::string(std::uint32_t)> kinds[] = {
      [](std::uint32_t id) { return test::headers(id, test::kPost, false) + test::window_update(id, 0); },
      [](std::uint32_t id) { return test::headers(id, test::kPost, false) + test::window_update(id, kWindowMax); },
      [](std::uint32_t id) { return test::headers(id, test::kGet) + test::data(id, "x"); },
      [&](std::uint32_t id) { return test::headers(id, kBadLength, false) + test::data(id, "xx"); },
      [](std::uint32_t id) {
        return test::headers(id, test::kPost, false) + test::frame(FrameType::priority, 0, id, "x");
      },
      [](std::uint32_t id) { return test::headers(id, "\x82"); },
  };
  for (const auto& kind : kinds) {
    Server server;
    server.on_step = [&](const Step& step) {
      if (step.event == Event::malformed) server.session.reset(*step.stream, ErrorCode::protocol_error);
    };
    EXPECT_EQ(flood(server, [&](int i) { return kind(id_of(i)); }), 201);
    expect_end(server, Abuse::rapid_reset);
  }
}

TEST(SessionFlood, StreamsPastTheLimit) {
  Server server;
  EXPECT_EQ(flood(server, [](int i) { return test::headers(id_of(i), test::kGet); }), 100 + 201);
  expect_end(server, Abuse::rapid_reset);
  EXPECT_EQ(server.session.streams(), 100u);
  EXPECT_EQ(server.session.refused_streams(), 201u);
}

TEST(SessionFlood, EndlessContinuations) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{16'384}}) {
    Server server;
    std::size_t most = 0;
    server.feed(test::frame(FrameType::headers, 0, 1, test::kGet));
    EXPECT_TRUE(server.session.in_header_block());
    flood(server, [&](int) {
      most = std::max(most, server.pool.outstanding());
      return test::frame(FrameType::continuation, 0, 1, std::string(size, 'x'));
    });
    expect_end(server, Abuse::continuation);
    EXPECT_LE(most, 8u) << size;
    EXPECT_TRUE(server.streams.empty());
  }
}

TEST(SessionFlood, FramesThatSayNothing) {
  Server server;
  server.feed(test::headers(1, test::kPost, false));
  EXPECT_EQ(flood(server, [](int) { return test::data(1, ""); }), 1001);
  expect_end(server, Abuse::empty_frames);
}

TEST(SessionFlood, ControlFrames) {
  const struct {
    std::string frame;
    Abuse abuse;
  } kinds[] = {
      {test::settings(), Abuse::settings},
      {test::settings(test::setting(Setting::header_table_size, 0)), Abuse::settings},
      {test::frame(FrameType::settings, kFlagAck, 0, ""), Abuse::settings},
      {test::goaway(0), Abuse::settings},
      {test::frame(FrameType::ping, 0, 0, "12345678"), Abuse::ping},
      {test::frame(FrameType::ping, kFlagAck, 0, "12345678"), Abuse::ping},
      {test::frame(FrameType::priority, 0, 1, "12345"), Abuse::priority},
      {test::frame(FrameType::priority_update, 0, 0, test::u32(1) + "u=1"), Abuse::priority},
      {test::window_update(0, 1), Abuse::window_update},
      {test::window_update(1, 1), Abuse::window_update},
      {test::rst_stream(3), Abuse::reset},
      {test::frame(static_cast<FrameType>(0x77), 0, 0, "x"), Abuse::unknown_frame},
  };
  for (const auto& [bytes, abuse] : kinds) {
    Server server;
    server.feed(test::headers(1, test::kPost, false) + test::headers(3, test::kGet));
    server.respond(3, "");
    const int count = flood(server, [&](int) { return bytes; });
    EXPECT_GE(count, 999) << to_string(abuse);
    EXPECT_LE(count, 1010) << to_string(abuse);
    expect_end(server, abuse);
  }
}

TEST(SessionFlood, ControlFramesAtALeisurelyRateAreFine) {
  Server server;
  const auto next = [&](int) {
    server.now += 20ms;
    return test::frame(FrameType::ping, 0, 0, "12345678") + test::settings();
  };
  EXPECT_EQ(flood(server, next, 3000), 3000);
}

TEST(SessionFlood, AcknowledgementsOfEachFrameAreFine) {
  Server server;
  for (std::uint32_t id = 1; id < 20'000; id += 2) {
    server.feed(test::headers(id, test::kGet));
    server.respond(id, "small");
    server.take();
    server.feed(test::window_update(0, 5) + test::frame(FrameType::ping, 0, 0, "12345678"));
  }
  EXPECT_FALSE(server.session.broken());
}

TEST(SessionFlood, AnswersThatAreNotRead) {
  SessionLimits limits;
  limits.control_frames_per_window = 1'000'000;
  Server server(limits);
  const int count = flood(server, [](int) { return test::frame(FrameType::ping, 0, 0, "12345678"); }, 100'000, false);
  expect_end(server, Abuse::unread_output);
  EXPECT_LT(count, 10'000);
  EXPECT_LE(server.output.size(), 2 * limits.control_bytes_max + 200);
  // The same number is fine for who reads.
  Server read(limits);
  EXPECT_EQ(flood(read, [](int) { return test::frame(FrameType::ping, 0, 0, "12345678"); }, 20'000), 20'000);
}

// A client's own resets were counted as answers that the server made it queue.
TEST(Bugs, Case124WhatAClientGivesUpIsNoAnswer) {
  Owner client(Role::client);
  client.feed(test::settings());
  client.take();
  for (int i = 0; i < 6000; ++i) client.session.reset(client.open(), ErrorCode::cancel);
  client.feed(test::frame(FrameType::ping, 0, 0, "12345678"));
  EXPECT_FALSE(client.session.broken());
}

TEST(SessionFlood, AHeaderBombIsBounded) {
  Server server;
  // One large field in the table, then a thousand references to it in each block.
  std::string bomb = test::kGet + "\x40" + test::field("a", std::string(3000, 'x')).substr(1);
  bomb += std::string(1000, '\xbe');
  std::size_t most = 0;
  for (int i = 0; i < 50; ++i) {
    server.feed(test::headers(id_of(i), bomb));
    server.session.reset(server.stream(id_of(i)), ErrorCode::cancel);
    most = std::max(most, server.stream(id_of(i)).arena.used());
    if (server.session.broken()) break;
  }
  EXPECT_THAT(server.events, testing::Contains("1 malformed"));
  EXPECT_LE(most, 4 * server.limits.head.header_bytes);
}

// A response has no target: what a backend may send of a block was bounded by nothing but what is never needed.
TEST(Bugs, Case075ABackendsFieldBlockIsBoundedByTheHeadsLimits) {
  SessionLimits limits;
  limits.head = {.header_bytes = 8 * 1024, .headers = 100, .uri_bytes = UINT64_MAX};
  Owner client(Role::client, limits);
  EXPECT_THAT(client.take(), testing::HasSubstr(test::setting(Setting::max_header_list_size, 8 * 1024 + 32 * 108)));
  client.feed(test::settings());
  client.open();
  client.feed(test::frame(FrameType::headers, 0, 1, test::kOk));
  const int count =
      flood(client, [](int) { return test::frame(FrameType::continuation, 0, 1, std::string(1024, '\x88')); });
  expect_end(client, Abuse::continuation);
  EXPECT_LE(count, 8 + 16);
}

// A server that needs no more of a request says so behind its answer (RFC 9113 8.1). It was taken for a flooder.
TEST(Bugs, Case120TheEndOfEachUploadIsNoFlood) {
  Owner client(Role::client);
  client.feed(test::settings());
  for (int i = 0; i < 5000; ++i) {
    OwnedStream& upload = client.open({}, false);
    const std::uint32_t id = upload.id();
    client.feed(test::headers(id, test::kOk));
    client.session.reset(upload, ErrorCode::cancel);
    client.take();
    client.feed(test::rst_stream(id, ErrorCode::no_error));
  }
  EXPECT_FALSE(client.session.broken());
}

// Nor is what comes for streams that were cancelled meanwhile, all of it together.
TEST(Bugs, Case125LateAnswersAreNoFlood) {
  Owner client(Role::client);
  client.feed(test::settings());
  std::string late;
  for (int i = 0; i < 5000; ++i) {
    OwnedStream& stream = client.open({}, false);
    client.session.reset(stream, ErrorCode::cancel);
    late += test::headers(stream.id(), test::kOk, false) + test::headers(stream.id(), test::field("a", "b")) +
            test::rst_stream(stream.id(), ErrorCode::no_error);
    client.take();
  }
  client.now += 20s;
  client.feed(late);
  EXPECT_FALSE(client.session.broken());
}

TEST(SessionFlood, AServerMayResetWhatIsOverOnlySoOften) {
  Owner client(Role::client);
  client.feed(test::settings());
  client.session.reset(client.open(), ErrorCode::cancel);
  EXPECT_EQ(flood(client, [](int) { return test::rst_stream(1); }), 1000 + 3 + 1);
  expect_end(client, Abuse::reset);
}

TEST(SessionFlood, AServerMayFloodToo) {
  Owner client(Role::client);
  client.feed(test::settings());
  EXPECT_GE(flood(client, [](int) { return test::frame(FrameType::ping, 0, 0, "12345678"); }), 1000);
  expect_end(client, Abuse::ping);
}

}  // namespace
}  // namespace weir::http2
