// Shares of backends, several workers, limits that hold over all of them, draining and reloads.

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

}  // namespace
}  // namespace weir::sim

namespace weir::balancing {
static std::string name_of(Policy policy) {
  return policy == Policy::random ? "random" : "round_robin";
}
}  // namespace weir::balancing

namespace weir::sim {
namespace {

class Shares : public OverWiresWith<balancing::Policy> {
 protected:
  Shares() : OverWiresWith({.workers = 4}) {}
};

TEST_P(Shares, FollowTheWeights) {
  cluster().policy = param();
  proxy_.setup.clusters[0].members[0].weight = 2;
  add_backend("two");
  add_backend("three");
  add_backend("none", 0);
  start();
  for (int i = 0; i < 40; ++i) connect();
  run(10ms);
  const auto load = [&](int each) {
    for (int i = 0; i < each; ++i) {
      for (const auto& client : clients_) client->get("/");
      run(5ms);
    }
  };
  load(100);
  std::vector<double> seen;
  for (const auto& one : backends_) seen.push_back(static_cast<double>(one->requests().size()) / 4000);
  const bool exact = param() == balancing::Policy::round_robin;
  EXPECT_NEAR(seen[0], 0.5, exact ? 0.02 : 0.05);
  EXPECT_NEAR(seen[1], 0.25, exact ? 0.02 : 0.05);
  EXPECT_NEAR(seen[2], 0.25, exact ? 0.02 : 0.05);
  EXPECT_EQ(backend(3).requests().size(), 0U);
  // One leaves and returns.
  Member& first = proxy_.setup.clusters[0].members[0];
  first.usable = false;
  proxy_.update_member("app", 0);
  run(5ms);
  const std::size_t before = backend(0).requests().size();
  load(10);
  EXPECT_EQ(backend(0).requests().size(), before);
  first.usable = true;
  proxy_.update_member("app", 0);
  run(5ms);
  std::vector<std::size_t> from;
  for (const auto& one : backends_) from.push_back(one->requests().size());
  load(100);
  EXPECT_NEAR(static_cast<double>(backend(0).requests().size() - from[0]) / 4000, 0.5, exact ? 0.02 : 0.05);
}
WEIR_OVER_ALL_WIRES_WITH(Shares, testing::Values(balancing::Policy::round_robin, balancing::Policy::random));

class LeastBusy : public OverWires {};
WEIR_OVER_ALL_WIRES(LeastBusy);

// What runs counts until it has ended, whatever happens between: another request, a change of the backends, a retry.
TEST_P(LeastBusy, GetsTheRequest) {
  cluster().policy = balancing::Policy::least_connections;
  add_backend("two");
  for (const auto& one : backends_) one->on("/slow", Script{wait_for(5s), send_bytes(response("late"))});
  start();
  connect().get("/slow");
  run(10ms);
  SimBackend& busy = backend(0).heads() == 1 ? backend(0) : backend(1);
  SimBackend& idle = backend(0).heads() == 1 ? backend(1) : backend(0);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/").answers().at(0).status, 200);
  EXPECT_EQ(busy.heads(), 1U);
  EXPECT_EQ(idle.heads(), 20U);
  run(6s);  // the slow one has ended: chance decides again
  for (int i = 0; i < 40; ++i) get("/");
  EXPECT_GT(busy.heads(), 5U);
  EXPECT_GT(idle.heads(), 25U);
  // A backend comes while requests run, and the positions of the others stay what they were to those.
  connect().get("/slow");
  connect().get("/slow");
  run(10ms);
  SimBackend& third = add_backend("three");
  third.on("/slow", Script{wait_for(5s), send_bytes(response("late"))});
  proxy_.update_members("app");
  run(10ms);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get("/").answers().at(0).status, 200);
  EXPECT_EQ(third.heads(), 5U);
  run(6s);
  const std::size_t before = third.heads();
  for (int i = 0; i < 60; ++i) get("/");
  EXPECT_GT(third.heads() - before, 8U);
  EXPECT_LT(third.heads() - before, 35U);
}

class Workers : public OverWires {
 protected:
  Workers() : OverWires({.workers = 16}) {}
  double busiest_over_mean() {
    std::size_t most = 0, all = 0;
    for (std::size_t i = 0; i < proxy_.worker_count(); ++i) {
      most = std::max(most, proxy_.worker(i).connections());
      all += proxy_.worker(i).connections();
    }
    return static_cast<double>(most) * static_cast<double>(proxy_.worker_count()) / static_cast<double>(all);
  }
};

WEIR_OVER_ALL_WIRES(Workers);
class WorkersOfHttp1 : public SimTest {
 protected:
  WorkersOfHttp1() : SimTest({.workers = 16}) {}
};

TEST_P(Workers, ConnectionsSpreadEvenly) {
  start();
  for (int i = 0; i < 64; ++i) connect().get("/");
  run(100ms);
  EXPECT_EQ(proxy_.connections(), 64U);
  EXPECT_LE(busiest_over_mean(), 1.1);
  EXPECT_GT(proxy_.hand_overs, 0U);
  // All of one worker's connections close, and as many new ones come.
  for (const auto& client : clients_) {
    if (client->is_open() && client->answer_count() == 1 && proxy_.worker(0).connections() > 0 &&
        SimProxy::log_value(proxy_.log()[static_cast<std::size_t>(&client - clients_.data())], "worker") == "0") {
      client->close();
    }
  }
  run(10ms);
  const std::size_t missing = 64 - proxy_.connections();
  for (std::size_t i = 0; i < missing; ++i) connect().get("/");
  run(100ms);
  EXPECT_EQ(proxy_.connections(), 64U);
  EXPECT_LE(busiest_over_mean(), 1.1);
  for (const auto& client : clients_) {
    if (client->is_open()) EXPECT_EQ(client->answer_count(), 1U);
  }
}

TEST_F(WorkersOfHttp1, ListenersMaxConnectionsHoldsOverAll) {
  listener().max_connections = 20;
  start();
  for (int i = 0; i < 30; ++i) connect().get("/");
  run(3s);
  std::size_t served = 0, refused = 0;
  for (const auto& client : clients_) {
    ASSERT_EQ(client->answer_count(), 1U);
    const Message& answer = client->answers()[0];
    (answer.status == 200 ? served : refused) += 1;
    if (answer.status == 200) continue;
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.body, "503 overloaded\n");
    EXPECT_TRUE(client->got_fin());
  }
  EXPECT_EQ(served, 20U);
  EXPECT_EQ(refused, 10U);
  EXPECT_EQ(proxy_.metric(Family::kConnectionsRefused, {"overloaded"}), 10);
  EXPECT_EQ(proxy_.metric(Family::kLocalReplies, {"overloaded"}), 10);
  clients_[0]->close();
  for (const auto& client : clients_) client->close();
  run(10ms);
  EXPECT_EQ(get("/").answers().at(0).status, 200);
}

