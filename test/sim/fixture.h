#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "sim/backend.h"
#include "sim/client.h"
#include "sim/h2_client.h"
#include "sim/proxy.h"

namespace weir::sim {

inline const SocketAddress kProxy = *SocketAddress::parse("10.0.0.1:80");

// Fates of connections by where they go: those of clients, and those of the proxy to its backends.
class Fates final : public FaultPlan {
 public:
  LinkPlan draw(const IpAddress&, const SocketAddress& to, TimePoint, Rng&) override {
    const auto found = to_address.find(to);
    if (found != to_address.end()) return found->second;
    return to == kProxy ? client : backend;
  }
  LinkPlan client, backend;
  std::map<SocketAddress, LinkPlan> to_address;
};

// What is spoken on the sides of the proxy.
struct Wires {
  Protocol down = Protocol::http1;
  Protocol up = Protocol::http1;
  bool down_tls = false;
  bool up_tls = false;
};
// All protocols in the clear and with TLS on both sides, and each protocol on each side with TLS on that side only.
inline constexpr Wires kAllWires[] = {{Protocol::http1, Protocol::http1},
                                      {Protocol::http2, Protocol::http1},
                                      {Protocol::http1, Protocol::http2},
                                      {Protocol::http2, Protocol::http2},
                                      {Protocol::http1, Protocol::http1, true, true},
                                      {Protocol::http2, Protocol::http1, true, true},
                                      {Protocol::http1, Protocol::http2, true, true},
                                      {Protocol::http2, Protocol::http2, true, true},
                                      {Protocol::http1, Protocol::http2, true, false},
                                      {Protocol::http2, Protocol::http1, true, false},
                                      {Protocol::http1, Protocol::http1, false, true},
                                      {Protocol::http2, Protocol::http2, false, true}};
// For what only HTTP/1 to a backend has: suites named ...ToHttp1.
inline constexpr Wires kWiresToHttp1[] = {{Protocol::http1, Protocol::http1},
                                          {Protocol::http2, Protocol::http1},
                                          {Protocol::http1, Protocol::http1, true, true},
                                          {Protocol::http2, Protocol::http1, false, true}};
// For what only HTTP/2 to a backend has.
inline constexpr Wires kWiresToHttp2[] = {{Protocol::http1, Protocol::http2},
                                          {Protocol::http2, Protocol::http2},
                                          {Protocol::http1, Protocol::http2, false, true},
                                          {Protocol::http2, Protocol::http2, true, true}};
inline std::string name_of(const Wires& wires) {
  return std::string("From") + (wires.down_tls ? "Tls" : "") + (wires.down == Protocol::http1 ? "Http1" : "Http2") +
         "To" + (wires.up_tls ? "Tls" : "") + (wires.up == Protocol::http1 ? "Http1" : "Http2");
}

// Made once: only the handshakes are each connection's own.
inline const PeerTlsContexts& peer_tls() {
  static const PeerTlsContexts contexts;
  return contexts;
}

// A proxy with one listener, one cluster "app" and one backend, in virtual time. At the end of each test everything is
// taken down, and nothing of it may be left: no lease, stream, buffer or gauge, and as many log lines as requests were
// counted.
class SimTest : public testing::Test {
 protected:
  explicit SimTest(SimProxy::Options options = {}, std::uint64_t seed = 1)
      : world_(world_options(seed)), outside_(world_), proxy_(world_, options) {
    world_.set_faults(&fates_);
    proxy_.setup.add_listener("web", "10.0.0.1:80");
    proxy_.setup.add_cluster("app");
    add_backend("one");
    proxy_.setup.add_route("all", "app");
  }

  static SimWorld::Options world_options(std::uint64_t seed) {
    SimWorld::Options options;
    options.seed = seed;
    return options;
  }

  void TearDown() override {
    for (auto& client : clients_) client->close();
    for (auto& client : http2_clients_) client->close();
    run(1s);
    proxy_.stop();
    run(11min);  // longer than anything that a test sets up
    check_nothing_left();
  }

