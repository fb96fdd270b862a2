#include "upstream/health/health_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/http2/session_test_util.h"
#include "net/raw_peer_fixture.h"
#include "net/sim_engine.h"
#include "net/sim_world.h"

namespace weir::health {
namespace {

constexpr std::string_view kGood = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

struct Notes final : HealthListener {
  struct Change {
    bool healthy;
    std::string reason;
    TimePoint at;
  };
  explicit Notes(EventLoop& of) : loop(of) {}
  void on_health_changed(HealthCheck& check, bool healthy, std::string_view reason) override {
    EXPECT_EQ(check.healthy(), healthy);
    changes.push_back({healthy, std::string(reason), loop.now()});
  }
  void on_answered_once(HealthCheck& check) override {
    EXPECT_TRUE(check.answered_once());
    ++answered;
  }
  // As the directory does.
  void on_protocol_shown(HealthCheck&, SpokenProtocol protocol) override {
    shown.push_back(protocol);
    if (backend != nullptr) backend->set_protocol(protocol);
  }
  EventLoop& loop;
  std::vector<Change> changes;
  std::vector<SpokenProtocol> shown;
  std::shared_ptr<Backend> backend;
  int answered = 0;
};

// All connections get this fate.
struct Fate final : FaultPlan {
  LinkPlan draw(const IpAddress&, const SocketAddress&, TimePoint, Rng&) override { return plan; }
  LinkPlan plan;
};

class HealthCheckTest : public testing::Test {
 protected:
  HealthCheckTest() {
    world.set_faults(&fate);
    world.add_loop(control);
    world.add_loop(servers);
    settings.path = "/health?full=1";
    notes.backend = backend;
    listen(kGood);
  }
  ~HealthCheckTest() override {
    check.reset();
    listener.reset();
    world.remove_loop(control);
    world.remove_loop(servers);
    EXPECT_EQ(control.buffers().outstanding(), 0u);
  }

  // Every connection is answered with `answer` once its request is complete; "" never answers.
  void listen(std::string_view text) {
    answer = text;
    listener.emplace(server_engine, address, [this](RawPeer& peer) {
      ++connections;
      connected_at.push_back(world.now());
      peer.on_data([this](RawPeer& from) {
        if (from.ended() || from.failed()) return from.close();
        if (from.received().starts_with("PRI ")) return from.send("HTTP/1.1 400 Bad Request\r\n\r\n"), from.close();
        if (!from.received().ends_with("\r\n\r\n")) return;
        last_request = from.received();
        from.send(answer);
        if (close_after_answer) from.close();
      });
    });
  }
  void start(std::string host = "app.internal:80") {
    check.emplace(control, std::make_shared<const HealthCheckSettings>(settings), backend, std::move(host), notes);
    check->start(0s);
  }
  void run(Duration duration) { ASSERT_TRUE(world.run_until(world.now() + duration)); }

