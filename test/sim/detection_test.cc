// What each backend speaks, found out by the whole Weir: by control plane, probes and workers, over TLS also by what
// each handshake says.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "server/whole_weir_fixture.h"
#include "sim/backend.h"
#include "sim/client.h"
#include "sim/fixture.h"

namespace weir::sim {
namespace {

using server::WholeWeir;
using testing::HasSubstr;

constexpr bool kClear = false, kTls = true;

class Detection : public testing::Test, public testing::WithParamInterface<bool> {
 protected:
  Detection() : backend_(outside_, "one", *SocketAddress::parse("10.1.0.1:80")) {
    if (!tls()) return;
    backend_.tls = &peer_tls();
    weir_.set_file("/ca.pem", peer_tls().authority());
  }
  bool tls() const { return GetParam(); }
  // How often a backend of HTTP/1 hears HTTP/2's preface: over TLS ALPN comes before it.
  std::size_t prefaces() const { return tls() ? 0 : 1; }
  ~Detection() override {
    for (auto& client : clients_) client->close();
    run(1s);
    EXPECT_EQ(weir_.leases_out(), 0U);
  }
  void start(std::string_view more = {}) {
    const std::string config = fmt::format(
        "admin: {{address: 10.0.0.1:9090}}\n"
        "listeners: [{{name: web, address: 10.0.0.1:80}}]\n"
        "clusters: [{{name: app, {0}{1}backends: [{{name: one, url: \"{2}://10.1.0.1:80\"}}{3}]}}]\n"
        "routes: [{{cluster: app}}]\n",
        more,
        tls() && !more.starts_with("tls:")
            ? fmt::format("tls: {{ca: /ca.pem, server_name: {}}}, ", PeerTlsContexts::kBackendName)
            : "",
        tls() ? "https" : "http", more_backends_);
    ASSERT_TRUE(weir_.start(config));
    run(10ms);
  }
  void run(Duration duration) { ASSERT_TRUE(world_.run_until(world_.now() + duration)); }
  SimClient& ask(std::string_view target = "/", std::string_view proxy = "10.0.0.1:80") {
    clients_.push_back(std::make_unique<SimClient>(outside_, *SocketAddress::parse(proxy), Protocol::http1));
    clients_.back()->request("GET", target);
    return *clients_.back();
  }
  SimClient& post(std::string_view body, std::string_view method = "POST") {
    clients_.push_back(std::make_unique<SimClient>(outside_, *SocketAddress::parse("10.0.0.1:80"), Protocol::http1));
    clients_.back()->request(method, "/", {}, body);
    return *clients_.back();
  }
  // Many, so that all workers have some; each must be answered with 200 within 50 ms.
  void expect_served() {
    std::vector<SimClient*> asked;
    for (int i = 0; i < 40; ++i) asked.push_back(&ask());
    run(50ms);
    expect_answers(asked);
  }
  static void expect_answers(const std::vector<SimClient*>& asked) {
    for (const SimClient* client : asked) {
      ASSERT_EQ(client->answers().size(), 1U);
      EXPECT_EQ(client->answers().back().status, 200) << client->answers().back().body;
    }
  }
  std::string found() {
    SimClient& client = ask("/api/v1/clusters", "10.0.0.1:9090");
    run(50ms);
    if (client.answers().empty()) return "no answer";
    const std::string& body = client.answers().back().body;
    const std::size_t at = body.find("\"protocol\":\"");
    return at == std::string::npos ? body : body.substr(at + 12, body.find('"', at + 12) - at - 12);
  }
  std::ptrdiff_t checks() const {
    return std::ranges::count_if(backend_.requests(),
                                 [](const Message& request) { return request.target == "/health"; });
  }
  // How often a check has taken it out.
  std::size_t unhealthy() const {
    const auto& log = weir_.process_log();
    return static_cast<std::size_t>(std::ranges::count_if(
        log, [](const std::string& line) { return line.find("backend is unhealthy") != std::string::npos; }));
  }

