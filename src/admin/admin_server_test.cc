#include "admin/admin_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/fake_control.h"
#include "base/rng.h"
#include "net/epoll_engine.h"
#include "net/raw_peer_fixture.h"
#include "net/sim_engine.h"
#include "net/sim_world.h"

namespace weir::admin {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Fate final : FaultPlan {
  LinkPlan draw(const IpAddress&, const SocketAddress&, TimePoint, Rng&) override { return plan; }
  LinkPlan plan;
};

int status_of(const std::string& answer) {
  return answer.starts_with("HTTP/1.1 ") && answer.size() > 12 ? std::stoi(answer.substr(9, 3)) : 0;
}
std::string body_of(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "" : answer.substr(end + 4);
}

// The admin port at 10.0.0.1:9090 and 127.0.0.1's clients at 127.0.0.1, all simulated.
class AdminServerTest : public testing::Test {
 protected:
  AdminServerTest() {
    world.set_faults(&fate);
    world.add_loop(loop);
    world.add_loop(clients);
  }
  ~AdminServerTest() override {
    peers.clear();
    server.reset();
    world.remove_loop(loop);
    world.remove_loop(clients);
    EXPECT_EQ(loop.buffers().outstanding(), 0u);
    EXPECT_EQ(budget.open(), 0u);
  }

  void start(std::string_view address = "127.0.0.1:9090") {
    settings.address = *SocketAddress::parse(address);
    server.emplace(loop, control, settings);
    ASSERT_TRUE(server->start());
  }
  RawPeer& connect() {
    peers.push_back(RawPeer::connect(client_engine, server->address()));
    return *peers.back();
  }
  void run(Duration duration) { ASSERT_TRUE(world.run_until(world.now() + duration)); }

  // Sends it all on a new connection, and says what came back within a second.
  std::string exchange(std::string_view bytes) {
    RawPeer& peer = connect();
    peer.send(bytes);
    run(1s);
    const std::string answer = peer.received();
    peer.close();
    return answer;
  }
  std::string get(std::string_view path, std::string_view fields = "") {
    return exchange(fmt::format("GET {} HTTP/1.1\r\nhost: 127.0.0.1:9090\r\n{}\r\n", path, fields));
  }
  std::string change(std::string_view method, std::string_view path, std::string_view body = "",
                     std::string_view fields = "") {
    return exchange(fmt::format("{} {} HTTP/1.1\r\nhost: 127.0.0.1:9090\r\ncontent-length: {}\r\n{}{}\r\n{}", method,
                                path, body.size(), body.empty() ? "" : "content-type: application/json\r\n", fields,
                                body));
  }

