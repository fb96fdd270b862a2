// What is different for requests of gRPC: deadlines, local replies, retries, what is counted. The peers here speak
// HTTP/1.1: the rules do not depend on the codec.

#include "http/grpc.h"

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

const Script kNeverAnswers = {wait_for(kForever)};
constexpr std::string_view kGrpc = "content-type: application/grpc\r\nte: trailers\r\n";

class Grpc : public OverWires {
 protected:
  SimClient& call(std::string_view target = "/pkg.Service/Method", std::string_view more = {}) {
    SimClient& client = connect();
    client.request("POST", target, std::string(kGrpc) + std::string(more), "message");
    run(100ms);
    return client;
  }
  static void expect_status(const SimClient& client, std::string_view status, std::string_view message) {
    ASSERT_FALSE(client.answers().empty()) << client.received();
    const Message& answer = client.answers().back();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("content-type"), "application/grpc");
    EXPECT_EQ(answer.field("grpc-status"), status);
    EXPECT_EQ(answer.field("grpc-message"), message);
    EXPECT_EQ(answer.body, "");
    EXPECT_FALSE(answer.field("x-request-id").empty());
    EXPECT_FALSE(answer.field("date").empty());
  }
  std::int64_t counted(std::string_view status) const { return proxy_.metric(Family::kGrpcRequests, {status}); }
  static std::string unavailable(std::string_view more = {}) {
    return response("", "content-type: application/grpc\r\ngrpc-status: 14\r\n" + std::string(more));
  }
};

WEIR_OVER_ALL_WIRES(Grpc);

TEST_P(Grpc, LocalRepliesAreAStatusInAHead) {
  backend().stop_listening();
  proxy_.setup.routes.front()->match.path_prefix = "/pkg.Service";
  listener().body_bytes_max = 3;
  start();
  expect_status(call("/other.Service/Method"), "12", "no_route");
  EXPECT_EQ(last_log("reason"), "no_route");
  expect_status(call(), "8", "body_too_large");
  EXPECT_EQ(counted("12"), 1);
  EXPECT_EQ(counted("8"), 1);
  EXPECT_EQ(proxy_.metric(Family::kLocalReplies, {"no_route"}), 1);
}

TEST_P(Grpc, ABackendThatIsNotThereIsUnavailable) {
  backend().stop_listening();
  start();
  expect_status(call(), "14", "connect_failed");
  EXPECT_EQ(counted("14"), 1);
}

TEST_P(Grpc, TheClientsTimeoutIsTheDeadline) {
  cluster().retry.attempts = 1;
  backend().on("/", kNeverAnswers);
  start();
  SimClient& client = connect();
  const TimePoint begin = now();
  client.request("POST", "/a/b", std::string(kGrpc) + "grpc-timeout: 1500m\r\n", "message");
  run(1400ms);
  EXPECT_FALSE(client.anything_said());
  run(200ms);
  expect_status(client, "4", "upstream_timeout");
  EXPECT_NEAR(static_cast<double>((client.last_byte_at() - begin).count()), 1.5e9, 1e7);
  EXPECT_EQ(counted("4"), 1);
}

TEST_P(Grpc, TheSmallerOfTheDeadlinesHolds) {
  cluster().timeouts.total = 1s;
  cluster().retry.attempts = 1;
  backend().on("/", kNeverAnswers);
  start();
  SimClient& client = call("/a/b", "grpc-timeout: 5S\r\n");
  run(1s);
  expect_status(client, "4", "upstream_timeout");
  // What is passed on is what is left of it.
  SimClient& longer = call("/a/b", "grpc-timeout: 200m\r\n");
  run(300ms);
  expect_status(longer, "4", "upstream_timeout");
}

TEST_P(Grpc, TheBackendIsToldWhatIsLeft) {
  cluster().timeouts.connect = 1s;
  cluster().retry.attempts = 3;
  SimBackend& two = add_backend("two");
  LinkPlan hole;
  hole.blackhole = true;
  fates_.to_address[backend().address()] = hole;
  start();
  std::vector<Duration> left;
  for (int i = 0; i < 2; ++i) {
    connect().request("POST", "/a/b", std::string(kGrpc) + "grpc-timeout: 9S\r\n", "message");
    run(3s);
  }
  for (const Message& request : two.requests()) {
    const auto timeout = grpc::parse_timeout(request.field("grpc-timeout"));
    ASSERT_TRUE(timeout) << request.field("grpc-timeout");
    left.push_back(*timeout);
  }
  ASSERT_EQ(left.size(), 2U);
  // One of the two found the hole first, and lost a second there.
  EXPECT_LE(std::min(left[0], left[1]), 8s);
  EXPECT_GT(std::min(left[0], left[1]), 7900ms);
  EXPECT_GT(std::max(left[0], left[1]), 8900ms);
}

