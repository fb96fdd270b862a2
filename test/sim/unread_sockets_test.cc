// Clients that let everything through their windows, and then don't read their sockets: what waits for them is bounded
// by what one connection may have in its output, however many streams it has, and nobody else notices.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

using observe::Family;

constexpr std::size_t kGrowthMax = 16 * 1024 * 1024;
constexpr std::uint32_t kWide = 16 * 1024 * 1024;

struct Flood {
  const char* name;
  std::uint32_t window;
  Protocol up;
  bool tls = false;
};
std::string name_of(const testing::TestParamInfo<Flood>& info) {
  return info.param.name;
}

class UnreadSockets : public SimTest, public testing::WithParamInterface<Flood> {
 protected:
  UnreadSockets() {
    speak({Protocol::http1, GetParam().up, GetParam().tls});
    // So many connections of peers keep little themselves.
    fates_.backend.send_buffer_bytes = 16 * 1024;
  }
  bool to_http1_backend() const { return GetParam().up == Protocol::http1; }

  SimH2Client& connect_wide() {
    H2Options options;
    options.stream_window = GetParam().window;
    options.keep_bodies = false;
    SimH2Client& client = connect_h2(options);
    client.widen(0, kWide);
    return client;
  }
  void attack(int connections, int streams) {
    for (int i = 0; i < connections; ++i) {
      SimH2Client& bad = connect_wide();
      bad.stop_reading();
      for (int k = 0; k < streams; ++k) bad.get("/big");
      bad_.push_back(&bad);
      run(1ms);  // no backend accepts all of them at once
    }
  }
  // The most that the proxy holds while others ask for this and that, and all of them get it.
  std::size_t serve_others(int rounds) {
    SimH2Client& good = connect_wide();
    SimH2Client& large = connect_h2();
    SimClient& old = connect();
    std::vector<std::int32_t> small_ones, large_ones;
    std::size_t most = 0;
    for (int i = 0; i < rounds; ++i) {
      if (i % 5 == 0) {
        small_ones.push_back(large.get("/"));
        old.get("/");
      }
      if (i % 20 == 0) {
        for (int k = 0; k < 4; ++k) large_ones.push_back(good.get("/large"));
      }
      run(1ms);
      most = std::max(most, proxy_.buffer_bytes_out());
    }
    run(1s);
    for (const auto stream : small_ones) EXPECT_EQ(large.answer(stream).message.body, "hello\n");
    for (const auto stream : large_ones) {
      EXPECT_TRUE(good.answer(stream).message.streamed.holds(300'000)) << good.answer(stream).body_bytes;
      EXPECT_TRUE(good.answer(stream).message.complete);
    }
    EXPECT_EQ(old.answer_count(), small_ones.size());
    for (const Message& answer : old.answers()) EXPECT_EQ(answer.status, 200);
    return std::max(most, proxy_.buffer_bytes_out());
  }
  std::vector<SimH2Client*> bad_;
};

TEST_P(UnreadSockets, OfAHundredCostNoMoreThanTheLimitAndNobodyElse) {
  backend().on("/big", Script{wait_for(300ms), send_bytes(response(pattern(1, 40'000)))});
  backend().on("/large", streamed_response(300'000));
  start();
  attack(100, 100);
  run(200ms);
  // Requests that wait at a backend cost what they cost.
  EXPECT_EQ(proxy_.live_streams(), 10'000U);
  const std::size_t requests = proxy_.buffer_bytes_out();
  EXPECT_LE(serve_others(400), requests + kGrowthMax);
  for (const SimH2Client* client : bad_) EXPECT_TRUE(client->is_open());
  if (!to_http1_backend()) return;
  // An HTTP/1 backend can wait: nobody is cut. Who reads at last gets all of it.
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse), 0);
  EXPECT_GE(proxy_.live_streams(), 9500U);
  for (const std::size_t i : {0U, 50U, 99U}) {
    bad_[i]->go_on_reading();
    run(1s);
    EXPECT_EQ(bad_[i]->complete_answers(), 100U);
  }
}

// Long bodies, of which an unread stream used to keep 128 KiB.
TEST_P(UnreadSockets, HoldNoMoreOfLongBodies) {
  backend().on("/big", streamed_response(1'000'000));
  backend().on("/large", streamed_response(300'000));
  start();
  attack(10, 100);
  const std::size_t most = serve_others(200);
  // Ten connections' outputs, and a thousand requests.
  if (to_http1_backend()) {
    EXPECT_LE(most, 10U * 160 * 1024 + 1000U * 16 * 1024);
  } else {
    EXPECT_LE(most, kGrowthMax + 1000U * 16 * 1024);
  }
  EXPECT_GT(proxy_.live_streams(), 100U);
}

// Slow is not the same as absent: who reads now and then gets all that it asked for.
TEST_P(UnreadSockets, OfSlowReadersAreServedToTheEnd) {
  fates_.client.to_connector.drip_bytes = 20'000;
  fates_.client.to_connector.drip_interval = 10ms;
  cluster().timeouts.request = 1s;
  cluster().timeouts.stream_idle = 1s;
  backend().on("/big", streamed_response(300'000));
  start();
  std::vector<SimH2Client*> slow;
  // How fast a client reads is known once its socket was full.
  constexpr std::size_t kBatches = 4, kBatch = 10;
  for (int i = 0; i < 5; ++i) slow.push_back(&connect_wide());
  for (std::size_t batch = 0; batch < kBatches; ++batch) {
    for (SimH2Client* client : slow) {
      for (std::size_t k = 0; k < kBatch; ++k) client->get("/big");
    }
    run(100ms);
  }
  run(2s);
  // An HTTP/2 backend fills the windows of those that are read.
  const std::size_t bound = to_http1_backend() ? kGrowthMax : slow.size() * kBatches * kBatch * 128 * 1024;
  EXPECT_LE(proxy_.buffer_bytes_out(), bound);
  run(10s);
  for (const SimH2Client* client : slow) {
    EXPECT_EQ(client->complete_answers(), kBatches * kBatch);
    for (const auto& [id, answer] : client->engine().answers()) {
      EXPECT_TRUE(answer.message.streamed.holds(300'000)) << id << ": " << answer.body_bytes;
    }
  }
  EXPECT_EQ(proxy_.metric(Family::kHttp2Abuse), 0);
}

// ... but not for ever.
TEST_P(UnreadSockets, AreGivenUpInTheEnd) {
  cluster().timeouts.request = 3s;
  cluster().timeouts.stream_idle = 5s;
  listener().idle_timeout = 5s;
  backend().on("/big", streamed_response(300'000));
  start();
  attack(3, 30);
  run(4s);
  EXPECT_EQ(proxy_.live_streams(), 90U);
  run(20s);
  EXPECT_EQ(proxy_.live_streams(), 0U);
  EXPECT_EQ(proxy_.connections(), 0U);
}

// Heads can't be held back where the backend speaks HTTP/2.
TEST_P(UnreadSockets, CostNoMoreWhereHeadsAreLarge) {
  std::string fields;
  for (int i = 0; i < 4; ++i) fields += "X-Large: " + std::string(2500, static_cast<char>('a' + i)) + "\r\n";
  backend().on("/big", Script{wait_for(300ms), send_bytes(response("hello\n", fields))});
  backend().on("/large", streamed_response(300'000));
  start();
  attack(100, 100);
  run(200ms);
  const std::size_t requests = proxy_.buffer_bytes_out();
  EXPECT_LE(serve_others(400), requests + kGrowthMax);
  // What is in a connection's output goes only with the connection.
  if (to_http1_backend()) {
    EXPECT_EQ(proxy_.connections(), 103U);
  } else {
    EXPECT_GE(proxy_.metric(Family::kHttp2Abuse, {"held_response"}), 50);
    EXPECT_LE(proxy_.connections(), 53U);
  }
}

TEST_P(UnreadSockets, CostNoMoreInTunnels) {
  backend().on("/tunnel", Handler{[](const Message& request) {
                                    return Script{send_bytes(switching(request)), wait_for(300ms),
                                                  send_bytes(pattern(1, 100'000))};
                                  },
                                  {}});
  backend().on("/large", streamed_response(300'000));
  start();
  for (int i = 0; i < 50; ++i) {
    SimH2Client& bad = connect_wide();
    for (int k = 0; k < 40; ++k) bad.websocket("/tunnel");
    run(2ms);
    bad.stop_reading();
    bad_.push_back(&bad);
  }
  run(100ms);
  EXPECT_EQ(proxy_.live_streams(), 2000U);
  const std::size_t tunnels = proxy_.buffer_bytes_out();
  EXPECT_LE(serve_others(400), tunnels + kGrowthMax);
  if (!to_http1_backend()) return;
  EXPECT_EQ(proxy_.live_streams(), 2000U);
  bad_[7]->go_on_reading();
  run(1s);
  for (const auto& [id, answer] : bad_[7]->engine().answers()) EXPECT_EQ(answer.body_bytes, 100'000U) << id;
}

// Who sends what is to be sent back, and does not read.
TEST_P(UnreadSockets, CostNoMoreWhereTheySend) {
  backend().on("/big", Handler{[](const Message&) {
                                 Script script = streamed_response(1'000'000);
                                 script.push_back(then(Action::Kind::stop_reading));
                                 return script;
                               },
                               {}});
  backend().on("/large", streamed_response(300'000));
  start();
  const std::string body = pattern(2, 300'000);
  for (int i = 0; i < 50; ++i) {
    SimH2Client& bad = connect_wide();
    run(1ms);  // it knows the proxy's windows
    bad.stop_reading();
    for (int k = 0; k < 20; ++k) bad.post("/big", body);
    run(1ms);
    bad_.push_back(&bad);
  }
  run(200ms);
  EXPECT_LE(serve_others(400), kGrowthMax);
  EXPECT_EQ(proxy_.connections(), bad_.size() + 3);  // it is streams that are cut
}

INSTANTIATE_TEST_SUITE_P(, UnreadSockets,
                         testing::Values(Flood{"WindowOf1MToHttp1", 1 << 20, Protocol::http1},
                                         Flood{"WidestOverTlsToHttp1", kWide, Protocol::http1, true},
                                         Flood{"WidestToHttp2", kWide, Protocol::http2},
                                         Flood{"WindowOf1MOverTlsToHttp2", 1 << 20, Protocol::http2, true}),
                         name_of);

// One cluster of each protocol.
class BugsOfMixedClusters : public SimTest {
 protected:
  BugsOfMixedClusters() {
    speak_http2(0, {.streams_max = 100, .stream_window = kWide});
    backend().on("/download", streamed_response(20'000'000));
    const SocketAddress address = *SocketAddress::parse("10.1.0.9:80");
    backends_.push_back(std::make_unique<SimBackend>(outside_, "old", address));
    proxy_.setup.add_cluster("old").members.push_back({make_backend("old", address), 1, true});
    proxy_.setup.routes.clear();
    proxy_.setup.add_route("old", "old", "/old");
    proxy_.setup.add_route("all", "app");
  }
  SimBackend& old() { return *backends_.back(); }
  SimH2Client& connect_wide() {
    SimH2Client& client = connect_h2({.stream_window = kWide, .keep_bodies = false});
    client.widen(0, kWide);
    return client;
  }
};

// Answers of HTTP/2 backends can't be held back, so that some of them always wait for the socket of a client that takes
// less than they bring. Those of HTTP/1 backends got no place among them before they were over.
TEST_F(BugsOfMixedClusters, Case160DownloadsOverHttp2LeaveHttp1BackendsTheirTurn) {
  fates_.client.to_connector.drip_bytes = 50'000;
  fates_.client.to_connector.drip_interval = 10ms;
  old().on("/old/small", response("hello\n"));
  old().on("/old/download", streamed_response(20'000'000));
  start();
  SimH2Client& client = connect_wide();
  std::vector<std::int32_t> downloads;
  for (int i = 0; i < 8; ++i) downloads.push_back(client.get("/download"));
  run(500ms);
  const auto small = client.get("/old/small");
  run(1s);
  EXPECT_TRUE(client.answer(small).message.complete);
  // A download gets its turn as all others do: a ninth of the 5 MB/s.
  const auto download = client.get("/old/download");
  run(2s);
  std::uint64_t others = 0;
  for (const auto stream : downloads) others += client.answer(stream).body_bytes;
  EXPECT_GT(others, 10'000'000U);
  EXPECT_GT(client.answer(download).body_bytes, 700'000U);
  EXPECT_LT(client.answer(download).body_bytes, 1'500'000U);
}

// Bodies of HTTP/1 backends that wait for their turn are held back. Their heads wait for none: it is the output that
// tells how many there are.
TEST_F(BugsOfMixedClusters, Case161HeadsAreHeldBackWhereBodiesFillTheOutput) {
  std::string fields;
  for (int i = 0; i < 4; ++i) fields += "X-Large: " + std::string(2500, static_cast<char>('a' + i)) + "\r\n";
  old().on("/old/large", Script{wait_for(300ms), send_bytes(response("hello\n", fields))});
  start();
  SimH2Client& client = connect_wide();
  run(1ms);
  client.stop_reading();
  for (int i = 0; i < 3; ++i) client.get("/download");
  run(100ms);
  for (int i = 0; i < 90; ++i) client.get("/old/large");
  run(200ms);
  const std::size_t requests = proxy_.buffer_bytes_out();
  run(1s);
  EXPECT_LE(proxy_.buffer_bytes_out(), requests + 160 * 1024);
  client.go_on_reading();
  run(20s);
  EXPECT_EQ(client.complete_answers(), 93U);
}

}  // namespace
}  // namespace weir::sim