TEST_P(Workers, BackendsMaxConnectionsHoldsOverAll) {
  proxy_.setup.clusters[0].members[0].backend->set_max_connections(4);
  backend().on("/", Script{wait_for(50ms), send_bytes(response("x"))});
  start();
  // One after the other, each on another worker: idle connections are reclaimed from whoever has one.
  for (int i = 0; i < 32; ++i) {
    SimClient& client = get("/");
    EXPECT_EQ(client.answers().at(0).status, 200) << i;
    EXPECT_LE(backend().open_connections(), 4U);
  }
  EXPECT_GT(proxy_.reclaims, 0U);
  // All at once: no more than four are served, the others are told.
  for (int i = 0; i < 20; ++i) connect().get("/");
  run(1s);
  std::size_t served = 0, refused = 0;
  for (std::size_t i = 32; i < clients_.size(); ++i) {
    ASSERT_EQ(clients_[i]->answer_count(), 1U);
    clients_[i]->answers()[0].status == 200 ? ++served : ++refused;
  }
  EXPECT_GE(served, 4U);
  EXPECT_EQ(served + refused, 20U);
}

class Draining : public OverWires {
 protected:
  Draining() : OverWires({.workers = 2}) {}
};
WEIR_OVER_ALL_WIRES(Draining);
class DrainingOfHttp1 : public SimTest {
 protected:
  DrainingOfHttp1() : SimTest({.workers = 2}) {}
};

// Bug 6: who had connected but not yet spoken when the drain began was turned away.
TEST_F(DrainingOfHttp1, FinishesWhatRuns) {
  backend().on("/slow", Script{wait_for(2s), send_bytes(response("slow"))});
  start();
  SimClient& idle = get("/");
  SimClient& silent = connect();
  SimClient& running = connect();
  running.get("/slow");
  SimClient& half_head = connect();
  half_head.raw("GET / HTTP/1.1\r\nHost: a\r\n");
  run(100ms);
  SimClient& late = connect();  // in an accept queue
  late.get("/");
  SimClient& sending = connect();
  sending.get("/");
  run(100us);
  proxy_.drain(10s);
  run(500ms);
  EXPECT_TRUE(idle.got_fin());
  ASSERT_EQ(late.answer_count(), 1U);
  EXPECT_EQ(late.answers()[0].field("connection"), "close");
  EXPECT_TRUE(late.got_fin());
  EXPECT_EQ(sending.answer_count(), 1U);
  SimClient& refused = connect();
  half_head.send("\r\n");
  run(500ms);
  EXPECT_TRUE(refused.got_reset());
  EXPECT_EQ(half_head.answer_count(), 1U);
  EXPECT_FALSE(proxy_.done());
  run(2s);
  EXPECT_TRUE(silent.got_fin());
  ASSERT_EQ(running.answer_count(), 1U);
  EXPECT_EQ(running.answers()[0].field("connection"), "close");
  for (auto& client : clients_) client->close();
  run(3s);
  EXPECT_TRUE(proxy_.done());
}