  SimWorld world{SimWorld::Options{}};
  Fate fate;
  DescriptorBudget budget{1000, 10};
  DescriptorBudget client_budget{10000, 10};
  SimEngine engine{world, budget, "control", *IpAddress::parse("127.0.0.1")};
  SimEngine client_engine{world, client_budget, "clients", *IpAddress::parse("127.0.0.1")};
  EventLoop loop{engine, 1};
  EventLoop clients{client_engine, 2};
  FakeControl control;
  AdminSettings settings;
  std::optional<AdminServer> server;
  std::vector<std::unique_ptr<RawPeer>> peers;
};

TEST_F(AdminServerTest, LivezAnswersWhole) {
  start();
  EXPECT_EQ(get("/livez"),
            "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncache-control: no-store\r\n"
            "x-content-type-options: nosniff\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\n"
            "connection: keep-alive\r\n\r\nok\n");
}

TEST_F(AdminServerTest, ReadyzFollowsTheControlPlane) {
  start();
  EXPECT_EQ(status_of(get("/readyz")), 200);
  control.ready_view = {false, "draining"};
  const std::string answer = get("/readyz");
  EXPECT_EQ(status_of(answer), 503);
  EXPECT_EQ(body_of(answer), "draining\n");
}

TEST_F(AdminServerTest, MetricsPassOnWhatIsAccepted) {
  start();
  const std::string answer = get("/metrics?x=1", "accept: application/openmetrics-text\r\naccept: text/plain\r\n");
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_THAT(answer, HasSubstr("content-type: text/plain; version=0.0.4\r\n"));
  EXPECT_EQ(body_of(answer), "# EOF\n");
  EXPECT_EQ(control.last_accept, "application/openmetrics-text, text/plain");
}

TEST_F(AdminServerTest, ViewsHaveTheirShapes) {
  start();
  EXPECT_EQ(body_of(get("/api/v1/config")), "{\"generation\":3,\"config\":{\"workers\":2}}\n");
  EXPECT_EQ(body_of(get("/api/v1/routes")), "{\"routes\":[{\"name\":\"route-1\",\"match\":{},\"cluster\":\"app\"}]}\n");
  const std::string clusters = get("/api/v1/clusters");
  EXPECT_THAT(clusters, HasSubstr("content-type: application/json\r\n"));
  EXPECT_THAT(body_of(clusters), HasSubstr(R"("active_connections":5,"requests_total":6)"));
}

TEST_F(AdminServerTest, WhatIsNotBuiltIsSaid) {
  start();
  EXPECT_EQ(status_of(get("/")), 404);
  const std::string explain = get("/api/v1/explain?method=GET&url=http://a/");
  EXPECT_EQ(status_of(explain), 501);
  EXPECT_EQ(body_of(explain), "{\"error\":\"not supported yet\"}\n");
}

TEST_F(AdminServerTest, HeadHasNoBody) {
  start();
  const std::string answer = exchange("HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n");
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_THAT(answer, HasSubstr("content-length: 3\r\n"));
  EXPECT_EQ(body_of(answer), "");
}

TEST_F(AdminServerTest, WrongPathsAndMethodsAreRefused) {
  start();
  EXPECT_EQ(status_of(get("/api/v2/config")), 404);
  EXPECT_EQ(status_of(get("/api/v1/clusters/a%zz/backends")), 400);
  const std::string posted = change("POST", "/metrics");
  EXPECT_EQ(status_of(posted), 405);
  EXPECT_THAT(posted, HasSubstr("allow: GET, HEAD\r\n"));
  EXPECT_THAT(get("/api/v1/reload"), HasSubstr("allow: POST\r\n"));
  EXPECT_THAT(get("/api/v1/clusters/app/backends"), HasSubstr("allow: POST\r\n"));
  const std::string put = change("PUT", "/api/v1/clusters/app/backends/b1", "{}");
  EXPECT_EQ(status_of(put), 405);
  EXPECT_THAT(put, HasSubstr("allow: PATCH, DELETE\r\n"));
}

TEST_F(AdminServerTest, ReloadSaysTheGenerationOrTheErrors) {
  start();
  EXPECT_EQ(body_of(change("POST", "/api/v1/reload")), "{\"generation\":4}\n");
  EXPECT_EQ(status_of(change("POST", "/api/v1/reload", "{}")), 200);
  control.reload_error = "config.yaml:3:5: error: unknown key \"x\"";
  const std::string answer = change("POST", "/api/v1/reload");
  EXPECT_EQ(status_of(answer), 422);
  EXPECT_EQ(body_of(answer), "{\"error\":\"config.yaml:3:5: error: unknown key \\\"x\\\"\"}\n");
}

TEST_F(AdminServerTest, BackendsCanBeAdded) {
  start();
  const std::string answer =
      change("POST", "/api/v1/clusters/app/backends", R"({"name":"b2","url":"http://h:1","weight":3})");
  EXPECT_EQ(status_of(answer), 201);
  EXPECT_THAT(body_of(answer), StartsWith(R"({"name":"b2","url":"http://h:1","weight":3,"state":"active")"));
  EXPECT_THAT(control.log, testing::ElementsAre("add b2 http://h:1 3"));
  EXPECT_EQ(status_of(change("POST", "/api/v1/clusters/app/backends", R"({"name":"b1","url":"http://h:1"})")), 409);
  EXPECT_EQ(status_of(change("POST", "/api/v1/clusters/nix/backends", R"({"url":"http://h:1"})")), 404);
  EXPECT_EQ(status_of(change("POST", "/api/v1/clusters/app/backends", R"({"url":"ftp://h:1"})")), 422);
  EXPECT_EQ(status_of(change("POST", "/api/v1/clusters/app/backends", R"({"url":)")), 400);
  EXPECT_EQ(status_of(change("POST", "/api/v1/clusters/app/backends")), 400);
}

TEST_F(AdminServerTest, BackendsCanBeChangedAndRemoved) {
  start();
  const std::string patched =
      change("PATCH", "/api/v1/clusters/app/backends/b%31", R"({"weight":7,"state":"draining"})");
  EXPECT_EQ(status_of(patched), 200);
  EXPECT_THAT(body_of(patched), HasSubstr(R"("weight":7,"state":"draining")"));
  EXPECT_EQ(status_of(change("PATCH", "/api/v1/clusters/app/backends/b9", R"({"weight":7})")), 404);
  EXPECT_EQ(status_of(change("PATCH", "/api/v1/clusters/app/backends/b1", R"({"state":"gone"})")), 422);
  const std::string removed = change("DELETE", "/api/v1/clusters/app/backends/b1");
  EXPECT_EQ(status_of(removed), 204);
  EXPECT_EQ(removed.find("content-length"), std::string::npos);
  EXPECT_EQ(status_of(change("DELETE", "/api/v1/clusters/app/backends/b9")), 404);
  control.draining = true;
  EXPECT_EQ(status_of(change("DELETE", "/api/v1/clusters/app/backends/b1")), 503);
}

TEST_F(AdminServerTest, ChangesMustBeJson) {
  start();
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "application/jsonx"}) {
    const std::string answer = exchange(fmt::format(
        "POST /api/v1/reload HTTP/1.1\r\nhost: localhost:9090\r\ncontent-type: {}\r\ncontent-length: 2\r\n\r\n{{}}",
        type));
    EXPECT_EQ(status_of(answer), 415) << type;
  }
  EXPECT_EQ(status_of(exchange("POST /api/v1/reload HTTP/1.1\r\nhost: localhost:9090\r\ncontent-length: 2\r\n\r\n{}")),
            415);
  EXPECT_EQ(control.reloads, 0);
  EXPECT_EQ(
      status_of(exchange("POST /api/v1/reload HTTP/1.1\r\nhost: localhost:9090\r\ncontent-type: Application/JSON ; "
                         "charset=utf-8\r\ncontent-length: 2\r\n\r\n{}")),
      200);
}

TEST_F(AdminServerTest, ChangesFromElsewhereAreRefused) {
  start("0.0.0.0:9090");
  EXPECT_EQ(status_of(exchange("POST /api/v1/reload HTTP/1.1\r\nhost: evil.example:9090\r\n\r\n")), 403);
  EXPECT_EQ(status_of(change("POST", "/api/v1/reload", "", "origin: http://evil.example\r\n")), 403);
  EXPECT_EQ(status_of(change("POST", "/api/v1/reload", "",
                             "origin: http://127.0.0.1:9090\r\norigin: http://evil.example\r\n")),
            400);
  EXPECT_EQ(control.reloads, 0);
  EXPECT_EQ(status_of(exchange("GET /livez HTTP/1.1\r\nhost: evil.example:9090\r\n\r\n")), 200) << "reading is open";
}

TEST_F(AdminServerTest, DistantPeersNeedTheToken) {
  client_engine.set_ip(*IpAddress::parse("10.0.0.9"));
  settings.token = "s3cret";
  start("10.0.0.1:9090");
  const std::string reload = "POST /api/v1/reload HTTP/1.1\r\nhost: 10.0.0.1:9090\r\n";
  const std::string missing = exchange(reload + "\r\n");
  EXPECT_EQ(status_of(missing), 401);
  EXPECT_THAT(missing, HasSubstr("www-authenticate: Bearer\r\n"));
  EXPECT_EQ(status_of(exchange(reload + "authorization: Bearer wrong\r\n\r\n")), 401);
  EXPECT_EQ(control.reloads, 0);
  EXPECT_EQ(status_of(exchange(reload + "authorization: Bearer s3cret\r\n\r\n")), 200);
  EXPECT_EQ(status_of(exchange("GET /metrics HTTP/1.1\r\nhost: 10.0.0.1:9090\r\n\r\n")), 200) << "reading needs none";
}

TEST_F(AdminServerTest, DistantPeersChangeNothingWithoutAToken) {
  client_engine.set_ip(*IpAddress::parse("10.0.0.9"));
  start("10.0.0.1:9090");
  EXPECT_EQ(status_of(exchange("POST /api/v1/reload HTTP/1.1\r\nhost: 10.0.0.1:9090\r\n\r\n")), 403);
  EXPECT_EQ(control.reloads, 0);
}

TEST_F(AdminServerTest, ConnectionsAreKeptAndPipelinedRequestsAnsweredInOrder) {
  start();
  control.keep_back = true;
  RawPeer& peer = connect();
  peer.send(
      "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\nGET /livez HTTP/1.1\r\nhost: a\r\n\r\nGET /nix HTTP/1.1\r\nhost: "
      "a\r\n\r\n");
  run(1s);
  EXPECT_EQ(peer.received(), "") << "the first has not answered";
  control.release();
  run(1s);
  const std::string& all = peer.received();
  EXPECT_LT(all.find("# EOF"), all.find("ok\n"));
  EXPECT_LT(all.find("ok\n"), all.find("no such path"));
  peer.forget();
  peer.send("GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  run(1s);
  EXPECT_THAT(peer.received(), HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(peer.ended());
}

TEST_F(AdminServerTest, Http10IsServed) {
  start();
  RawPeer& peer = connect();
  peer.send("GET /livez HTTP/1.0\r\n\r\n");
  run(1s);
  EXPECT_EQ(status_of(peer.received()), 200);
  EXPECT_TRUE(peer.ended());
}

TEST_F(AdminServerTest, AHalfCloseBehindARequestIsAnswered) {
  start();
  control.keep_back = true;
  RawPeer& peer = connect();
  peer.send("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n");
  peer.shutdown_write();
  run(1s);
  control.release();
  run(1s);
  EXPECT_EQ(status_of(peer.received()), 200);
  EXPECT_TRUE(peer.ended());
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(AdminServerTest, ALateAnswerForAGoneClientIsDropped) {
  start();
  control.keep_back = true;
  RawPeer& peer = connect();
  peer.send("GET /api/v1/clusters HTTP/1.1\r\nhost: a\r\n\r\n");
  run(1s);
  ASSERT_EQ(control.kept(), 1u);
  peer.reset();
  run(1s);
  EXPECT_EQ(server->connections(), 0u);
  control.release();
  run(1s);
}

TEST_F(AdminServerTest, AnAnswerMayOutliveTheServer) {
  start();
  control.keep_back = true;
  connect().send("GET /api/v1/clusters HTTP/1.1\r\nhost: a\r\n\r\n");
  run(1s);
  ASSERT_EQ(control.kept(), 1u);
  server.reset();
  control.release();
}

TEST_F(AdminServerTest, AControlPlaneThatNeverAnswersGives503) {
  start();
  control.keep_back = true;
  RawPeer& peer = connect();
  peer.send("GET /api/v1/clusters HTTP/1.1\r\nhost: a\r\n\r\n");
  run(61s);
  EXPECT_EQ(status_of(peer.received()), 503);
  control.release();
  run(1s);
  EXPECT_EQ(peer.received().find("200 OK"), std::string::npos);
}

TEST_F(AdminServerTest, BodiesComeWithLengthOrInChunksAfter100Continue) {
  start();
  RawPeer& peer = connect();
  peer.send(
      "PATCH /api/v1/clusters/app/backends/b1 HTTP/1.1\r\nhost: localhost:9090\r\ncontent-type: application/json\r\n"
      "transfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n");
  run(1s);
  EXPECT_EQ(peer.received(), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.forget();
  peer.send("5\r\n{\"wei\r\n7\r\nght\":9}\r\n0\r\n\r\n");
  run(1s);
  EXPECT_EQ(status_of(peer.received()), 200);
}

TEST_F(AdminServerTest, BigBodiesAreRefusedAndTheRefusalIsRead) {
  start();
  RawPeer& peer = connect();
  peer.send(fmt::format("POST /api/v1/reload HTTP/1.1\r\nhost: localhost:9090\r\ncontent-length: 500000\r\n\r\n{}",
                        std::string(500'000, ' ')));
  run(1s);
  EXPECT_EQ(status_of(peer.received()), 413);
  EXPECT_TRUE(peer.ended());
  EXPECT_FALSE(peer.failed());
  const std::string chunked =
      exchange(fmt::format("POST /api/v1/reload HTTP/1.1\r\nhost: localhost:9090\r\ntransfer-encoding: "
                           "chunked\r\n\r\n20000\r\n{}\r\n0\r\n\r\n",
                           std::string(0x20000, ' ')));
  EXPECT_EQ(status_of(chunked), 413);
  EXPECT_EQ(control.reloads, 0);
}

TEST_F(AdminServerTest, BadRequestsAreRefusedAndClosed) {
  start();
  const std::string big(20'000, 'x');
  const std::vector<std::pair<std::string, int>> cases = {
      {"GET /livez HTTP/1.1\r\n\r\n", 400},
      {"GET /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400},
      {"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400},
      {"GET /" + big + " HTTP/1.1\r\nhost: a\r\n\r\n", 414},
      {"GET /livez HTTP/1.1\r\nhost: a\r\nx: " + big + "\r\n\r\n", 431},
      {"GET /livez HTTP/3.0\r\nhost: a\r\n\r\n", 505},
  };
  for (const auto& [bytes, status] : cases) {
    RawPeer& peer = connect();
    peer.send(bytes);
    run(1s);
    EXPECT_EQ(status_of(peer.received()), status) << bytes.substr(0, 60);
    EXPECT_THAT(body_of(peer.received()), StartsWith("{\"error\":\""));
    EXPECT_TRUE(peer.ended());
  }
}

TEST_F(AdminServerTest, RandomBytesNeverHurt) {
  start();
  Rng rng(7);
  for (int i = 0; i < 300; ++i) {
    std::string bytes = i % 2 == 0 ? "" : "POST /api/v1/clusters/app/backends HTTP/1.1\r\nhost: localhost:9090\r\n";
    for (std::uint64_t length = rng.below(200); length > 0; --length) bytes += static_cast<char>(rng.below(256));
    RawPeer& peer = connect();
    peer.send(bytes);
    if (rng.chance(0.3)) peer.shutdown_write();
    run(10ms);
    if (rng.chance(0.5)) peer.reset();
  }
  run(60s);
  EXPECT_EQ(server->connections(), 0u);
  EXPECT_TRUE(control.log.empty());
}

TEST_F(AdminServerTest, SlowClientsAreTimedOut) {
  start();
  RawPeer& silent = connect();
  RawPeer& slow_head = connect();
  RawPeer& slow_body = connect();
  slow_head.send("GET /livez HTTP/1.1\r\nho");
  slow_body.send("POST /api/v1/reload HTTP/1.1\r\nhost: localhost:9090\r\ncontent-length: 5\r\n\r\n{");
  run(4s);
  slow_head.send("s");
  EXPECT_FALSE(slow_head.over());
  run(2s);
  EXPECT_EQ(status_of(slow_head.received()), 408);
  EXPECT_TRUE(slow_head.ended());
  EXPECT_FALSE(slow_body.over());
  run(5s);
  EXPECT_EQ(status_of(slow_body.received()), 408);
  EXPECT_FALSE(silent.over());
  run(20s);
  EXPECT_TRUE(silent.ended());
  EXPECT_EQ(silent.received(), "");
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(AdminServerTest, AReaderThatStopsIsCutAndASlowOneIsNot) {
  start();
  control.metrics = std::string(3'000'000, 'm');
  RawPeer& stopped = connect();
  RawPeer& slow = connect();
  stopped.pause(true);
  slow.pause(true);
  for (RawPeer* peer : {&stopped, &slow}) peer->send("GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  run(20s);
  slow.pause(false);
  run(20s);
  EXPECT_EQ(body_of(slow.received()).size(), 3'000'000u);
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(AdminServerTest, TornTrafficIsReadTheSame) {
  for (DirectionPlan* plan : {&fate.plan.to_listener, &fate.plan.to_connector}) {
    plan->short_reads = plan->short_writes = true;
    plan->drip_bytes = 3;
    plan->drip_interval = 100us;
  }
  start();
  const std::string answer = change("PATCH", "/api/v1/clusters/app/backends/b1", R"({"weight":7})");
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_THAT(body_of(answer), HasSubstr("\"weight\":7"));
}

TEST_F(AdminServerTest, IdleConnectionsMakeWayForNewOnes) {
  start();
  for (std::size_t i = 0; i < settings.limits.connections; ++i) connect();
  run(1s);
  EXPECT_EQ(server->connections(), settings.limits.connections);
  EXPECT_EQ(status_of(get("/livez")), 200);
  EXPECT_TRUE(peers.front()->ended()) << "the oldest went";
  EXPECT_FALSE(peers[1]->over());
}

TEST_F(AdminServerTest, BeyondTheLimitOfBusyConnectionsNewOnesAreTurnedAway) {
  start();
  control.keep_back = true;
  for (std::size_t i = 0; i < settings.limits.connections; ++i)
    connect().send("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n");
  run(1s);
  EXPECT_EQ(control.kept(), settings.limits.connections);
  EXPECT_EQ(status_of(get("/livez")), 503);
  for (int i = 0; i < 500; ++i) connect();
  run(1s);
  EXPECT_LE(server->connections(), settings.limits.connections + 64);
  control.keep_back = false;
  control.release();
  run(10s);
  EXPECT_EQ(status_of(get("/livez")), 200);
}

TEST_F(AdminServerTest, AcceptingResumesWhenDescriptorsAreThereAgain) {
  start();
  budget.set_limit(budget.open());
  RawPeer& peer = connect();
  peer.send("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n");
  run(1s);
  EXPECT_EQ(peer.received(), "");
  budget.set_limit(1000);
  run(1s);
  EXPECT_EQ(status_of(peer.received()), 200);
}

TEST(AdminServerReal, ServesOverLoopback) {
  DescriptorBudget budget(1000, 10);
  auto engine = EpollEngine::open(budget);
  ASSERT_TRUE(engine);
  EventLoop loop(**engine, 1);
  FakeControl control;
  AdminServer server(loop, control, {.address = *SocketAddress::parse("127.0.0.1:0")});
  ASSERT_TRUE(server.start());
  ASSERT_NE(server.address().port, 0);
  control.metrics = std::string(5'000'000, 'm');
  auto peer = RawPeer::connect(**engine, server.address());
  ASSERT_NE(peer, nullptr);
  peer->send(fmt::format(
      "POST /api/v1/reload HTTP/1.1\r\nhost: {}\r\n\r\nGET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
      server.address().to_string()));
  const TimePoint deadline = loop.now() + 10s;
  while (!peer->over() && loop.now() < deadline) loop.run_turn(false);
  EXPECT_TRUE(peer->ended());
  EXPECT_THAT(peer->received(), HasSubstr("{\"generation\":4}"));
  EXPECT_THAT(peer->received(), testing::EndsWith(std::string(1000, 'm')));
  EXPECT_EQ(control.reloads, 1);
}

TEST(AdminServerReal, AUsedAddressIsAnError) {
  DescriptorBudget budget(1000, 10);
  auto engine = EpollEngine::open(budget);
  ASSERT_TRUE(engine);
  EventLoop loop(**engine, 1);
  FakeControl control;
  AdminServer first(loop, control, {.address = *SocketAddress::parse("127.0.0.1:0")});
  ASSERT_TRUE(first.start());
  AdminServer second(loop, control, {.address = first.address()});
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, EADDRINUSE);
}

}  // namespace
}  // namespace weir::admin