  SimWorld world_{SimWorld::Options{}};
  Outside outside_{world_};
  SimBackend backend_;
  std::string more_backends_;  // in the configuration, behind the one
  WholeWeir weir_{world_, 4, 10'000};
  std::vector<std::unique_ptr<SimClient>> clients_;
};

TEST_P(Detection, Http2IsFoundOnceAndSharedByAllWorkers) {
  backend_.http2.emplace();
  start();
  run(2s);
  EXPECT_EQ(backend_.connections().size(), 1U);  // the probe, which is gone
  EXPECT_EQ(backend_.open_connections(), 0U);
  EXPECT_EQ(found(), "http2");
  expect_served();
  EXPECT_EQ(backend_.http2_connections(), backend_.connections().size());
  EXPECT_LE(backend_.connections().size(), 1U + 4U);  // one for each worker
  run(60s);
  EXPECT_LE(backend_.connections().size(), 1U + 4U);  // and no further probe
}

TEST_P(Detection, Http1IsFoundByRefusalAndByTheEnd) {
  for (const auto how : {SimBackend::OnPreface::bad_request, SimBackend::OnPreface::close}) {
    backend_.on_preface = how;
    if (backend_.connections().empty()) start();
    run(2s);
    EXPECT_EQ(found(), "http1");
    expect_served();
    EXPECT_EQ(backend_.http2_probes(), prefaces());
  }
}

TEST_P(Detection, AProbeThatHangsCostsNothing) {
  backend_.on_preface = SimBackend::OnPreface::hang;
  start();
  expect_served();  // while it hangs
  EXPECT_EQ(backend_.http2_probes(), prefaces());
  run(1s);
  EXPECT_EQ(found(), "http1");
  run(5min);
  EXPECT_EQ(backend_.open_connections(), 0U);  // the probe's is gone, those of requests were idle
  expect_served();
  EXPECT_EQ(backend_.http2_probes(), prefaces());
}

TEST_P(Detection, ABackendThatComesBackIsAskedAgain) {
  start("health_check: {type: tcp, interval: 1s}, ");
  run(3s);
  EXPECT_EQ(found(), "http1");
  EXPECT_EQ(backend_.http2_probes(), prefaces());
  backend_.stop_listening();
  run(20s);
  backend_.http2.emplace();
  backend_.listen();
  run(5s);
  EXPECT_EQ(found(), "http2");
  expect_served();
}

TEST_P(Detection, OneThatIsDownAtFirstIsAskedOnceItIsThere) {
  backend_.stop_listening();
  backend_.http2.emplace();
  start();
  run(5s);
  backend_.listen();
  ask();
  run(5s);
  EXPECT_EQ(found(), "http2");
  expect_served();
}

TEST_P(Detection, OneThatChangesWithoutAWordFailsNoRequest) {
  start();
  run(2s);
  EXPECT_EQ(found(), "http1");
  expect_served();
  run(2min);  // idle connections are gone
  backend_.http2.emplace();
  SimClient& first = ask();  // in the clear an HTTP/1.1 request meets HTTP/2, and is tried again
  run(5s);
  ASSERT_EQ(first.answers().size(), 1U);
  EXPECT_EQ(first.answers().back().status, 200);
  EXPECT_EQ(found(), "http2");
  expect_served();
  run(2min);
  backend_.http2.reset();
  expect_served();  // the other way around nothing fails
  run(5s);
  EXPECT_EQ(found(), "http1");
}

// Before traffic: else each request of the first crowd would open a connection to be told.
TEST_P(Detection, TheFirstCrowdSharesOneConnectionOfEachWorker) {
  backend_.http2.emplace();
  start();
  run(2s);
  std::vector<SimClient*> asked;
  for (int i = 0; i < 90; ++i) asked.push_back(&ask());
  run(1s);
  for (const SimClient* client : asked) EXPECT_EQ(client->answers().size(), 1U);
  EXPECT_LE(backend_.connections().size(), 1U + 4U);  // the probe, and one for each worker
}

// Backends of HTTP/2 that take their time to say so: requests come before it is known.
class BugsOfDetection : public Detection {
 protected:
  static constexpr Duration kSilence = 40ms;
  BugsOfDetection() { begin(backend_); }
  static void begin(SimBackend& backend) {
    backend.http2.emplace();
    backend.http2_mute = kSilence;
  }
  // Each with the body of one of those that asked.
  void expect_bodies(std::string_view body, std::size_t count) {
    ASSERT_EQ(backend_.requests().size(), count);
    for (const Message& request : backend_.requests()) EXPECT_TRUE(request.body == body) << request.body.size();
  }
};

TEST_P(BugsOfDetection, Case170BodiesOfTheFirstRequestsAreLost) {
  start();
  std::vector<SimClient*> asked;
  for (int i = 0; i < 40; ++i) asked.push_back(&post("a body"));
  run(200ms);
  expect_answers(asked);
  expect_bodies("a body", asked.size());
  EXPECT_EQ(found(), "http2");
}

TEST_P(BugsOfDetection, Case174ABodyIsLostAfterAChangeWithoutAWord) {
  backend_.http2.reset();
  start();
  run(2s);
  EXPECT_EQ(found(), "http1");
  begin(backend_);
  SimClient& client = post("a body");
  run(200ms);
  expect_answers({&client});
  expect_bodies("a body", 1);
}

TEST_P(BugsOfDetection, Case171ARequestThatDoesNotEndBeforeItsAnswerIsLost) {
  backend_.on("/", Handler{[](const Message&) {
                             return Script{send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), wait_for(300ms),
                                           send_bytes("world")};
                           },
                           {}});
  start();
  clients_.push_back(std::make_unique<SimClient>(outside_, *SocketAddress::parse("10.0.0.1:80"), Protocol::http1));
  SimClient& client = *clients_.back();
  client.raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "POST");
  run(20ms);
  client.send("1\r\n,\r\n");
  run(100ms);
  EXPECT_TRUE(client.anything_said());
  client.send("1\r\n \r\n0\r\n\r\n");
  run(400ms);
  expect_answers({&client});
  expect_bodies("hello, ", 1);
}

// What is more than can be sent again is held back until it is known, or until that has taken too long.
TEST_P(BugsOfDetection, Case172ALongBodyOfAFirstRequestIsLost) {
  const std::string body = pattern(1, 300 * 1024);
  start();
  std::vector<SimClient*> asked;
  for (const std::string_view method : {"POST", "PUT"}) asked.push_back(&post(body, method));
  run(1s);
  expect_answers(asked);
  expect_bodies(body, asked.size());
}

TEST_P(BugsOfDetection, ALongBodyIsNotHeldBackForLong) {
  backend_.http2.reset();
  backend_.on_preface = SimBackend::OnPreface::hang;
  const std::string body = pattern(1, 300 * 1024);
  start();
  SimClient& client = post(body);
  run(300ms);
  EXPECT_EQ(found(), tls() ? "http1" : "unknown");
  expect_answers({&client});
  expect_bodies(body, 1);
}

// An answer that has begun has made it clear.
TEST_P(BugsOfDetection, Case192ABodyIsHeldBackThoughItIsAnswered) {
  backend_.http2.reset();
  backend_.on_preface = SimBackend::OnPreface::hang;
  backend_.on("/", Handler{[](const Message&) {
                             return Script{send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), wait_for(300ms),
                                           send_bytes("world")};
                           },
                           {}});
  const std::string body = pattern(1, 300 * 1024);
  start();
  SimClient& client = post(body);
  run(60ms);
  expect_bodies(body, 1);
  run(400ms);
  expect_answers({&client});
}

