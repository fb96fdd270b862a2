// Backends that misbehave, and what is done about it.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

class Faults : public OverWires {};
WEIR_OVER_ALL_WIRES(Faults);
class FaultsToHttp1 : public OverWires {};
WEIR_OVER_WIRES_TO_HTTP1(FaultsToHttp1);

TEST_P(Faults, NobodyListens) {
  backend().stop_listening();
  start();
  SimClient& client = get("/");
  expect_local_reply(client, 502, "connect_failed");
  EXPECT_EQ(last_log("attempts"), "2");
  ASSERT_GE(proxy_.connect_failures.size(), 1U);
  EXPECT_TRUE(proxy_.connect_failures[0].refused);
}

TEST_P(Faults, WithHealthChecksARefusalCountsAtOnce) {
  cluster().health_checked = true;
  SimBackend& two = add_backend("two");
  backend().stop_listening();
  start();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(get("/").answers().at(0).status, 200);
  EXPECT_EQ(two.requests().size(), 10U);
  EXPECT_EQ(proxy_.connect_failures.size(), 1U);
  two.stop_listening();
  for (const auto& connection : two.connections()) connection->close();
  run(10ms);
  SimClient& last = get("/");
  expect_local_reply(last, 503, "no_healthy_backend");
  SimClient& later = get("/");
  expect_local_reply(later, 503, "no_healthy_backend");
  EXPECT_EQ(last_log("attempts"), "0");
  proxy_.update_member("app", 0);  // the control thread says that it is healthy
  backend().listen();
  EXPECT_EQ(get("/").answers().at(0).status, 200);
}

TEST_P(Faults, NoBackendAtAll) {
  proxy_.setup.clusters[0].members.clear();
  start();
  SimClient& client = get("/");
  expect_local_reply(client, 503, "no_healthy_backend");
  client.request("POST", "/", "", "body");
  run(10ms);
  EXPECT_EQ(client.answer_count(), 2U);
}