TEST_P(Grpc, ABrokenTimeoutIsABadRequest) {
  start();
  expect_status(call("/a/b", "grpc-timeout: 5s\r\n"), "13", "bad_request");
  expect_status(call("/a/b", "grpc-timeout: 5S\r\ngrpc-timeout: 6S\r\n"), "13", "bad_request");
  EXPECT_TRUE(backend().requests().empty());
  EXPECT_EQ(counted("13"), 2);
}

TEST_P(Grpc, StatusesOfTrailersAndOfHeadsAreCounted) {
  const std::string head =
      "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntrailer: grpc-status\r\ntransfer-encoding: chunked\r\n\r\n";
  backend().on("/ok", head + in_chunks("message", 100, "grpc-status: 0\r\n"));
  backend().on("/none", response("message"));
  backend().on("/html", response("sorry", "", "403 Forbidden"));
  backend().on("/alone", response("", "grpc-status: 5\r\n"));
  backend().on("/strange", response("", "grpc-status: 77\r\n"));
  start();
  const SimClient& ok = call("/ok");
  EXPECT_EQ(ok.answers().at(0).trailer("grpc-status"), "0");
  for (const char* path : {"/none", "/html", "/alone", "/strange"}) call(path);
  EXPECT_EQ(counted("0"), 1);
  EXPECT_EQ(counted("2"), 2);  // no status in an answer of 200; a code without a meaning
  EXPECT_EQ(counted("7"), 1);
  EXPECT_EQ(counted("5"), 1);
  EXPECT_EQ(proxy_.metric(Family::kGrpcRequests), 5);
  get("/plain");
  EXPECT_EQ(proxy_.metric(Family::kGrpcRequests), 5);
}

TEST_P(Grpc, AClientThatLeavesHasCancelled) {
  backend().on("/", kNeverAnswers);
  start();
  call().reset();
  run(100ms);
  EXPECT_EQ(counted("1"), 1);
}

TEST_P(Grpc, UnavailableIsRetriedWhereItMayBe) {
  cluster().retry.on_unavailable = true;
  cluster().retry.methods = {"POST"};
  cluster().retry.attempts = 2;
  SimBackend& two = add_backend("two");
  backend().on("/", unavailable());
  start();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(call().answers().at(0).body, "hello\n");
  EXPECT_EQ(backend().requests().size(), 1U);
  EXPECT_EQ(two.requests().size(), 2U);
  EXPECT_EQ(two.requests().at(0).body, "message");
  EXPECT_EQ(proxy_.metric(Family::kRetries, {"app", "unavailable"}), 1);
  EXPECT_EQ(proxy_.metric(Family::kBackendRequests, {"one", "200"}), 1);
  // With a body it has begun to be an answer.
  backend().on("/", response("message", "grpc-status: 14\r\n"));
  two.on("/", response("message", "grpc-status: 14\r\n"));
  EXPECT_EQ(call().answers().at(0).body, "message");
  // A request that is not gRPC's does not know such a status.
  backend().on("/", unavailable());
  two.on("/", unavailable());
  EXPECT_EQ(get("/").answers().at(0).field("grpc-status"), "14");
  EXPECT_EQ(proxy_.metric(Family::kRetries), 1);
}

TEST_P(Grpc, UnavailableOfACallThatMayNotBeRepeatedPasses) {
  cluster().retry.on_unavailable = true;
  add_backend("two").on("/", unavailable());
  backend().on("/", unavailable());
  start();
  EXPECT_EQ(call().answers().at(0).field("grpc-status"), "14");
  EXPECT_EQ(proxy_.metric(Family::kRetries), 0);
  EXPECT_EQ(counted("14"), 1);
}

class RetriedAnswers : public OverWires {};
WEIR_OVER_ALL_WIRES(RetriedAnswers);