// Nothing was tried: the request only found out in which way to say it.
TEST_P(BugsOfDetection, Case173FindingOutCountsAsAnAttempt) {
  start("retry: {attempts: 1}, ");
  SimClient& client = post("a body");
  run(200ms);
  expect_answers({&client});
  expect_bodies("a body", 1);
}

TEST_P(BugsOfDetection, Case175EveryBackendFoundOutCountsAsAnAttempt) {
  std::vector<std::unique_ptr<SimBackend>> others;
  for (int i = 2; i < 8; ++i) {
    const std::string name = fmt::format("10.1.0.{}:80", i);
    others.push_back(std::make_unique<SimBackend>(outside_, name, *SocketAddress::parse(name)));
    begin(*others.back());
    others.back()->tls = backend_.tls;
    more_backends_ += fmt::format(", {{url: \"{}://{}\"}}", tls() ? "https" : "http", name);
  }
  start();
  std::vector<SimClient*> asked;
  for (int i = 0; i < 40; ++i) asked.push_back(&ask());
  run(1s);
  expect_answers(asked);
}

// Not what it speaks but how: it is known by then.
TEST_P(Detection, ABackendThatBreaksTheRulesIsToldOfOnceAMinute) {
  backend_.http2.emplace();
  backend_.on("/bad", Script{{Action::Kind::raw, h2_frame(6, 0, 0, "short"), {}, 0}});
  start();
  run(2s);
  for (int i = 0; i < 3; ++i) {
    ask("/bad");
    run(1s);
  }
  EXPECT_EQ(weir_.metric(observe::Family::kBackendHttp2Abuse), 3);
  const auto told = std::ranges::count_if(weir_.process_log(), [](const std::string& line) {
    return line.find("ended for what it did") != std::string::npos &&
           line.find("FRAME_SIZE_ERROR") != std::string::npos;
  });
  EXPECT_EQ(told, 1);
}