// What was sent before the client knew is still served.
TEST_P(Draining, AnIdleConnectionIsReadOnceMore) {
  start();
  SimClient& client = get("/");
  client.get("/again");
  run(55us);  // it has arrived, or is about to
  proxy_.drain(10s);
  run(1s);
  ASSERT_EQ(client.answer_count(), 2U);
  expect_last(client);
}

TEST_P(Draining, TheDeadlineCutsWhatIsLeft) {
  backend().on("/", Script{send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), wait_for(kForever)});
  start();
  SimClient& client = get("/");
  proxy_.drain(3s);
  run(2s);
  EXPECT_FALSE(client.ended());
  run(2s);
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(proxy_.done());
}

TEST_P(Draining, ARemovedListenerDrainsAndOthersGoOn) {
  add_listener("second", "10.0.0.1:81");
  backend().on("/slow", Script{wait_for(2s), send_bytes(response("slow"))});
  start();
  const SocketAddress second = *SocketAddress::parse("10.0.0.1:81");
  SimClient& idle = connect_to(second);
  SimClient& running = connect_to(second);
  SimClient& stuck = connect_to(second);
  idle.get("/");
  running.get("/slow");
  stuck.raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "POST");
  SimClient& other = get("/");
  proxy_.setup.listeners.pop_back();
  proxy_.reload(5s);
  run(1100ms);
  EXPECT_TRUE(idle.got_fin());
  run(2s);
  ASSERT_EQ(running.answer_count(), 1U);
  expect_last(running);
  run(3s);
  EXPECT_TRUE(stuck.ended());
  other.get("/");
  run(10ms);
  EXPECT_EQ(other.answer_count(), 2U);
  EXPECT_EQ(proxy_.metric(Family::kActiveConnections), 1);
  SimClient refused(outside_, second);
  run(10ms);
  EXPECT_TRUE(refused.got_reset());
  // Requests at the removed listener, also those that ended after it was removed: its series don't come again.
  EXPECT_EQ(proxy_.metric(Family::kRequests, {"second"}), 0);
  EXPECT_EQ(proxy_.metric(Family::kLocalReplies, {"second"}), 0);
  lost_series_ = std::ranges::count_if(
      proxy_.log(), [](const std::string& line) { return SimProxy::log_value(line, "listener") == "second"; });
  EXPECT_GE(lost_series_, 2);
}

class Reloads : public OverWires {};
WEIR_OVER_ALL_WIRES(Reloads);

TEST_P(Reloads, KeepPoolsAndPositions) {
  add_backend("two");
  add_backend("three");
  start();
  SimClient& client = connect();
  for (int i = 0; i < 30; ++i) {
    client.get("/" + std::to_string(i));
    run(5ms);
    proxy_.reload();
    run(5ms);
  }
  EXPECT_EQ(client.answer_count(), 30U);
  for (const auto& one : backends_) {
    EXPECT_EQ(one->requests().size(), 10U);
    EXPECT_EQ(one->connections().size(), 1U);
  }
  EXPECT_EQ(proxy_.metric(Family::kRequests), 30);
}

TEST_P(Reloads, RunningRequestsSeeNothingOfThem) {
  backend().on("/", Script{wait_for(100ms), send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
                           wait_for(200ms), send_bytes("world")});
  start();
  SimClient& client = connect();
  client.get("/");
  run(50ms);
  // Routes, cluster and listener settings all change; then the cluster goes altogether.
  auto settings = std::make_shared<proxy::ListenerSettings>(listener());
  settings->idle_timeout = 7s;
  proxy_.setup.listeners[0] = settings;
  proxy_.setup.routes.clear();
  proxy_.setup.add_route("new", "other");
  ProxySetup::Cluster& other = proxy_.setup.add_cluster("other");
  other.members = proxy_.setup.clusters[0].members;
  other.settings.tls = cluster().tls;
  ProxySetup::Cluster old = std::move(proxy_.setup.clusters.front());
  proxy_.setup.clusters.pop_front();
  proxy_.reload();
  lost_series_ = 1;  // of the request that was under way
  run(150ms);
  client.get("/two");
  run(1s);
  ASSERT_EQ(client.answer_count(), 2U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].body, "helloworld");
  EXPECT_EQ(last_log("cluster"), "other");
  EXPECT_EQ(SimProxy::log_value(proxy_.log()[0], "cluster"), "app");
}

