#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "backend_connection.h"
#include "backend_server_fixture.h"

namespace weir::backend {
namespace {

using testing::HasSubstr;

std::string body_of(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "" : answer.substr(end + 4);
}

TEST_F(BackendServerTest, EchoesItsNameWithoutABody) {
  EXPECT_EQ(exchange("GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"),
            "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\ncontent-type: text/plain; charset=utf-8\r\n"
            "x-backend-name: backend-8001\r\ncontent-length: 13\r\n\r\nbackend-8001\n");
}

TEST_F(BackendServerTest, EchoesBodiesByLengthAndInChunksWithTrailers) {
  EXPECT_EQ(body_of(exchange("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello")), "hello");
  const std::string chunked = exchange(
      "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n");
  EXPECT_THAT(chunked, HasSubstr("transfer-encoding: chunked\r\n"));
  EXPECT_EQ(body_of(chunked), "5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n");
  EXPECT_THAT(exchange("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\nx"),
              testing::StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
}

TEST_F(BackendServerTest, PipelinedRequestsAreAnsweredInOrder) {
  RawPeer& peer = connect();
  peer.send(
      "GET /health HTTP/1.1\r\nhost: a\r\n\r\nPOST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"
      "GET /bytes?size=100000 HTTP/1.1\r\nhost: a\r\n\r\nHEAD /bytes?size=99999 HTTP/1.1\r\nhost: a\r\n\r\n"
      "GET /nix HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\nGET /health HTTP/1.1\r\nhost: a\r\n\r\n");
  run(1s);
  const std::string& all = peer.received();
  const std::vector<std::string> marks = {"ok\n", "abc", "content-length: 100000", "content-length: 99999",
                                          "404 Not Found"};
  std::size_t at = 0;
  for (const std::string& mark : marks) {
    const std::size_t found = all.find(mark, at);
    ASSERT_NE(found, std::string::npos) << mark;
    at = found;
  }
  EXPECT_THAT(all, testing::EndsWith("connection: close\r\n\r\nnot found\n"));
  EXPECT_TRUE(peer.ended());
  EXPECT_EQ(all.size(), all.find("content-length: 100000") + 26 + 100'000 +
                            (all.size() - all.find("HTTP/1.1 200 OK", all.find("content-length: 100000"))));
}

TEST_F(BackendServerTest, BytesAreThePattern) {
  for (const std::size_t size : {0u, 1u, 16384u, 16385u, 700'001u}) {
    const std::string answer = exchange(fmt::format("GET /bytes?size={} HTTP/1.1\r\nhost: a\r\n\r\n", size));
    EXPECT_TRUE(body_of(answer) == make_pattern(size)) << size;
  }
}

TEST_F(BackendServerTest, TornTrafficGivesTheSame) {
  for (DirectionPlan* plan : {&fate.plan.to_listener, &fate.plan.to_connector}) {
    plan->short_reads = plan->short_writes = true;
    plan->drip_bytes = 700;
    plan->drip_interval = 10us;
  }
  EXPECT_TRUE(body_of(exchange("GET /bytes?size=200000 HTTP/1.1\r\nhost: a\r\n\r\n")) == make_pattern(200'000));
  const std::string body = make_pattern(100'000);
  EXPECT_TRUE(body_of(exchange("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + body)) == body);
}

TEST_F(BackendServerTest, ASlowReaderHoldsTheSenderBack) {
  RawPeer& peer = connect();
  peer.pause(true);
  const std::string body = make_pattern(5'000'000);
  peer.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000\r\n\r\n" + body);
  run(1s);
  EXPECT_GT(peer.unsent(), 4'000'000u);
  EXPECT_LE(loop.buffers().outstanding() * kSliceBytes, 3 * BackendConnection::kOutputHigh / 2);
  peer.pause(false);
  run(10s);
  EXPECT_EQ(peer.unsent(), 0u);
  EXPECT_TRUE(body_of(peer.received()) == body);
}

TEST_F(BackendServerTest, MetricsCountTheAnswersToHash) {
  EXPECT_THAT(exchange("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"),
              HasSubstr("hash_requests_total{source=\"cpp\"} 0\n"));
  exchange("GET /hash HTTP/1.1\r\nhost: a\r\n\r\nGET /health HTTP/1.1\r\nhost: a\r\n\r\n");
  EXPECT_THAT(exchange("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"),
              HasSubstr("hash_requests_total{source=\"cpp\"} 1\n"));
}

TEST_F(BackendServerTest, ConnectionsAreDealtEvenlyAmongWorkers) {
  SimEngine second_engine{world, budget, "second", *IpAddress::parse("10.0.0.2")};
  EventLoop second_loop{second_engine, 3};
  world.add_loop(second_loop);
  {
    BackendServer second(second_loop, options);
    server.emplace(loop, options);
    ASSERT_TRUE(server->start());
    const std::array<BackendServer*, 1> others = {&second};
    server->lead(others);
    EXPECT_EQ(second.name(), "backend-8001");
    for (int i = 0; i < 10; ++i) connect().send("GET /hash HTTP/1.1\r\nhost: a\r\n\r\n");
    run(1s);
    EXPECT_EQ(server->connections(), 5u);
    EXPECT_EQ(second.connections(), 5u);
    for (const auto& peer : peers) EXPECT_THAT(peer->received(), HasSubstr("x-backend-name: backend-8001\r\n"));
    // Those that close make room: the next ones go where there are fewer.
    for (std::size_t i = 0; i < 10; i += 2) peers[i]->close();
    run(1s);
    for (int i = 0; i < 5; ++i) connect();
    run(1s);
    EXPECT_EQ(server->connections(), 5u);
    EXPECT_EQ(second.connections(), 5u);
    EXPECT_THAT(exchange("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"),
                HasSubstr("hash_requests_total{source=\"cpp\"} 10\n"));
    peers.clear();
    server.reset();
  }
  world.remove_loop(second_loop);
}

TEST_F(BackendServerTest, DelaysComeBeforeTheHead) {
  options.base_delay_ms = 200;
  options.jitter_ms = 100;
  RawPeer& peer = connect();
  peer.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabcGET /health HTTP/1.1\r\nhost: a\r\n\r\n");
  run(199ms);
  EXPECT_EQ(peer.received(), "");
  run(110ms);
  EXPECT_EQ(body_of(peer.received()), "abc");
  run(301ms);
  EXPECT_THAT(peer.received(), testing::EndsWith("\r\n\r\nok\n"));
}

TEST_F(BackendServerTest, FailsAsOftenAsAsked) {
  options.fail_percent = 25;
  RawPeer& peer = connect();
  for (int i = 0; i < 1000; ++i) peer.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
  run(10s);
  int failed = 0, good = 0;
  for (std::size_t at = 0; (at = peer.received().find("HTTP/1.1 ", at)) != std::string::npos; ++at) {
    ++(peer.received().compare(at + 9, 3, "500") == 0 ? failed : good);
  }
  EXPECT_EQ(failed + good, 1000);
  EXPECT_NEAR(failed, 250, 60);
}

TEST_F(BackendServerTest, BadRequestsAreRefusedAndClosed) {
  RawPeer& peer = connect();
  peer.send("GET /health HTTP/1.1\r\nhost: a\r\n\r\nGET /ec ho HTTP/1.1\r\n\r\n");
  run(1s);
  EXPECT_THAT(peer.received(), HasSubstr("ok\nHTTP/1.1 400 Bad Request\r\n"));
  EXPECT_TRUE(peer.ended());
  EXPECT_THAT(exchange("GET /bytes?size=x HTTP/1.1\r\nhost: a\r\n\r\n"), HasSubstr("400 Bad Request"));
}

TEST_F(BackendServerTest, AHalfCloseBehindARequestIsAnswered) {
  options.base_delay_ms = 50;
  RawPeer& peer = connect();
  peer.send("GET /health HTTP/1.1\r\nhost: a\r\n\r\n");
  peer.shutdown_write();
  run(1s);
  EXPECT_THAT(peer.received(), testing::EndsWith("ok\n"));
  EXPECT_TRUE(peer.ended());
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(BackendServerTest, ClientsThatVanishLeaveNothing) {
  for (int i = 0; i < 50; ++i) {
    RawPeer& peer = connect();
    peer.send("GET /bytes?size=900000000 HTTP/1.1\r\nhost: a\r\n\r\n");
    run(1ms);
    if (i % 2 == 0) {
      peer.reset();
    } else {
      peer.close();
    }
  }
  run(5s);
  EXPECT_EQ(server->connections(), 0u);
}

}  // namespace
}  // namespace weir::backend
