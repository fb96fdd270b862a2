// HTTP/2's windows and priorities through the whole proxy.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

class Http2Flow : public SimTest {};

TEST_F(Http2Flow, OneStalledStreamSlowsNobody) {
  const std::string body = pattern(1, 1'000'000);
  backend().on("/", response(body));
  start();
  SimH2Client& client = connect_h2();
  const auto stalled = client.get("/");
  client.engine().hold_window(stalled);
  run(100ms);
  std::vector<std::int32_t> others;
  for (int i = 0; i < 99; ++i) others.push_back(client.get("/"));
  run(10s);
  for (const auto stream : others) EXPECT_TRUE(client.answer(stream).message.body == body) << stream;
  EXPECT_LT(client.answer(stalled).body_bytes, 70'000U);
  client.open_window(stalled);
  run(5s);
  EXPECT_TRUE(client.answer(stalled).message.body == body);
}

TEST_F(Http2Flow, AThousandStalledStreamsStayWithinTheirMemory) {
  backend().on("/", response(pattern(1, 1'000'000)));
  start();
  H2Options options;
  options.stream_window = 0;
  for (int i = 0; i < 10; ++i) {
    SimH2Client& client = connect_h2(options);
    for (int k = 0; k < 100; ++k) client.get("/");
  }
  run(5s);
  EXPECT_EQ(proxy_.live_streams(), 1000U);
  // Of each: the heads' arenas, and what is between the watermark and one read more.
  EXPECT_LE(proxy_.buffer_bytes_out(), 1000U * 160 * 1024);
}

// Of 101 streams of one connection to a backend one belongs to a client that has stopped reading. The others share the
// connection's bandwidth among themselves, as if it were not there.
TEST_F(Http2Flow, AStalledClientSlowsNobodyElseOnTheBackendsConnection) {
  constexpr std::size_t kBytes = 500'000;
  constexpr int kOthers = 100;
  speak_http2(0, {.streams_max = 200});
  fates_.backend.to_connector.drip_bytes = 100'000;
  fates_.backend.to_connector.drip_interval = 10ms;
  fates_.backend.send_buffer_bytes = 1'000'000;
  backend().on("/", response(pattern(1, kBytes)));
  start();
  SimClient& stalled = connect();
  stalled.stop_reading();
  stalled.get("/");
  SimH2Client& other_stalled = connect_h2();
  const auto held = other_stalled.get("/");
  other_stalled.engine().hold_window(held);
  run(1s);
  std::vector<SimClient*> others;
  const TimePoint begin = now();
  for (int i = 0; i < kOthers; ++i) {
    others.push_back(&connect());
    others.back()->get("/");
  }
  run(20s);
  TimePoint last{};
  for (const SimClient* client : others) {
    ASSERT_EQ(client->answer_count(), 1U);
    EXPECT_EQ(client->answers().front().body.size(), kBytes);
    last = std::max(last, client->last_byte_at());
  }
  EXPECT_EQ(backend().connections().size(), 1U);
  constexpr Duration kIdeal = 10ms * (kOthers * kBytes / 100'000);
  EXPECT_LE(last - begin, kIdeal * 11 / 10);
  stalled.go_on_reading();
  other_stalled.open_window(held);
  run(5s);
  EXPECT_EQ(stalled.answer_count(), 1U);
  EXPECT_TRUE(other_stalled.answer(held).message.complete);
}

// 50 ms there and 50 ms back, 2.5 MB/s: the first window would let 0.65 MB/s pass.
TEST_F(Http2Flow, AnUploadUsesTheWholePath) {
  constexpr std::size_t kBytes = 64'000'000;
  fates_.client.delay = 50ms;
  fates_.client.send_buffer_bytes = 4 * 1024 * 1024;
  fates_.client.to_listener.drip_bytes = 25'000;
  fates_.client.to_listener.drip_interval = 10ms;
  fates_.backend.send_buffer_bytes = 4 * 1024 * 1024;
  start();
  SimH2Client& client = connect_h2();
  run(1s);
  const std::string body(kBytes, 'x');
  const TimePoint begin = now();
  const auto stream = client.post("/", body);
  TimePoint done{};
  client.on_progress = [&] {
    if (client.answer(stream).message.complete && done == TimePoint{}) done = now();
  };
  run(40s);
  client.on_progress = {};
  ASSERT_EQ(client.answer(stream).message.status, 200);
  EXPECT_EQ(backend().requests().at(0).body.size(), kBytes);
  constexpr Duration kIdeal = 10ms * (kBytes / 25'000) + 100ms;
  EXPECT_LE(done - begin, kIdeal * 11 / 10);
}

// Where the client's windows are wide, the socket is what bounds a download, as over HTTP/1.
TEST_F(Http2Flow, ADownloadIsAsFastAsOverHttp1) {
  constexpr std::size_t kBytes = 64'000'000;
  fates_.client.delay = 50ms;
  fates_.client.send_buffer_bytes = 500'000;
  backend().on("/", response(std::string(kBytes, 'x')));
  start();
  H2Options options;
  options.stream_window = 8 * 1024 * 1024;
  options.keep_bodies = false;
  SimH2Client& client = connect_h2(options);
  SimClient& old = connect();
  run(1s);
  const TimePoint begin = now();
  const auto stream = client.get("/");
  old.get("/");
  TimePoint done{};
  client.on_progress = [&] {
    if (client.answer(stream).message.complete && done == TimePoint{}) done = now();
  };
  run(60s);
  client.on_progress = {};
  EXPECT_EQ(client.answer(stream).body_bytes, kBytes);
  ASSERT_EQ(old.answer_count(), 1U);
  EXPECT_LE(done - begin, (old.last_byte_at() - begin) * 11 / 10);
}

// RFC 9218: what is urgent overtakes what is not; a change takes effect at once.
TEST_F(Http2Flow, WhatIsUrgentComesFirst) {
  backend().on("/", response(pattern(1, 2'000'000)));
  fates_.client.to_connector.drip_bytes = 50'000;
  fates_.client.to_connector.drip_interval = 10ms;
  start();
  H2Options options;
  options.stream_window = 8 * 1024 * 1024;
  SimH2Client& client = connect_h2(options);
  const auto late = client.get("/", {{"priority", "u=7"}});
  const auto usual = client.get("/");
  const auto urgent = client.get("/", {{"priority", "u=0"}});
  run(600ms);  // a third of it all
  EXPECT_GT(client.answer(urgent).body_bytes, 1'000'000U);
  EXPECT_LT(client.answer(late).body_bytes, 300'000U);
  // The late one is in a hurry now (PRIORITY_UPDATE).
  client.raw(h2_frame(16, 0, 0, std::string("\0\0\0", 3) + static_cast<char>(late) + "u=0"));
  run(5s);
  for (const auto stream : {late, usual, urgent}) EXPECT_TRUE(client.answer(stream).message.complete);
}

}  // namespace
}  // namespace weir::sim