class DetectionOverTls : public Detection {};

TEST_P(DetectionOverTls, OneThatCannotBeVerifiedIsToldOfAndHoldsNothing) {
  backend_.http2.emplace();
  start("tls: {server_name: another.example, ca: /ca.pem}, ");
  run(5min);
  EXPECT_EQ(found(), "unknown");
  EXPECT_EQ(backend_.connections().size(), 1U);
  EXPECT_EQ(backend_.open_connections(), 0U);
  const auto told = std::ranges::count_if(weir_.process_log(), [](const std::string& line) {
    return line.find("TLS handshake with a backend failed") != std::string::npos;
  });
  EXPECT_EQ(told, 1);
}

constexpr std::string_view kStrictChecks =
    "health_check: {interval: 1s, timeout: 3s, unhealthy_after: 1, healthy_after: 1}, ";

TEST_P(Detection, ChecksOfAnHttp2BackendDoNotFailBeforeItIsKnown) {
  backend_.http2.emplace();
  start(kStrictChecks);
  expect_served();
  run(10s);
  EXPECT_EQ(unhealthy(), 0U);
  EXPECT_EQ(found(), "http2");
  EXPECT_GE(checks(), 8);
}

TEST_P(Detection, ChecksOfAnHttp2BackendGoByTheConfiguration) {
  backend_.http2.emplace();
  start(std::string("protocol: http2, ").append(kStrictChecks));
  expect_served();
  run(10s);
  EXPECT_EQ(unhealthy(), 0U);
  EXPECT_EQ(backend_.http2_connections(), backend_.connections().size());
  EXPECT_GE(checks(), 8);
}

// Whatever finds out first, and if nothing does but the checks.
TEST_P(Detection, ChecksFollowABackendThatChangesWithoutAWord) {
  start(kStrictChecks);
  run(3s);
  EXPECT_EQ(found(), "http1");
  backend_.http2.emplace();
  run(3s);
  EXPECT_EQ(found(), "http2");
  expect_served();
  backend_.http2.reset();
  run(3s);
  EXPECT_EQ(found(), "http1");
  expect_served();
  EXPECT_EQ(unhealthy(), 0U);
}

// It waits for the end of a head, and would do so for ever.
TEST_P(Detection, ChecksComeBackFromABackendThatHangsOnHttp2) {
  backend_.http2.emplace();
  start(kStrictChecks);
  run(3s);
  EXPECT_EQ(found(), "http2");
  backend_.http2.reset();
  backend_.on_preface = SimBackend::OnPreface::hang;
  run(10s);
  EXPECT_EQ(found(), "http1");
  EXPECT_EQ(unhealthy(), tls() ? 0U : 1U);
  run(10s);
  EXPECT_EQ(unhealthy(), tls() ? 0U : 1U);
  expect_served();
}

INSTANTIATE_TEST_SUITE_P(, DetectionOverTls, testing::Values(kTls), [](const auto&) { return "Tls"; });
INSTANTIATE_TEST_SUITE_P(, Detection, testing::Values(kClear, kTls),
                         [](const auto& info) { return info.param ? "Tls" : "Clear"; });
INSTANTIATE_TEST_SUITE_P(, BugsOfDetection, testing::Values(kClear, kTls),
                         [](const auto& info) { return info.param ? "Tls" : "Clear"; });

}  // namespace
}  // namespace weir::sim
