#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend_server.h"
#include "net/raw_peer_fixture.h"
#include "net/sim_engine.h"
#include "net/sim_world.h"

namespace weir::backend {

struct Fate final : FaultPlan {
  LinkPlan draw(const IpAddress&, const SocketAddress&, TimePoint, Rng&) override { return plan; }
  LinkPlan plan;
};

// The test server in a simulated world, and clients that say byte for byte what they send.
class BackendServerTest : public testing::Test {
 protected:
  BackendServerTest() {
    world.set_faults(&fate);
    world.add_loop(loop);
    world.add_loop(clients);
    options.listen = *SocketAddress::parse("10.0.0.2:8001");
  }
  ~BackendServerTest() override {
    peers.clear();
    server.reset();
    world.remove_loop(loop);
    world.remove_loop(clients);
    EXPECT_EQ(loop.buffers().outstanding(), 0u);
    EXPECT_EQ(budget.open(), 0u);
  }
  RawPeer& connect() {
    if (!server) {
      server.emplace(loop, options);
      EXPECT_TRUE(server->start());
    }
    peers.push_back(RawPeer::connect(client_engine, options.listen));
    return *peers.back();
  }
  void run(Duration duration) { ASSERT_TRUE(world.run_until(world.now() + duration)); }
  std::string exchange(std::string_view bytes) {
    RawPeer& peer = connect();
    peer.send(bytes);
    run(1s);
    const std::string answer = peer.received();
    peer.close();
    return answer;
  }

  SimWorld world{SimWorld::Options{}};
  Fate fate;
  DescriptorBudget budget{1000, 10};
  DescriptorBudget client_budget{1000, 10};
  SimEngine engine{world, budget, "backend", *IpAddress::parse("10.0.0.2")};
  SimEngine client_engine{world, client_budget, "clients", *IpAddress::parse("10.0.0.1")};
  EventLoop loop{engine, 1};
  EventLoop clients{client_engine, 2};
  Options options;
  std::optional<BackendServer> server;
  std::vector<std::unique_ptr<RawPeer>> peers;
};

}  // namespace weir::backend