  SimWorld world{SimWorld::Options{}};
  Fate fate;
  DescriptorBudget budget{1000, 10};
  DescriptorBudget server_budget{100000, 10};
  SimEngine engine{world, budget, "control", *IpAddress::parse("10.0.0.1")};
  SimEngine server_engine{world, server_budget, "server", *IpAddress::parse("10.0.0.2")};
  EventLoop control{engine, 1};
  EventLoop servers{server_engine, 2};
  Notes notes{control};
  const SocketAddress address = *SocketAddress::parse("10.0.0.2:80");
  const std::shared_ptr<Backend> backend =
      std::make_shared<Backend>("one", "http://10.0.0.2:80", address, Backend::kNoLimit);
  HealthCheckSettings settings;
  std::optional<RawListener> listener;
  std::string answer, last_request;
  bool close_after_answer = false;
  int connections = 0;
  std::vector<TimePoint> connected_at;
  std::optional<HealthCheck> check;
};

TEST_F(HealthCheckTest, AsksAsTheSettingsSay) {
  start();
  run(1s);
  EXPECT_EQ(last_request,
            "GET /health?full=1 HTTP/1.1\r\nhost: app.internal:80\r\nuser-agent: weir-health-check\r\naccept: */*\r\n"
            "connection: close\r\n\r\n");
  EXPECT_EQ(notes.answered, 1);
  EXPECT_TRUE(notes.changes.empty());
  EXPECT_TRUE(check->healthy());
}

TEST_F(HealthCheckTest, HostOfTheSettingsWins) {
  settings.host = "other.example";
  start();
  run(1s);
  EXPECT_NE(last_request.find("\r\nhost: other.example\r\n"), std::string::npos);
}

TEST_F(HealthCheckTest, ProbesAtTheJitteredInterval) {
  start();
  run(500s);
  EXPECT_NEAR(connections, 100, 5);
  bool differ = false;
  for (std::size_t i = 2; i < connected_at.size(); ++i) {
    const Duration gap = connected_at[i] - connected_at[i - 1];
    EXPECT_GE(gap, 4500ms);
    EXPECT_LE(gap, 5510ms);
    differ = differ || gap != connected_at[1] - connected_at[0];
  }
  EXPECT_TRUE(differ);
  EXPECT_EQ(notes.answered, 1);
  EXPECT_EQ(budget.open(), 0u) << "between probes no descriptor is held";
}

TEST_F(HealthCheckTest, FallsAndRisesWithTheStatus) {
  answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
  start();
  run(7s);
  EXPECT_TRUE(check->healthy()) << "two failures of three";
  run(6s);
  ASSERT_EQ(notes.changes.size(), 1u);
  EXPECT_FALSE(notes.changes[0].healthy);
  EXPECT_EQ(notes.changes[0].reason, "status 503");
  answer = kGood;
  run(12s);
  ASSERT_EQ(notes.changes.size(), 2u);
  EXPECT_TRUE(notes.changes[1].healthy);
}

// Checks had limits of their own: what passed for every request failed for them.
TEST_F(HealthCheckTest, Case097AHeadMayBeAsLongAsThoseOfTraffic) {
  settings.head_limits = {.header_bytes = 20'000, .headers = 300};
  std::string lines;
  for (int i = 0; i < 250; ++i) lines += "set-cookie: " + std::string(60, 'c') + "\r\n";
  answer = "HTTP/1.1 200 OK\r\n" + lines + "content-length: 0\r\n\r\n";
  start();
  run(30s);
  EXPECT_TRUE(notes.changes.empty());
  EXPECT_TRUE(check->healthy());
  answer = "HTTP/1.1 200 OK\r\n" + lines + lines + "content-length: 0\r\n\r\n";
  run(30s);
  EXPECT_FALSE(check->healthy());
}

TEST_F(HealthCheckTest, ExpectedStatusesAreConfigurable) {
  settings.expect = {{200, 299}, {404, 404}};
  answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
  start();
  run(60s);
  EXPECT_TRUE(notes.changes.empty());
  answer = "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n";
  run(20s);
  ASSERT_EQ(notes.changes.size(), 1u);
  EXPECT_EQ(notes.changes[0].reason, "status 405");
}

struct BadAnswer {
  const char* name;
  std::string text;
  bool close;
  const char* reason;  // a part of it
};
class HealthCheckBadAnswer : public HealthCheckTest, public testing::WithParamInterface<BadAnswer> {};

TEST_P(HealthCheckBadAnswer, CountsAsAFailure) {
  settings.unhealthy_after = 1;
  listener.reset();
  close_after_answer = GetParam().close;
  listen(GetParam().text);
  start();
  run(4s);
  ASSERT_EQ(notes.changes.size(), 1u);
  EXPECT_NE(notes.changes[0].reason.find(GetParam().reason), std::string::npos) << notes.changes[0].reason;
  EXPECT_EQ(notes.answered, 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, HealthCheckBadAnswer,
    testing::Values(BadAnswer{"garbage", "SSH-2.0-OpenSSH\r\n\r\n", false, "bad answer"},
                    BadAnswer{"silence", "", false, "timeout: waiting for the answer"},
                    BadAnswer{"close", "", true, "closed before it answered"},
                    BadAnswer{"half_a_head", "HTTP/1.1 200 OK\r\ncont", true, "closed before it answered"},
                    BadAnswer{"half_a_body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab", true,
                              "closed inside its answer"},
                    BadAnswer{"stalled_body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab", false,
                              "timeout: waiting for the end"},
                    BadAnswer{"upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\n", false, ""},
                    BadAnswer{"endless_head", "HTTP/1.1 200 OK\r\nx: " + std::string(100'000, 'x'), false, ""}),
    [](const auto& info) { return info.param.name; });

class HealthCheckGoodAnswer : public HealthCheckTest, public testing::WithParamInterface<BadAnswer> {};

TEST_P(HealthCheckGoodAnswer, CountsAsASuccess) {
  settings.unhealthy_after = 1;
  listener.reset();
  close_after_answer = GetParam().close;
  listen(GetParam().text);
  start();
  run(30s);
  EXPECT_TRUE(notes.changes.empty()) << notes.changes[0].reason;
  EXPECT_EQ(notes.answered, 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, HealthCheckGoodAnswer,
    testing::Values(
        BadAnswer{"interim", "HTTP/1.1 103 Early Hints\r\n\r\n" + std::string(kGood), false, ""},
        BadAnswer{"http_1_0_until_close", "HTTP/1.0 200 OK\r\n\r\nfine", true, ""},
        BadAnswer{"chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, ""},
        BadAnswer{"no_content", "HTTP/1.1 204 No Content\r\n\r\n", false, ""},
        BadAnswer{"a_body_over_the_bound",
                  "HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n" + std::string(200'000, 'x'), false, ""}),
    [](const auto& info) { return info.param.name; });

TEST_F(HealthCheckTest, ARefusedProbeCountsAtOnceAndOneSuccessRestores) {
  settings.healthy_after = 5;
  listener.reset();
  start();
  run(100ms);
  ASSERT_EQ(notes.changes.size(), 1u);
  EXPECT_EQ(notes.changes[0].reason, "connection refused");
  EXPECT_EQ(notes.answered, 1);
  run(3s);
  listen(kGood);
  run(1s);
  ASSERT_EQ(notes.changes.size(), 2u);
  EXPECT_TRUE(notes.changes[1].healthy);
}

TEST_F(HealthCheckTest, RefusedTrafficIsProbedWithinASecond) {
  start();
  run(1s);
  check->refused();
  EXPECT_FALSE(check->healthy());
  ASSERT_EQ(notes.changes.size(), 1u);
  check->refused();
  EXPECT_EQ(notes.changes.size(), 1u) << "told once";
  const TimePoint refused_at = world.now();
  run(1s);
  ASSERT_EQ(notes.changes.size(), 2u);
  EXPECT_TRUE(notes.changes[1].healthy);
  EXPECT_LE(notes.changes[1].at - refused_at, 1s);
}

TEST_F(HealthCheckTest, AProbeFromBeforeTheRefusalProvesNothing) {
  fate.plan.delay = 100ms;
  start();
  run(250ms);
  ASSERT_EQ(connections, 1) << "a probe is under way";
  check->refused();
  run(300ms);
  EXPECT_EQ(notes.answered, 1) << "it has answered";
  EXPECT_FALSE(check->healthy());
  run(2s);
  EXPECT_TRUE(check->healthy());
}

TEST_F(HealthCheckTest, Case146AProbeThatHangsHoldsUpTheOneAfterARefusal) {
  settings.timeout = 60s;
  settings.interval = 100s;
  fate.plan.blackhole = true;
  start();
  run(2s);
  check->refused();
  fate.plan.blackhole = false;
  run(1s);
  EXPECT_TRUE(check->healthy());
  EXPECT_EQ(notes.answered, 1);
}

TEST_F(HealthCheckTest, ALongOutageIsProbedAtTheInterval) {
  settings.interval = 20s;
  fate.plan.refuse = true;
  start();
  run(60s);
  const auto before = world.network().connections();
  run(200s);
  EXPECT_NEAR(static_cast<double>(world.network().connections() - before), 10.0, 2.0);
}

TEST_F(HealthCheckTest, ConnectingTimesOut) {
  fate.plan.blackhole = true;
  settings.unhealthy_after = 2;
  start();
  run(10s);
  ASSERT_EQ(notes.changes.size(), 1u);
  EXPECT_EQ(notes.changes[0].reason, "timeout: connecting");
  EXPECT_EQ(notes.answered, 1);
}

TEST_F(HealthCheckTest, OwnTroubleNeverCountsAgainstABackend) {
  settings.unhealthy_after = 1;
  for (const int error : {EADDRNOTAVAIL, ENOBUFS}) {
    notes.answered = 0;
    fate.plan.connect_errno = error;
    start();
    run(60s);
    EXPECT_TRUE(notes.changes.empty());
    EXPECT_EQ(notes.answered, 0);
    fate.plan.connect_errno = 0;
    run(1s);
    EXPECT_EQ(notes.answered, 1) << "tried again soon";
  }
  budget.set_limit(0);
  start();
  run(60s);
  EXPECT_TRUE(notes.changes.empty());
  budget.set_limit(1000);
  run(1s);
  EXPECT_EQ(notes.answered, 2);
}

TEST_F(HealthCheckTest, TcpOnlyConnects) {
  settings.type = CheckType::tcp;
  settings.unhealthy_after = 1;
  start();
  run(30s);
  EXPECT_GE(connections, 5);
  EXPECT_EQ(last_request, "");
  EXPECT_TRUE(notes.changes.empty());
  listener.reset();
  run(6s);
  ASSERT_EQ(notes.changes.size(), 1u);
  EXPECT_FALSE(notes.changes[0].healthy);
}

TEST_F(HealthCheckTest, NewSettingsKeepWhatIsKnown) {
  listener.reset();
  start();
  run(2s);
  ASSERT_FALSE(check->healthy());
  settings.interval = 1s;
  settings.path = "/other";
  check->update_settings(std::make_shared<const HealthCheckSettings>(settings));
  EXPECT_FALSE(check->healthy());
  listen(kGood);
  run(2s);
  EXPECT_TRUE(check->healthy());
  EXPECT_TRUE(last_request.starts_with("GET /other "));
}

TEST_F(HealthCheckTest, DestroyingItEndsAProbe) {
  answer.clear();
  start();
  run(1s);
  EXPECT_EQ(budget.open(), 1u);
  check.reset();
  EXPECT_EQ(budget.open(), 0u);
  run(30s);
  EXPECT_TRUE(notes.changes.empty());
}

TEST_F(HealthCheckTest, TornAnswersAreReadToo) {
  fate.plan.to_connector.drip_bytes = 1;
  fate.plan.to_connector.drip_interval = 1ms;
  fate.plan.to_connector.short_reads = true;
  settings.unhealthy_after = 1;
  start();
  run(30s);
  EXPECT_TRUE(notes.changes.empty());
}

TEST_F(HealthCheckTest, ManyBackendsAreSpreadEvenly) {
  constexpr std::size_t kBackends = 2000;
  budget.set_limit(100'000);
  settings.interval = 10s;
  const auto shared = std::make_shared<const HealthCheckSettings>(settings);
  std::deque<HealthCheck> checks;
  EXPECT_EQ(first_probe_spread(kBackends, 10s), 1s);
  EXPECT_EQ(first_probe_spread(10'000'000, 10s), 10s);
  for (std::size_t i = 0; i < kBackends; ++i) {
    checks.emplace_back(control, shared, backend, "h", notes);
    checks.back().start(first_probe_spread(kBackends, 10s));
  }
  run(3s);
  EXPECT_EQ(notes.answered, static_cast<int>(kBackends));
  std::vector<int> per_tenth(10);
  for (const TimePoint at : connected_at) {
    ++per_tenth[std::min<std::size_t>(9, static_cast<std::size_t>((at - SimWorld::kStart) / 100ms))];
  }
  for (const int count : per_tenth) EXPECT_NEAR(count, 200, 80);
  run(30s);
  EXPECT_TRUE(notes.changes.empty());
  EXPECT_NEAR(connections, 4 * static_cast<int>(kBackends), static_cast<int>(kBackends));
}

// Speaks HTTP/2 to each connection, and nothing else.
class Http2Server {
 public:
  Http2Server(Engine& engine, const SocketAddress& address)
      : listener_(engine, address, [this](RawPeer& peer) {
          ++connections;
          sides_.push_back(std::make_unique<http2::test::Owner>(http2::Role::server));
          http2::test::Owner& side = *sides_.back();
          if (mute) return;
          if (greets) peer.send(side.take());
          peer.on_data([this, &side](RawPeer& from) { answer(side, from); });
        }) {}

  std::size_t requests() const {
    std::size_t count = 0;
    for (const auto& side : sides_) count += side->streams.size();
    return count;
  }
  // Those that were closed with a GOAWAY before.
  std::ptrdiff_t farewells() const {
    return std::ranges::count_if(
        sides_, [](const auto& side) { return std::ranges::count(side->events, "going_away NO_ERROR") == 1; });
  }
  const http::RequestHead& request() const { return sides_.back()->streams.at(1)->request; }

  std::uint16_t status = 200;
  std::string body = "ok";
  bool greets = true;  // with SETTINGS, whatever comes
  bool mute = false;   // says nothing at all
  int connections = 0;

 private:
  void answer(http2::test::Owner& side, RawPeer& from) {
    if (from.over()) return from.close();
    if (!from.received().starts_with(http2::Session::kPreface.substr(0, from.received().size()))) return from.close();
    const std::size_t fed = std::exchange(fed_[&from], from.received().size());
    side.feed(from.received().substr(fed));
    if (!side.streams.empty() && side.streams.at(1)->ended && !side.streams.at(1)->over) {
      side.streams.at(1)->over = true;
      side.respond(1, body, status);
    }
    from.send(side.take_all());
  }

  std::vector<std::unique_ptr<http2::test::Owner>> sides_;
  std::map<const RawPeer*, std::size_t> fed_;
  RawListener listener_;
};

class HealthCheckHttp2Test : public HealthCheckTest {
 protected:
  HealthCheckHttp2Test() {
    settings.unhealthy_after = 1;
    settings.protocol = UpstreamProtocol::http2;
    listener.reset();
    server.emplace(server_engine, address);
  }
  ~HealthCheckHttp2Test() override { server.reset(); }

  std::optional<Http2Server> server;
};
using BugsOfHttp2 = HealthCheckHttp2Test;

TEST_F(BugsOfHttp2, Case052AnHttp2BackendIsCheckedOverHttp2) {
  start();
  run(1min);
  EXPECT_TRUE(notes.changes.empty()) << notes.changes[0].reason;
  EXPECT_EQ(notes.answered, 1);
  EXPECT_EQ(server->request().method_text, "GET");
  EXPECT_EQ(server->request().path, "/health?full=1");
  EXPECT_EQ(server->request().authority, "app.internal:80");
  EXPECT_EQ(server->request().scheme, "http");
  EXPECT_EQ(server->request().fields.find("user-agent")->value(), "weir-health-check");
  EXPECT_GE(server->requests(), 10U);
  EXPECT_EQ(server->requests(), static_cast<std::size_t>(server->connections));
  EXPECT_EQ(budget.open(), 0U) << "between probes no descriptor is held";
}

TEST_F(HealthCheckHttp2Test, NoConnectionIsClosedWithoutAWord) {
  start();
  run(20s);
  EXPECT_GE(server->connections, 4);
  EXPECT_EQ(server->farewells(), server->connections);
}

TEST_F(HealthCheckHttp2Test, FallsAndRisesWithTheStatus) {
  settings.host = "other.example";
  server->status = 503;
  start();
  run(1s);
  ASSERT_EQ(notes.changes.size(), 1U);
  EXPECT_EQ(notes.changes[0].reason, "status 503");
  EXPECT_EQ(server->request().authority, "other.example");
  server->status = 204;
  server->body.clear();
  run(12s);
  ASSERT_EQ(notes.changes.size(), 2U);
  EXPECT_TRUE(notes.changes[1].healthy);
}

TEST_F(HealthCheckHttp2Test, MoreOfABodyThanItsBoundIsNotWaitedFor) {
  for (const std::size_t size : {60'000U, 70'000U, 1'000'000U}) {
    server->body.assign(size, 'x');
    start();
    run(20s);
    EXPECT_TRUE(notes.changes.empty()) << size << notes.changes[0].reason;
  }
}

TEST_F(HealthCheckHttp2Test, TornAnswersAreReadToo) {
  fate.plan.to_connector.drip_bytes = 1;
  fate.plan.to_connector.drip_interval = 1ms;
  fate.plan.to_connector.short_reads = true;
  start();
  run(30s);
  EXPECT_TRUE(notes.changes.empty());
}

TEST_F(HealthCheckHttp2Test, SilenceIsLate) {
  server->mute = true;
  start();
  run(4s);
  ASSERT_EQ(notes.changes.size(), 1U);
  EXPECT_EQ(notes.changes[0].reason, "timeout: waiting for the answer");
}

TEST_F(HealthCheckHttp2Test, AnHttp1BackendIsNotWhatIsConfigured) {
  server.reset();
  listen(kGood);
  start();
  run(4s);
  ASSERT_EQ(notes.changes.size(), 1U);
  EXPECT_TRUE(notes.changes[0].reason.starts_with("bad answer: ")) << notes.changes[0].reason;
  EXPECT_TRUE(notes.shown.empty());
}

TEST_F(HealthCheckHttp2Test, AsConfiguredOverHttp1ItIsNotAskedInAnother) {
  settings.protocol = UpstreamProtocol::http1;
  start();
  run(4s);
  ASSERT_EQ(notes.changes.size(), 1U);
  EXPECT_EQ(notes.changes[0].reason, "bad answer: NUL");
  EXPECT_EQ(server->requests(), 0U);
  EXPECT_TRUE(notes.shown.empty());
}

// What is not known yet is found out by the first check itself.
TEST_F(HealthCheckHttp2Test, ABackendThatRefusesHttp1IsAskedInHttp2AtOnce) {
  settings.protocol = UpstreamProtocol::auto_;
  for (const bool greets : {true, false}) {
    backend->forget_protocol();
    notes.shown.clear();
    server.reset();
    server.emplace(server_engine, address);
    server->greets = greets;
    start();
    run(1min);
    EXPECT_TRUE(notes.changes.empty()) << notes.changes[0].reason;
    EXPECT_EQ(notes.shown, std::vector{SpokenProtocol::http2});
    EXPECT_EQ(static_cast<std::size_t>(server->connections), server->requests() + 1) << "one try was in HTTP/1.1";
  }
}

TEST_F(HealthCheckHttp2Test, WhatWasFoundIsGoneBy) {
  settings.protocol = UpstreamProtocol::auto_;
  backend->set_protocol(SpokenProtocol::http2);
  start();
  run(1min);
  EXPECT_TRUE(notes.changes.empty());
  EXPECT_TRUE(notes.shown.empty());
  EXPECT_EQ(static_cast<std::size_t>(server->connections), server->requests());
}

TEST_F(HealthCheckHttp2Test, OneThatSpeaksHttp1NowIsAskedInIt) {
  settings.protocol = UpstreamProtocol::auto_;
  backend->set_protocol(SpokenProtocol::http2);
  server.reset();
  listen(kGood);
  start();
  run(1s);
  EXPECT_TRUE(notes.changes.empty());
  EXPECT_EQ(notes.shown, std::vector{SpokenProtocol::unknown});
}

// The first reason is the one to tell.
TEST_F(HealthCheckHttp2Test, ABackendThatOnlyClosesIsAFailure) {
  settings.protocol = UpstreamProtocol::auto_;
  server.reset();
  listener.emplace(server_engine, address, [](RawPeer& peer) { peer.close(); });
  start();
  run(1s);
  ASSERT_EQ(notes.changes.size(), 1U);
  EXPECT_EQ(notes.changes[0].reason, "closed before it answered");
  EXPECT_TRUE(notes.shown.empty());
}

TEST_F(HealthCheckHttp2Test, ADetectionEndsAWaitInTheWrongProtocol) {
  settings.protocol = UpstreamProtocol::auto_;
  server->mute = true;
  start();
  run(500ms);
  server->mute = false;
  backend->set_protocol(SpokenProtocol::http2);
  check->protocol_found();
  run(4s);
  EXPECT_TRUE(notes.changes.empty());
  EXPECT_EQ(server->requests(), 1U);
  EXPECT_EQ(notes.answered, 1);
}

TEST_F(HealthCheckHttp2Test, AFailureInTheWrongProtocolIsRepeatedAtOnce) {
  settings.protocol = UpstreamProtocol::auto_;
  settings.healthy_after = 1;
  server->mute = true;
  start();
  run(3s);
  ASSERT_EQ(notes.changes.size(), 1U);
  server->mute = false;
  backend->set_protocol(SpokenProtocol::http2);
  check->protocol_found();
  run(100ms);
  ASSERT_EQ(notes.changes.size(), 2U);
  EXPECT_TRUE(notes.changes[1].healthy);
}

// It may have become a server of HTTP/1.1, which waits for the end of a head.
TEST_F(HealthCheckHttp2Test, OneThatIsSilentInHttp2IsDoubted) {
  settings.protocol = UpstreamProtocol::auto_;
  backend->set_protocol(SpokenProtocol::http2);
  server->mute = true;
  start();
  run(4s);
  ASSERT_EQ(notes.changes.size(), 1U);
  EXPECT_EQ(notes.shown, std::vector{SpokenProtocol::unknown});
}

TEST_F(HealthCheckHttp2Test, AHeaderOfProxyComesFirstInEachTry) {
  settings.protocol = UpstreamProtocol::auto_;
  settings.proxy_protocol = ProxyVersion::v1;
  server.reset();
  std::vector<std::string> received;
  listener.emplace(server_engine, address, [&](RawPeer& peer) {
    peer.on_data([&](RawPeer& from) {
      if (from.over()) return from.close();
      if (received.size() == listener->peers().size()) return;
      received.push_back(from.received());
      from.send(http2::test::settings());
    });
  });
  start();
  run(1s);
  ASSERT_EQ(received.size(), 2U);
  EXPECT_TRUE(received[0].starts_with("PROXY UNKNOWN\r\nGET /health?full=1 HTTP/1.1\r\n")) << received[0];
  EXPECT_TRUE(received[1].starts_with("PROXY UNKNOWN\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) << received[1];
}

}  // namespace
}  // namespace weir::health