TEST_P(Reloads, ABackendThatLeavesFinishesWhatItHas) {
  SimBackend& two = add_backend("two");
  for (auto& one : backends_) one->on("/", Script{wait_for(100ms), send_bytes(response("x"))});
  start();
  for (int i = 0; i < 4; ++i) connect().get("/");
  run(50ms);
  auto& members = proxy_.setup.clusters[0].members;
  const Member gone = members[1];
  members.pop_back();
  EXPECT_GT(proxy_.metric(Family::kBackendConnectionsActive, {"two"}), 0);
  proxy_.update_members("app");
  run(1s);
  // What ended there afterwards doesn't make its series again.
  for (const Family family : {Family::kBackendRequests, Family::kPoolConnections, Family::kBackendConnectionsActive}) {
    EXPECT_EQ(proxy_.series(family, {"two"}), 0U) << observe::describe(family).name;
  }
  EXPECT_EQ(proxy_.metric(Family::kBackendRequests, {"one"}), 2);
  for (const auto& client : clients_) EXPECT_EQ(client->answers().at(0).status, 200);
  EXPECT_EQ(two.open_connections(), 0U);
  EXPECT_EQ(gone.backend->connections(), 0U);
  EXPECT_EQ(two.requests().size(), 2U);
  for (const auto& client : clients_) client->get("/");
  run(1s);
  EXPECT_EQ(two.requests().size(), 2U);
}

// The series of a route that a reload removed are gone, whatever still runs on it; those of a route that only changed
// stay, and requests of before the change count there too.
TEST_P(Reloads, RequestsOfARemovedRouteDontBringItsSeriesBack) {
  backend().on("/", Script{wait_for(1s), send_bytes(response("late"))});
  proxy_.setup.routes.clear();
  proxy_.setup.add_route("going", "app", "/going");
  proxy_.setup.add_route("all", "app");
  start();
  SimClient& going = connect();
  going.get("/going");
  SimClient& staying = connect();
  staying.get("/");
  run(100ms);
  proxy_.setup.routes.clear();
  proxy_.setup.add_route("all", "app");  // another object of the same name
  proxy_.reload();
  run(2s);
  EXPECT_EQ(going.answers().at(0).status, 200);
  EXPECT_EQ(staying.answers().at(0).status, 200);
  EXPECT_EQ(proxy_.series(Family::kRequests, {"going"}), 0U);
  EXPECT_EQ(proxy_.series(Family::kRequestDuration, {"going"}), 0U);
  EXPECT_EQ(proxy_.metric(Family::kRequests, {"all"}), 1);
  lost_series_ = 1;
}

TEST_P(Reloads, TwoBackendsLeaveWhileRetriesWait) {
  SimBackend& two = add_backend("two");
  SimBackend& three = add_backend("three");
  cluster().retry.attempts = 5;
  cluster().retry.backoff_base = 200ms;
  for (SimBackend* one : {&backend(), &two}) one->on("/", Script{then(Action::Kind::reset)});
  start();
  for (int i = 0; i < 30; ++i) connect().get("/");
  run(1ms);
  auto& members = proxy_.setup.clusters[0].members;
  members.erase(members.begin(), members.begin() + 2);
  proxy_.update_members("app");
  run(5s);
  for (const auto& client : clients_) {
    ASSERT_EQ(client->answer_count(), 1U);
    EXPECT_EQ(client->answers()[0].status, 200);
  }
  EXPECT_EQ(three.requests().size(), 30U);
}

TEST_P(Reloads, UnixSocketsOnBothSides) {
  const SocketAddress path = *SocketAddress::parse("unix:/run/weir.sock");
  const SocketAddress app = *SocketAddress::parse("unix:/run/app.sock");
  backends_.push_back(std::make_unique<SimBackend>(outside_, "local", app));
  SimBackend& local = *backends_.back();
  add_listener("local", "unix:/run/weir.sock");
  proxy_.setup.clusters[0].members = {{make_backend("local", app), 1, true}};
  start();
  SimClient& client = connect_to(path);
  client.request("POST", "/", "", pattern(4, 200'000));
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 200);
  EXPECT_EQ(local.requests().at(0).body, pattern(4, 200'000));
  EXPECT_EQ(last_log("client"), "");
  proxy_.stop();
  run(10ms);
}

}  // namespace
}  // namespace weir::sim
