// HTTP/2 clients that attack, on one connection and on a hundred: each is
// counted by its kind, ends its own connections at most, costs little memory,
// and nobody else notices.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

constexpr std::size_t kGrowthMax = 16 * 1024 * 1024;

std::string number(std::uint32_t value) {
  std::string text;
  for (const int shift : {24, 16, 8, 0}) text.push_back(static_cast<char>(value >> shift & 0xFF));
  return text;
}

std::string request(std::uint32_t id, std::uint8_t flags = 5, const Message::Fields& more = {}) {
  Message::Fields fields{
      {":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/hold"}, {"x-evil", "1"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return h2_frame(1, flags, id, h2_block(fields));
}

std::string repeat(int count, const std::function<std::string(std::uint32_t)>& make) {
  std::string all;
  for (int i = 0; i < count; ++i) all += make(static_cast<std::uint32_t>(2 * i + 1));
  return all;
}
std::string repeat(int count, const std::string& frame) {
  return repeat(count, [&](std::uint32_t) { return frame; });
}

// A field that nearly fills the table, then the same again and again, each time
// for a single byte.
std::string bomb(std::uint32_t id) {
  std::string block = h2_block({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}});
  std::string entry = h2_block({{"x", std::string(4000, 'a')}});
  entry[0] = 0x40;  // with indexing
  block += entry + std::string(12'000, '\xBE');
  return h2_frame(1, 5, id, block);
}

// In the clear or over TLS. To HTTP/1 backends it is always in the clear: thousands of requests are as many handshakes.
Wires wires(Protocol up, bool tls) {
  return {Protocol::http1, up, tls, tls && up == Protocol::http2};
}
std::string over(bool tls) {
  return tls ? "_over_tls" : "";
}

enum class Ends : std::uint8_t {
  calm,   // its connection, with ENHANCE_YOUR_CALM
  flow,   // its connection, with FLOW_CONTROL_ERROR
  reset,  // nothing but its streams
};

struct Attack {
  const char* name;
  const char* kind;  // of lb_http2_abuse_total, or the reason of the local replies
  Ends ends;
  std::string bytes;   // behind preface and SETTINGS
  std::string second;  // what follows 100 ms later
};

const std::vector<Attack>& attacks() {
  static const std::vector<Attack> all = {
      {"rapid_reset", "rapid_reset", Ends::calm,
       repeat(1000, [](std::uint32_t id) { return request(id) + h2_frame(3, 0, id, number(8)); }), ""},
      {"resets_that_it_provokes", "rapid_reset", Ends::calm,
       repeat(1000, [](std::uint32_t id) { return request(id) + h2_frame(8, 0, id, number(0)); }), ""},
      {"windows_that_overflow_streams", "rapid_reset", Ends::calm,
       repeat(1000, [](std::uint32_t id) { return request(id) + h2_frame(8, 0, id, number(0x7FFFFFFF)); }), ""},
      {"continuations", "continuation", Ends::calm,
       request(1, 1) + repeat(10'000, h2_frame(9, 0, 1, h2_block({{"x", std::string(1000, 'y')}}))), ""},
      {"empty_continuations", "continuation", Ends::calm, request(1, 1) + repeat(10'000, h2_frame(9, 0, 1, "")), ""},
      {"empty_data", "empty_frames", Ends::calm, request(1, 4) + repeat(10'000, h2_frame(0, 0, 1, "")), ""},
      {"settings", "settings", Ends::calm, repeat(10'000, h2_frame(4, 0, 0, "")), ""},
      {"pings", "ping", Ends::calm, repeat(10'000, h2_frame(6, 0, 0, "12345678")), ""},
      {"priorities", "priority", Ends::calm, repeat(10'000, h2_frame(2, 0, 1, std::string(5, '\1'))), ""},
      {"unknown_frames", "unknown_frame", Ends::calm, repeat(10'000, h2_frame(0x77, 0, 0, "")), ""},
      {"resets_of_what_is_over", "reset", Ends::calm, request(1) + repeat(10'000, h2_frame(3, 0, 1, number(8))), ""},
      {"tiny_window_updates", "window_update", Ends::calm, repeat(10'000, h2_frame(8, 0, 0, number(1))), ""},
      {"a_window_that_overflows", "FLOW_CONTROL_ERROR", Ends::flow, h2_frame(8, 0, 0, number(0x7FFFFFFF)), ""},
      {"streams_past_the_limit", "stream_limit", Ends::reset, repeat(150, [](std::uint32_t id) { return request(id); }),
       ""},
      {"header_bombs", "headers_too_large", Ends::reset, repeat(20, bomb), ""},
      {"header_lists_past_the_limit", "headers_too_large", Ends::reset,
       repeat(20, [](std::uint32_t id) { return request(id, 5, Message::Fields(101, {"x", std::string(100, 'y')})); }),
       ""},
      {"a_frame_that_drips", "slow_frame", Ends::calm, request(1).substr(0, 5), "\1"},
      {"a_head_that_drips", "slow_frame", Ends::calm, request(1, 1), h2_frame(9, 0, 1, "")},
  };
  return all;
}

class Hostile : public SimTest, public testing::WithParamInterface<std::tuple<std::size_t, int, bool>> {
 protected:
  Hostile() { speak(wires(Protocol::http1, std::get<2>(GetParam()))); }
  const Attack& attack() const { return attacks()[std::get<0>(GetParam())]; }
};

TEST_P(Hostile, PeersHarmNobodyElse) {
  // What waits at a backend costs what it costs; the attack is what comes on
  // top of that.
  listener().concurrent_streams = 2;
  listener().header_timeout = 2s;
  backend().on("/hold", Script{wait_for(kForever)});
  start();
  const int connections = std::get<1>(GetParam());
  SimH2Client& good = connect_h2();
  SimClient& old = connect();
  run(10ms);
  const std::size_t before = proxy_.buffer_bytes_out();
  std::size_t most = before;
  std::vector<SimClient*> bad;
  for (int i = 0; i < connections; ++i) {
    bad.push_back(&connect_raw_h2());
    bad.back()->raw(std::string(kH2Preface) + h2_frame(4, 0, 0, "") + attack().bytes, "");
  }
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 100; ++i) {
    if (i % 5 == 0) {
      streams.push_back(good.get("/"));
      old.get("/");
    }
    run(1ms);
    most = std::max(most, proxy_.buffer_bytes_out());
  }
  for (SimClient* client : bad) {
    if (!attack().second.empty() && !client->ended()) client->send(attack().second);
  }
  run(5s);
  most = std::max(most, proxy_.buffer_bytes_out());
  EXPECT_LE(most - before, kGrowthMax);
  for (const auto stream : streams) EXPECT_EQ(good.answer(stream).message.body, "hello\n");
  EXPECT_EQ(old.answer_count(), streams.size());
  for (const Message& answer : old.answers()) EXPECT_EQ(answer.status, 200);
  for (const SimClient* client : bad) {
    // GOAWAY for stream 0: the last stream it names may be any.
    const char code = attack().ends == Ends::calm ? '\13' : '\3';
    const std::size_t found = client->received().rfind(std::string("\7\0\0\0\0\0", 6));
    const bool said =
        found != std::string::npos && client->received().size() > found + 13 && client->received()[found + 13] == code;
    EXPECT_EQ(said, attack().ends != Ends::reset);
    EXPECT_EQ(client->ended(), attack().ends != Ends::reset);
  }
  const std::int64_t counted = attack().kind == std::string("headers_too_large")
                                   ? proxy_.metric(Family::kLocalReplies, {attack().kind})
                                   : proxy_.metric(Family::kHttp2Abuse, {attack().kind});
  if (attack().ends == Ends::reset) {
    EXPECT_GE(counted, 20 * connections);
  } else {
    EXPECT_EQ(counted, connections);
    EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse), connections);
    EXPECT_EQ(proxy_.live_streams(), 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(, Hostile,
                         testing::Combine(testing::Range(std::size_t{0}, attacks().size()), testing::Values(1, 100),
                                          testing::Bool()),
                         [](const auto& info) {
                           return std::string(attacks()[std::get<0>(info.param)].name) + "_on_" +
                                  std::to_string(std::get<1>(info.param)) + over(std::get<2>(info.param));
                         });

class HostileReaders : public SimTest, public testing::WithParamInterface<bool> {
 protected:
  HostileReaders() { speak(wires(Protocol::http1, GetParam())); }
};

// Windows that let nothing through hold answers back: with each at most what is
// stated here, and not for ever.
class HeldWindows : public SimTest, public testing::WithParamInterface<std::tuple<std::uint32_t, bool>> {
 protected:
  HeldWindows() { speak(wires(Protocol::http1, std::get<1>(GetParam()))); }
};

TEST_P(HeldWindows, CostABoundedAmountForABoundedTime) {
  cluster().timeouts.stream_idle = 5s;
  backend().on("/big", response(pattern(1, 1'000'000)));
  start();
  SimH2Client& good = connect_h2();
  run(10ms);
  const std::size_t before = proxy_.buffer_bytes_out();
  H2Options options;
  options.stream_window = std::get<0>(GetParam());
  SimH2Client& bad = connect_h2(options);
  std::vector<std::int32_t> held;
  for (int i = 0; i < 100; ++i) {
    held.push_back(bad.get("/big"));
    bad.engine().hold_window(held.back());
  }
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 20; ++i) {
    streams.push_back(good.get("/"));
    run(5ms);
  }
  EXPECT_EQ(proxy_.live_streams(), 100U);
  EXPECT_LE(proxy_.buffer_bytes_out() - before, kGrowthMax);
  for (const auto stream : streams) EXPECT_EQ(good.answer(stream).message.body, "hello\n");
  run(12s);
  EXPECT_EQ(proxy_.live_streams(), 0U);
  for (const auto stream : held) EXPECT_EQ(bad.answer(stream).reset, kH2InternalError);
  EXPECT_LE(proxy_.buffer_bytes_out() - before, 64U * 1024);
}

INSTANTIATE_TEST_SUITE_P(, HeldWindows, testing::Combine(testing::Values(0U, 1U, 100U), testing::Bool()),
                         [](const auto& info) {
                           return "of_" + std::to_string(std::get<0>(info.param)) + over(std::get<1>(info.param));
                         });

// The same on a hundred connections at once. Together they may hold a stated
// amount in each worker, their requests included; streams beyond it end, and
// nobody else's.
struct Hold {
  const char* name;
  std::uint32_t window;
  Protocol up;
};
class HeldOnAHundred : public SimTest, public testing::WithParamInterface<std::tuple<Hold, bool>> {
 protected:
  HeldOnAHundred() { speak(wires(hold().up, std::get<1>(GetParam()))); }
  const Hold& hold() const { return std::get<0>(GetParam()); }

  void attack() {
    H2Options options;
    options.stream_window = hold().window;
    for (int i = 0; i < kConnections; ++i) {
      SimH2Client& bad = connect_h2(options);
      for (int k = 0; k < kStreams; ++k) bad.engine().hold_window(bad.get("/big"));
      bad_.push_back(&bad);
    }
  }
  static constexpr int kConnections = 100;
  static constexpr int kStreams = 100;
  std::vector<SimH2Client*> bad_;
};

TEST_P(HeldOnAHundred, CostsNoMoreThanTheLimitAndNobodyElse) {
  backend().on("/big", Script{wait_for(300ms), send_bytes(response(pattern(1, 20'000)))});
  backend().on("/large", response(pattern(2, 300'000)));
  start();
  SimH2Client& good = connect_h2();
  SimClient& old = connect();
  SimH2Client& patient = connect_h2();
  const auto paused = patient.get("/large");
  patient.engine().hold_window(paused);
  run(100ms);
  const std::size_t before = proxy_.buffer_bytes_out();
  attack();
  run(200ms);
  const std::size_t requests = proxy_.buffer_bytes_out();
  // What says so at once that its answers will be held is refused at once; else requests that wait at a backend cost
  // what they cost.
  const bool said_so = hold().window < 1024;
  if (said_so) {
    EXPECT_LE(proxy_.live_streams(), 1600U);
    EXPECT_LE(requests - before, kGrowthMax);
  } else {
    EXPECT_EQ(proxy_.live_streams(), static_cast<std::size_t>(kConnections * kStreams) + 1);
  }
  std::size_t most = 0;
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 400; ++i) {
    if (i % 5 == 0) {
      streams.push_back(good.get("/"));
      old.get("/");
    }
    if (i % 20 == 0) streams.push_back(good.get("/large"));
    run(1ms);
    most = std::max(most, proxy_.buffer_bytes_out());
  }
  run(2s);
  EXPECT_LE(most, said_so ? before + kGrowthMax : requests + kGrowthMax);
  EXPECT_LE(proxy_.buffer_bytes_out() - before, kGrowthMax);
  // The bound is used, not merely kept.
  EXPECT_GE(proxy_.buffer_bytes_out() - before, kGrowthMax / 4);
  for (const auto stream : streams) {
    EXPECT_EQ(good.answer(stream).message.status, 200);
    EXPECT_TRUE(good.answer(stream).message.complete);
  }
  EXPECT_EQ(old.answer_count(), 80U);
  for (const Message& answer : old.answers()) EXPECT_EQ(answer.status, 200);
  std::int64_t cut = 0;
  for (const SimH2Client* client : bad_) {
    for (const auto& [id, answer] : client->engine().answers()) {
      if (!answer.closed) continue;
      EXPECT_EQ(answer.reset, kH2EnhanceYourCalm);
      ++cut;
    }
    EXPECT_TRUE(client->is_open());
  }
  // Who holds no more than anybody may is not cut to make room.
  patient.open_window(paused);
  run(1s);
  EXPECT_TRUE(patient.answer(paused).message.complete);
  EXPECT_GE(cut, 8000);
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse, {"held_response"}), cut);
}

TEST_P(HeldOnAHundred, IsTheListenersLimit) {
  listener().http2_held_bytes = UINT64_MAX;
  backend().on("/big", response(pattern(1, 5000)));
  start();
  attack();
  run(1s);
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse), 0);
  for (const SimH2Client* client : bad_) {
    for (const auto& [id, answer] : client->engine().answers()) EXPECT_FALSE(answer.reset);
  }
}

INSTANTIATE_TEST_SUITE_P(, HeldOnAHundred,
                         testing::Combine(testing::Values(Hold{"ZeroToHttp1", 0, Protocol::http1},
                                                          Hold{"TinyToHttp1", 1, Protocol::http1},
                                                          Hold{"SmallToHttp1", 100, Protocol::http1},
                                                          Hold{"LargerToHttp1", 2000, Protocol::http1},
                                                          Hold{"ZeroToHttp2", 0, Protocol::http2},
                                                          Hold{"SmallToHttp2", 100, Protocol::http2},
                                                          Hold{"LargerToHttp2", 2000, Protocol::http2}),
                                          testing::Bool()),
                         [](const auto& info) { return std::get<0>(info.param).name + over(std::get<1>(info.param)); });

// Who asks and does not read the answers is read no more, or sent away; what
// waits for it is bounded.
TEST_P(HostileReaders, AreHeldBack) {
  proxy_.setup.routes.front()->match.path_prefix = "/app";
  listener().idle_timeout = 5s;
  fates_.client.send_buffer_bytes = 8000;
  start();
  const std::size_t before = proxy_.buffer_bytes_out();
  for (int i = 0; i < 5; ++i) {
    SimClient& client = connect_raw_h2();
    client.stop_reading();
    client.raw(
        std::string(kH2Preface) + h2_frame(4, 0, 0, "") + repeat(5000, [](std::uint32_t id) { return request(id); }),
        "");
  }
  run(3s);
  EXPECT_LE(proxy_.buffer_bytes_out() - before, 5U * 3 * 1024 * 1024);
  EXPECT_EQ(get("/none").answer_count(), 1U);
  run(20s);
  EXPECT_EQ(proxy_.connections(), 0U);
}

// The limits are the listener's.
TEST_P(HostileReaders, MeetTheListenersLimits) {
  listener().http2_limits.control_frames_per_window = 20;
  start();
  SimClient& client = connect_raw_h2();
  client.raw(std::string(kH2Preface) + h2_frame(4, 0, 0, "") + repeat(100, h2_frame(6, 0, 0, "12345678")), "");
  run(100ms);
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse, {"ping"}), 1);
}

INSTANTIATE_TEST_SUITE_P(, HostileReaders, testing::Bool(),
                         [](const auto& info) { return info.param ? "Tls" : "Clear"; });

}  // namespace
}  // namespace weir::sim
