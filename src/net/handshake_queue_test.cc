#include "net/handshake_queue.h"

#include <gtest/gtest.h>

#include <vector>

#include "net/raw_peer_fixture.h"
#include "net/sim_engine.h"
#include "net/sim_world.h"

namespace weir {
namespace {

struct Client final : Handshaking {
  void step() override {
    ++steps;
    if (steps < wanted) queue->request_later(*this);
  }
  HandshakeQueue* queue = nullptr;
  int steps = 0;
  int wanted = 1;
};

class Handshakes : public testing::Test {
 protected:
  Handshakes() {
    world_.add_loop(loop_);
    for (Client& client : clients_) client.queue = &queue_;
  }
  int steps() const {
    int all = 0;
    for (const Client& client : clients_) all += client.steps;
    return all;
  }

  static constexpr int kPerTurn = static_cast<int>(HandshakeQueue::kPerTurn);
  SimWorld world_{SimWorld::Options{.turn_cost = 1ms}};
  DescriptorBudget budget_{10, 0};
  SimEngine engine_{world_, budget_, "one", *IpAddress::parse("10.0.0.1")};
  EventLoop loop_{engine_, 1};
  HandshakeQueue queue_{loop_};
  std::vector<Client> clients_ = std::vector<Client>(5 * HandshakeQueue::kPerTurn);
};

TEST_F(Handshakes, ATurnComputesSoManyAndNoMore) {
  for (Client& client : clients_) queue_.request(client);
  EXPECT_EQ(steps(), kPerTurn);
  for (int i = 0; i < kPerTurn; ++i) EXPECT_EQ(clients_[static_cast<std::size_t>(i)].steps, 1) << i;
  ASSERT_TRUE(world_.run_until([&] { return steps() == 5 * kPerTurn; }));
  for (const Client& client : clients_) EXPECT_EQ(client.steps, 1);
}

// However often the turn looks for what has come.
TEST_F(Handshakes, WhatCameMeanwhileIsNoTurnOfItsOwn) {
  struct Last final : Flushable {
    void flush() override {}
    Order order() const override { return Order::last; }
  } last;
  std::size_t asked = 0;
  RawListener listener(engine_, {*IpAddress::parse("10.0.0.1"), 80, {}},
                       [&](RawPeer& accepted) { accepted.on_data([](RawPeer& self) { self.send("!"); }); });
  const auto peer = RawPeer::connect(engine_, listener.address());
  peer->on_data([&](RawPeer& self) {
    for (int i = 0; i < kPerTurn && asked < clients_.size(); ++i) queue_.request(clients_[asked++]);
    loop_.mark_dirty(last);
    self.send("?");
  });
  peer->send("?");
  while (asked == 0) loop_.run_turn(false);
  EXPECT_GT(asked, HandshakeQueue::kPerTurn);
  EXPECT_EQ(steps(), kPerTurn);
}

TEST_F(Handshakes, WhoAsksAgainWaitsBehindTheOthers) {
  clients_.front().wanted = 3;
  for (Client& client : clients_) queue_.request(client);
  ASSERT_TRUE(world_.run_until([&] { return clients_.front().steps == 2; }));
  EXPECT_LE(steps(), 2 * kPerTurn + 1);
  ASSERT_TRUE(world_.run_until([&] { return clients_.front().steps == 3; }));
  EXPECT_EQ(steps(), 5 * kPerTurn + 2);
}

TEST_F(Handshakes, WhoLeavesIsForgotten) {
  for (Client& client : clients_) queue_.request(client);
  clients_.pop_back();
  ASSERT_TRUE(world_.run_until([&] { return steps() == 5 * kPerTurn - 1; }));
}

}  // namespace
}  // namespace weir