  void check_nothing_left() {
    EXPECT_EQ(proxy_.leases_out(), 0U);
    EXPECT_EQ(proxy_.live_streams(), 0U);
    EXPECT_EQ(proxy_.connections(), 0U);
    EXPECT_EQ(proxy_.buffers_out(), 0U);
    using observe::Family;
    for (const Family gauge : {Family::kActiveConnections, Family::kBackendConnectionsActive, Family::kPoolConnections,
                               Family::kWorkerConnections}) {
      EXPECT_EQ(proxy_.metric(gauge), 0) << observe::describe(gauge).name;
    }
    const auto lines = static_cast<std::int64_t>(proxy_.log().size()) + lost_lines_;
    EXPECT_EQ(proxy_.metric(Family::kRequests), lines - lost_series_);
    EXPECT_EQ(proxy_.metric(Family::kWorkerRequests), lines);
    EXPECT_EQ(static_cast<std::int64_t>(proxy_.observations(Family::kRequestDuration)), lines - lost_series_);
    std::int64_t attempts = 0;
    for (const std::string& line : proxy_.log()) attempts += std::stol(SimProxy::log_value(line, "attempts"));
    if (lost_series_ == 0) EXPECT_GE(proxy_.metric(Family::kBackendRequests) + seen_by_those_that_left(), attempts);
    for (const auto& cluster : proxy_.setup.clusters) {
      for (const Member& member : cluster.members)
        EXPECT_EQ(member.backend->connections(), 0U) << member.backend->name();
    }
  }

  // Requests to backends that are in no cluster any more, as they saw them: their series went with them.
  std::int64_t seen_by_those_that_left() const {
    std::size_t sum = 0;
    for (const auto& backend : backends_) {
      const auto is_there = [&](const ProxySetup::Cluster& cluster) {
        return std::ranges::any_of(cluster.members,
                                   [&](const Member& member) { return member.backend->name() == backend->name(); });
      };
      if (!std::ranges::any_of(proxy_.setup.clusters, is_there)) sum += backend->heads();
    }
    return static_cast<std::int64_t>(sum);
  }

  // A further backend of the first cluster.
  SimBackend& add_backend(std::string name, std::uint32_t weight = 1,
                          std::uint32_t max_connections = Backend::kNoLimit) {
    const SocketAddress address = *SocketAddress::parse("10.1.0." + std::to_string(backends_.size() + 1) + ":80");
    backends_.push_back(std::make_unique<SimBackend>(outside_, name, address));
    proxy_.setup.clusters.front().members.push_back({make_backend(name, address, max_connections), weight, true});
    if (to_tls()) speak_tls(backends_.size() - 1);
    if (!to_http1()) speak_http2(backends_.size() - 1);
    return *backends_.back();
  }

  // A further listener that speaks as the first does.
  void add_listener(std::string name, std::string_view address) {
    proxy_.setup.add_listener(std::move(name), address).tls = listener().tls;
  }

  void start() {
    proxy_.start();
    run(1ms);
  }
  void run(Duration duration) { ASSERT_TRUE(world_.run_until(world_.now() + duration)); }

  SimClient& connect() { return connect_to(kProxy); }
  SimClient& connect_to(const SocketAddress& proxy, std::string_view opening = {}) {
    const PeerTlsSource* tls = from_tls() ? &peer_tls() : nullptr;
    clients_.push_back(std::make_unique<SimClient>(outside_, proxy, wires_.down, tls, opening));
    return *clients_.back();
  }
  SimH2Client& connect_h2(const H2Options& options = {}) {
    http2_clients_.push_back(
        std::make_unique<SimH2Client>(outside_, kProxy, options, "", from_tls() ? &peer_tls() : nullptr));
    return *http2_clients_.back();
  }
  // For bytes of HTTP/2 as they are.
  SimClient& connect_raw_h2() {
    const PeerTlsSource* tls = from_tls() ? &raw_h2_tls_ : nullptr;
    clients_.push_back(std::make_unique<SimClient>(outside_, kProxy, Protocol::http1, tls));
    return *clients_.back();
  }
  // Sends one GET on a connection of its own, and waits a little for the answer.
  SimClient& get(std::string_view target, std::string_view more = {}) {
    SimClient& client = connect();
    client.request("GET", target, more);
    run(100ms);
    return client;
  }

