// HTTP/2's windows and priorities through the whole proxy.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

// Bodies that are long for the way's bandwidth, so that how the windows grow hardly counts. Under sanitizers a
// sixteenth of it at a tenth of the bandwidth: a GiB would take them half a minute. Over TLS the same.
constexpr std::uint32_t kShorterBytes = 64'000'000;
constexpr Duration kSlowerInterval = 1ms;
#if defined(__SANITIZE_ADDRESS__) || \
    (defined(__has_feature) && (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)))
constexpr std::uint32_t kLongBytes = kShorterBytes;
constexpr Duration kDripInterval = kSlowerInterval;
#else
constexpr std::uint32_t kLongBytes = 1 << 30;
constexpr Duration kDripInterval = 100us;
#endif
constexpr std::size_t kDripBytes = 2'500;

// In the clear, and over TLS towards clients. Towards backends it would be a handshake for each of a thousand requests.
class Http2Flow : public SimTest, public testing::WithParamInterface<bool> {
 protected:
  Http2Flow() { speak({Protocol::http1, Protocol::http1, GetParam(), false}); }
};
INSTANTIATE_TEST_SUITE_P(, Http2Flow, testing::Bool(), [](const auto& info) { return info.param ? "Tls" : "Clear"; });

TEST_P(Http2Flow, OneStalledStreamSlowsNobody) {
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

TEST_P(Http2Flow, AThousandStalledStreamsStayWithinTheirMemory) {
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
TEST_P(Http2Flow, AStalledClientSlowsNobodyElseOnTheBackendsConnection) {
  constexpr std::size_t kBytes = 500'000;
  constexpr int kOthers = 100;
  speak({Protocol::http1, Protocol::http2, GetParam(), GetParam()});
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

// One leg of the way is 50 ms there and 50 ms back with 25 MB/s, where the first window would let 0.65 MB/s pass. Where
// Weir receives over it, its windows have to grow; where it sends, the peer's are wide. Peers keep nothing of the body:
// each byte follows from its place, and is compared where it comes.
struct LongWay {
  Protocol down, up;
  bool client_is_far;  // else the backend is
  bool upload;
  bool tls = false;

  std::uint32_t bytes() const { return tls ? kShorterBytes : kLongBytes; }
  Duration drip_interval() const { return tls ? kSlowerInterval : kDripInterval; }
};

class Http2LongWay : public SimTest, public testing::WithParamInterface<LongWay> {
 protected:
  static constexpr std::uint32_t kWindow = 8 * 1024 * 1024;  // of the peers

  Http2LongWay() {
    speak({Protocol::http1, Protocol::http1, GetParam().tls, GetParam().tls});
    LinkPlan& far = GetParam().client_is_far ? fates_.client : fates_.backend;
    far.delay = 50ms;
    for (DirectionPlan* direction : {&far.to_listener, &far.to_connector}) {
      direction->drip_bytes = kDripBytes;
      direction->drip_interval = GetParam().drip_interval();
    }
    fates_.client.send_buffer_bytes = 4 * 1024 * 1024;
    fates_.backend.send_buffer_bytes = 4 * 1024 * 1024;
    if (GetParam().up == Protocol::http2) speak_http2(0, {.streams_max = 100, .stream_window = kWindow});
    backend().keep_bodies = false;
    if (!GetParam().upload) backend().on("/", streamed_response(GetParam().bytes()));
  }

  // Returns what gives the answer as far as it is here.
  std::function<const Message*()> ask() {
    if (GetParam().down == Protocol::http1) {
      SimClient& client = connect();
      client.compare_bodies();
      GetParam().upload ? client.post_streamed("/", GetParam().bytes()) : client.get("/");
      return [&client] { return client.answers().empty() ? nullptr : &client.answers().front(); };
    }
    H2Options options;
    options.stream_window = kWindow;
    options.keep_bodies = false;
    SimH2Client& client = connect_h2(options);
    const auto stream = GetParam().upload ? client.post_streamed("/", GetParam().bytes()) : client.get("/");
    return [&client, stream] { return &client.answer(stream).message; };
  }
};

TEST_P(Http2LongWay, IsUsedToItsFull) {
  const Duration ideal = GetParam().drip_interval() * (GetParam().bytes() / kDripBytes);
  start();
  const TimePoint begin = now();
  const auto answer = ask();
  std::size_t held_bytes_max = 0;
  while (now() < begin + 2 * ideal && (answer() == nullptr || !answer()->complete)) {
    run(10ms);
    held_bytes_max = std::max(held_bytes_max, proxy_.buffer_bytes_out());
  }
  const Duration took = now() - begin;
  ASSERT_NE(answer(), nullptr);
  EXPECT_EQ(answer()->status, 200);
  const Message& carrier = GetParam().upload ? backend().requests().at(0) : *answer();
  EXPECT_TRUE(carrier.streamed.holds(GetParam().bytes())) << carrier.streamed.bytes();
  EXPECT_LE(took, ideal * 11 / 10);
  // On either side what the watermark and one read more allow, however wide the windows are.
  EXPECT_LE(held_bytes_max, 2U * 256 * 1024);
}

std::vector<LongWay> long_ways() {
  std::vector<LongWay> all;
  for (const bool tls : {false, true}) {
    for (const bool upload : {false, true}) {
      for (const Protocol other : {Protocol::http1, Protocol::http2}) {
        all.push_back({Protocol::http2, other, true, upload, tls});
        all.push_back({other, Protocol::http2, false, upload, tls});
      }
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(, Http2LongWay, testing::ValuesIn(long_ways()), [](const auto& info) {
  const LongWay& way = info.param;
  return std::string(way.upload ? "Upload" : "Download") + name_of(Wires{way.down, way.up, way.tls, way.tls}) +
         (way.client_is_far ? "FarClient" : "FarBackend");
});

// Where the client's windows are wide, the socket is what bounds a download, as over HTTP/1.
TEST_P(Http2Flow, ADownloadIsAsFastAsOverHttp1) {
  const std::uint32_t bytes = GetParam() ? kShorterBytes : kLongBytes;
  fates_.client.delay = 50ms;
  fates_.client.send_buffer_bytes = 500'000;
  backend().on("/", streamed_response(bytes));
  start();
  H2Options options;
  options.stream_window = 8 * 1024 * 1024;
  options.keep_bodies = false;
  SimH2Client& client = connect_h2(options);
  SimClient& old = connect();
  old.compare_bodies();
  run(1s);
  const TimePoint begin = now();
  const auto stream = client.get("/");
  old.get("/");
  TimePoint done{};
  client.on_progress = [&] {
    if (client.answer(stream).message.complete && done == TimePoint{}) done = now();
  };
  run(5min);
  client.on_progress = {};
  EXPECT_TRUE(client.answer(stream).message.streamed.holds(bytes)) << client.answer(stream).body_bytes;
  ASSERT_EQ(old.answer_count(), 1U);
  EXPECT_TRUE(old.answers().front().streamed.holds(bytes));
  EXPECT_LE(done - begin, (old.last_byte_at() - begin) * 11 / 10);
}

std::string priority_update(std::int32_t stream, std::string_view value) {
  return h2_frame(16, 0, 0, std::string("\0\0\0", 3) + static_cast<char>(stream) + std::string(value));
}

// RFC 9218: what is urgent overtakes what is not; a change takes effect at once.
TEST_P(Http2Flow, WhatIsUrgentComesFirst) {
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
  client.raw(priority_update(late, "u=0"));
  run(50ms);  // what was in the output, and in the socket
  const auto had = client.answer(late).body_bytes;
  const auto usual_had = client.answer(usual).body_bytes;
  run(200ms);
  EXPECT_GT(client.answer(late).body_bytes, had + 500'000);
  EXPECT_LT(client.answer(usual).body_bytes, usual_had + 50'000);
  run(5s);
  for (const auto stream : {late, usual, urgent}) EXPECT_TRUE(client.answer(stream).message.complete);
}

// Streams whose backends are not read from, as enough waits for the client, stayed in the order that they came to wait
// in: one that a PRIORITY_UPDATE made urgent waited for all before it.
TEST_F(BugsOfHttp2, Case165WhatBecomesUrgentIsReadFirst) {
  backend().on("/", streamed_response(2'000'000));
  backend().on("/small", response("hello\n"));
  fates_.client.to_connector.drip_bytes = 50'000;
  fates_.client.to_connector.drip_interval = 10ms;
  start();
  SimH2Client& client = connect_h2({.stream_window = 8 * 1024 * 1024, .keep_bodies = false});
  client.widen(0, 1 << 30);
  for (int i = 0; i < 80; ++i) client.get("/");
  run(300ms);
  const auto late = client.get("/small", {{"priority", "u=7"}});
  run(300ms);
  EXPECT_FALSE(client.answer(late).head_seen);
  client.raw(priority_update(late, "u=0"));
  run(100ms);  // what was in the output, and in the socket
  EXPECT_TRUE(client.answer(late).message.complete);
}

}  // namespace
}  // namespace weir::sim