TEST_P(FaultsToHttp1, GarbageIsA502AndTheConnectionIsNotUsedAgain) {
  const std::vector<std::string> garbage = {
      "garbage\r\n\r\n",
      "HTTP/1.1 99 Low\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
      "HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
      "HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: a\x01\r\n\r\n",
      "HTTP/2 200\r\n\r\n",
      std::string("\x00\x00\x00\x03\x00\x00\x00\x00\x00", 9),
      "HTTP/1.1 200 OK\r\nX: " + std::string(300'000, 'x') + "\r\n\r\n"};
  start();
  std::size_t connections = 0;
  for (const std::string& bytes : garbage) {
    backend().on("/", Script{send_bytes(bytes)});
    SimClient& client = get("/");
    expect_local_reply(client, 502, "upstream_protocol_error");
    EXPECT_EQ(backend().connections().size(), ++connections);
    EXPECT_EQ(backend().open_connections(), 0U);
    EXPECT_EQ(last_log("reason"), "upstream_protocol_error");
  }
}

TEST_P(FaultsToHttp1, BrokenChunksBreakTheMessageOff) {
  start();
  for (const char* bytes : {"5\r\nhelloXX", "5;\nhello", "ffffffffffffffffff\r\n", "5\r\nhello\r\nzz\r\n",
                            "0\r\nContent-Length : 1\r\n\r\n"}) {
    backend().on(
        "/",
        Script{send_bytes(std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n") + bytes)});
    SimClient& client = get("/");
    EXPECT_EQ(client.answer_count(), 0U) << bytes;
    EXPECT_TRUE(broken_off(client)) << bytes;
    EXPECT_EQ(backend().open_connections(), 0U);
  }
}

// Whatever byte of the answer is the last, the client sees all of it, or a 502, or a message without its end.
enum class Cut : std::uint8_t { close, reset };
std::string name_of(Cut cut) {
  return cut == Cut::reset ? "Reset" : "Close";
}
class CutAnswers : public OverWiresWith<Cut> {};

TEST_P(CutAnswers, AtEveryByte) {
  const bool reset = param() == Cut::reset;
  const std::vector<std::string> answers = {response("0123456789", "X-A: b\r\n"),
                                            chunked_response("0123456789", 4, "X-T: 1\r\n"),
                                            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + response("0123456789")};
  cluster().retry.attempts = 1;
  start();
  for (const std::string& whole : answers) {
    const std::size_t head = whole.rfind("HTTP/1.1 200 OK");
    const std::size_t head_end = whole.find("\r\n\r\n", head) + 4;
    for (std::size_t n = 0; n <= whole.size(); ++n) {
      backend().on("/", Script{send_bytes(whole.substr(0, n)), wait_for(5ms),
                               then(reset ? Action::Kind::reset : Action::Kind::close)});
      SimClient& client = get("/");
      SCOPED_TRACE(n);
      if (n == whole.size()) {
        ASSERT_EQ(client.answer_count(), 1U);
        EXPECT_EQ(client.answers()[0].body, "0123456789");
      } else if (n >= head_end) {
        EXPECT_EQ(client.answer_count(), 0U);
        EXPECT_TRUE(broken_off(client));
      } else {
        expect_local_reply(client, 502, "upstream_reset");
      }
      EXPECT_EQ(last_log("reason"), n == whole.size() ? "" : "upstream_reset");
      client.close();
    }
  }
}
WEIR_OVER_ALL_WIRES_WITH(CutAnswers, testing::Values(Cut::close, Cut::reset));

TEST_P(Faults, AResetInsideTheHeadIsRetriedElsewhere) {
  SimBackend& two = add_backend("two");
  backend().on("/", Script{send_bytes("HTTP/1.1 200 O"), then(Action::Kind::reset)});
  start();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(get("/").answers().at(0).status, 200);
  EXPECT_EQ(two.requests().size(), 4U);
  EXPECT_EQ(proxy_.metric(Family::kRetries, {"reset"}), 2);
  SimClient& posted = connect();
  posted.request("POST", "/", "X-Id: a\r\n", "b");
  SimClient& other = connect();
  other.request("POST", "/", "X-Id: b\r\n", "b");
  run(100ms);
  EXPECT_EQ(posted.answers().at(0).status + other.answers().at(0).status, 702);
}

TEST_P(Faults, MethodsCanBeNamedAsFitForRetries) {
  SimBackend& two = add_backend("two");
  cluster().retry.methods = {"POST"};
  backend().on("/", Script{then(Action::Kind::reset)});
  start();
  for (int i = 0; i < 2; ++i) {
    SimClient& client = connect();
    client.request("POST", "/", "", "body");
    run(100ms);
    EXPECT_EQ(client.answers().at(0).status, 200);
  }
  EXPECT_EQ(two.requests().size(), 2U);
}

TEST_P(Faults, AttemptsAreCountedAndBackOff) {
  cluster().retry.attempts = 4;
  cluster().retry.backoff_base = 100ms;
  cluster().retry.backoff_max = 200ms;
  backend().on("/", Script{then(Action::Kind::reset)});
  start();
  const TimePoint begin = now();
  SimClient& client = connect();
  client.get("/");
  run(5s);
  expect_local_reply(client, 502, "upstream_reset");
  EXPECT_EQ(backend().heads(), 4U);
  EXPECT_EQ(last_log("attempts"), "4");
  EXPECT_GE(client.last_byte_at() - begin, 250ms);
  EXPECT_LE(client.last_byte_at() - begin, 550ms);
}

TEST_P(Faults, RetriesCanBeSwitchedOff) {
  cluster().retry.attempts = 1;
  backend().on("/", Script{then(Action::Kind::reset)});
  start();
  SimClient& client = get("/");
  expect_local_reply(client, 502, "upstream_reset");
  EXPECT_EQ(backend().heads(), 1U);
  backend().stop_listening();
  SimClient& refused = get("/");
  expect_local_reply(refused, 502, "connect_failed");
  EXPECT_EQ(last_log("attempts"), "1");
}

TEST_P(Faults, TheBudgetBoundsRetries) {
  cluster().retry.budget = 0.2;
  add_backend("two");
  // Of a connection that is reset, requests may be lost that the backend has not seen.
  const Action reset = to_http1() ? then(Action::Kind::reset) : then(Action::Kind::reset_stream, kH2InternalError);
  for (auto& one : backends_) one->on("/", Script{reset});
  start();
  for (int i = 0; i < 300; ++i) {
    connect().get("/");
    run(1ms);
  }
  run(1s);
  const std::size_t tries = backend(0).heads() + backend(1).heads();
  EXPECT_EQ(tries, 400U);
  EXPECT_EQ(proxy_.metric(Family::kRetries, {"reset"}), 100);
}

TEST_P(Faults, OurOwnTroubleIsNotTheBackends) {
  cluster().health_checked = true;
  start();
  for (const int error : {EADDRNOTAVAIL, ENOBUFS}) {
    fates_.backend.connect_errno = error;
    SimClient& client = get("/");
    expect_local_reply(client, 503, "overloaded");
  }
  fates_.backend.connect_errno = 0;
  EXPECT_TRUE(proxy_.connect_failures.empty());
  EXPECT_EQ(get("/").answers().at(0).status, 200);
}

TEST_P(Faults, DescriptorsRunOut) {
  backend().on("/", Script{wait_for(100ms), send_bytes(response("x"))});
  start();
  SimClient& before = get("/");
  run(200ms);
  proxy_.descriptors().set_limit(proxy_.descriptors().open() + 8 + 4);
  for (int i = 0; i < 20; ++i) connect().get("/");
  run(50ms);
  EXPECT_GE(proxy_.metric(Family::kAcceptPaused), 1);
  EXPECT_GE(proxy_.accept_pauses, 1U);
  before.get("/");
  run(150ms);
  EXPECT_EQ(before.answer_count(), 2U);  // what runs goes on
  for (const auto& client : clients_) {
    run(300ms);
    if (client.get() != &before) client->close();
  }
  run(10s);
  std::size_t answered = 0;
  for (const auto& client : clients_) answered += client->answer_count();
  EXPECT_GE(answered, 10U);
  proxy_.descriptors().set_limit(100'000);
  SimClient& after = connect();
  after.get("/");
  run(1s);
  EXPECT_EQ(after.answers().at(0).status, 200);
}

TEST_P(Faults, AFullLogIsCountedAndStopsNothing) {
  start();
  proxy_.logs().set_full(true);
  EXPECT_EQ(get("/").answers().at(0).status, 200);
  EXPECT_EQ(proxy_.metric(Family::kAccessLogLost), 1);
  EXPECT_TRUE(proxy_.log().empty());
  // So that the counts at the end of the test agree.
  proxy_.logs().set_full(false);
  EXPECT_EQ(proxy_.metric(Family::kRequests), 1);
  lost_lines_ = 1;
}

// Backends that close whatever is idle, all the time.
TEST_P(Faults, H1ClosesIdleConnections) {
  SimBackend& two = add_backend("two");
  start();
  SimClient& client = connect();
  for (int i = 0; i < 50; ++i) {
    client.get("/");
    run(i % 3 == 0 ? 1ms : 60us);
    for (SimBackend* one : {&backend(), &two}) {
      for (const auto& connection : one->connections()) {
        if (connection->requests() > 0) connection->close();
      }
    }
  }
  run(1s);
  for (const Message& answer : client.answers()) EXPECT_EQ(answer.status, 200);
}

}  // namespace
}  // namespace weir::sim