TEST_P(RetriedAnswers, StatusesThatAreNamedAreTriedElsewhere) {
  cluster().retry.on_503 = true;
  SimBackend& two = add_backend("two");
  backend().on("/", response("no", "", "503 Service Unavailable"));
  backend().on("/502", response("no", "", "502 Bad Gateway"));
  two.on("/502", response("no", "", "502 Bad Gateway"));
  start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(get("/").answers().at(0).body, "hello\n");
  EXPECT_EQ(backend().requests().size(), 2U);
  EXPECT_EQ(two.requests().size(), 4U);
  EXPECT_EQ(proxy_.metric(Family::kRetries, {"app", "503"}), 2);
  // The answers that were not passed on are the backend's nevertheless.
  EXPECT_EQ(proxy_.metric(Family::kBackendRequests, {"one", "503"}), 2);
  EXPECT_EQ(get("/502").answers().at(0).status, 502);
  EXPECT_EQ(proxy_.metric(Family::kRetries), 2);
}

TEST_P(RetriedAnswers, TheLastOnePasses) {
  cluster().retry.on_504 = true;
  cluster().retry.attempts = 3;
  backend().on("/", response("late", "", "504 Gateway Timeout"));
  start();
  SimClient& client = get("/");
  run(2s);
  EXPECT_EQ(client.answers().at(0).status, 504);
  EXPECT_EQ(client.answers().at(0).body, "late");
  EXPECT_EQ(backend().requests().size(), 3U);
  EXPECT_EQ(last_log("attempts"), "3");
  EXPECT_EQ(last_log("reason"), "");
  EXPECT_EQ(proxy_.metric(Family::kBackendRequests, {"one", "504"}), 3);
}

TEST_P(RetriedAnswers, OnlyWhatMayBeSentAgain) {
  cluster().retry.on_502 = true;
  backend().on("/", response("no", "", "502 Bad Gateway"));
  add_backend("two").on("/", response("no", "", "502 Bad Gateway"));
  start();
  SimClient& post = connect();
  post.request("POST", "/", "", "body");
  run(100ms);
  EXPECT_EQ(post.answers().at(0).status, 502);
  SimClient& large = connect();
  large.request("PUT", "/", "", std::string(100'000, 'x'));
  run(100ms);
  EXPECT_EQ(large.answers().at(0).status, 502);
  EXPECT_EQ(proxy_.metric(Family::kRetries), 0);
  SimClient& small = connect();
  small.request("PUT", "/", "", std::string(10'000, 'x'));
  run(100ms);
  EXPECT_EQ(small.answers().at(0).status, 502);
  EXPECT_EQ(proxy_.metric(Family::kRetries), 1);
}

TEST_P(RetriedAnswers, TheBudgetHolds) {
  cluster().retry.on_503 = true;
  cluster().retry.budget = 0;
  backend().on("/", response("no", "", "503 Service Unavailable"));
  start();
  for (int i = 0; i < 150; ++i) {
    connect().get("/");
    run(10ms);
  }
  run(2s);
  // At least 100 in ten seconds are always allowed.
  EXPECT_EQ(proxy_.metric(Family::kRetries), 100);
  EXPECT_EQ(proxy_.metric(Family::kRequests, {"503"}), 150);
}

class BugsOfGrpc : public Grpc {};
WEIR_OVER_ALL_WIRES(BugsOfGrpc);

// A call whose head was refused was answered with text, and not counted.
TEST_P(BugsOfGrpc, Case109ARefusedHeadIsAnsweredAsACall) {
  if (from_http1()) return;
  listener().head_limits = {400, 100, 1000};
  start();
  expect_status(call("/a/b", "x: " + std::string(400, 'x') + "\r\n"), "8", "headers_too_large");
  EXPECT_EQ(counted("8"), 1);
  EXPECT_EQ(last_log("reason"), "headers_too_large");
}

// The status of a head behind which messages come is not the call's.
TEST_P(BugsOfGrpc, Case114AStatusBeforeABodyIsNotCounted) {
  backend().on("/early", response("message", "grpc-status: 0\r\n"));
  start();
  call("/early");
  EXPECT_EQ(counted("0"), 0);
  EXPECT_EQ(counted("2"), 1);
}

}  // namespace
}  // namespace weir::sim