  void speak(const Wires& wires) {
    wires_ = wires;
    if (from_tls()) listener().tls = peer_tls().for_listener();
    if (to_tls()) cluster().tls = peer_tls().for_cluster();
    for (std::size_t i = 0; i < backends_.size(); ++i) {
      if (to_tls()) speak_tls(i);
      if (!to_http1()) speak_http2(i);
    }
  }
  void speak_tls(std::size_t index) {
    backends_[index]->tls = &peer_tls();
    std::shared_ptr<Backend>& known = proxy_.setup.clusters.front().members[index].backend;
    known = std::make_shared<Backend>(known->name(), "https://" + known->address().to_string(), known->address(),
                                      known->max_connections());
  }
  // The backend speaks HTTP/2, and the proxy knows it.
  void speak_http2(std::size_t index, H2ServerOptions options = {.streams_max = 100, .offers_tunnels = true}) {
    backends_[index]->http2 = options;
    proxy_.setup.clusters.front().members[index].backend->set_protocol(SpokenProtocol::http2);
  }
  // It has been found out already, where the backend speaks HTTP/1: else long bodies wait a little.
  void know_http1() {
    if (to_http1()) proxy_.setup.clusters.front().members.front().backend->set_protocol(SpokenProtocol::http1);
  }
  bool from_http1() const { return wires_.down == Protocol::http1; }
  bool to_http1() const { return wires_.up == Protocol::http1; }
  bool from_tls() const { return wires_.down_tls; }
  bool to_tls() const { return wires_.up_tls; }
  // The last answer was broken off, so that its client can tell: HTTP/1 has nothing but the connection's end for that.
  bool broken_off(const SimClient& client) const {
    return client.reader().broken() && (!from_http1() || client.ended());
  }
  // The last answer says, where the protocol can, that no other follows on its connection.
  void expect_last(const SimClient& client) const {
    ASSERT_FALSE(client.answers().empty());
    EXPECT_EQ(client.answers().back().field("connection"), from_http1() ? "close" : "");
  }

  SimBackend& backend(std::size_t index = 0) { return *backends_[index]; }
  // What the first backend has of the head that came as the `index`th.
  BackendExchange exchange(std::size_t index = 0) { return backend().exchange(index); }
  proxy::ListenerSettings& listener() { return *proxy_.setup.listeners.front(); }
  ClusterSettings& cluster() { return proxy_.setup.clusters.front().settings; }
  proxy::Route& route() { return *proxy_.setup.routes.front(); }
  std::string last_log(std::string_view key) {
    return proxy_.log().empty() ? "(no line)" : SimProxy::log_value(proxy_.log().back(), key);
  }
  TimePoint now() const { return world_.now(); }

  SimWorld world_;
  Fates fates_;
  Outside outside_;
  std::vector<std::unique_ptr<SimBackend>> backends_;
  SimProxy proxy_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::vector<std::unique_ptr<SimH2Client>> http2_clients_;
  RawHttp2Tls raw_h2_tls_{peer_tls()};
  Wires wires_;
  std::int64_t lost_series_ = 0;  // requests whose series went with their route
  std::int64_t lost_lines_ = 0;   // of the access log, as a test wanted it
};

// Behaviour that is the same whatever is spoken: TEST_P of a class made from this, run by WEIR_OVER_ALL_WIRES. What
// only one protocol has is a TEST_F of a class that names it.
class OverWires : public SimTest, public testing::WithParamInterface<Wires> {
 protected:
  explicit OverWires(SimProxy::Options options = {}, std::uint64_t seed = 1) : SimTest(options, seed) {
    speak(GetParam());
  }
};
#define WEIR_OVER_ALL_WIRES(suite)                                \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(kAllWires), \
                           [](const testing::TestParamInfo<Wires>& info) { return name_of(info.param); })

// The same for what has another parameter too, which is param(). Values are named by `name_of`.
template <typename Param>
class OverWiresWith : public SimTest, public testing::WithParamInterface<std::tuple<Wires, Param>> {
 protected:
  explicit OverWiresWith(SimProxy::Options options = {}, std::uint64_t seed = 1) : SimTest(options, seed) {
    speak(std::get<0>(this->GetParam()));
  }
  const Param& param() const { return std::get<1>(this->GetParam()); }
};
#define WEIR_OVER_WIRES_TO_HTTP1(suite)                               \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(kWiresToHttp1), \
                           [](const testing::TestParamInfo<Wires>& info) { return name_of(info.param); })

#define WEIR_OVER_ALL_WIRES_WITH(suite, ...)                                \
  INSTANTIATE_TEST_SUITE_P(                                                 \
      , suite, testing::Combine(testing::ValuesIn(kAllWires), __VA_ARGS__), \
      [](const auto& info) { return name_of(std::get<0>(info.param)) + "_" + name_of(std::get<1>(info.param)); })

// The last answer is this local reply, word for word as it is promised.
inline void expect_local_reply(const SimClient& client, int status, std::string_view reason) {
  ASSERT_FALSE(client.answers().empty()) << "no answer; error: " << client.reader().error()
                                         << ", received: " << client.received();
  const Message& answer = client.answers().back();
  EXPECT_EQ(answer.status, status);
  EXPECT_EQ(answer.body, std::to_string(status) + " " + std::string(reason) + "\n");
  EXPECT_EQ(answer.field("content-type"), "text/plain");
  EXPECT_FALSE(answer.field("date").empty());
  EXPECT_FALSE(answer.field("x-request-id").empty());
  EXPECT_FALSE(client.reader().broken()) << client.reader().error();
}

}  // namespace weir::sim
