#include "net/splice_relay.h"

#include <gtest/gtest.h>

#include <string>

#include "net/sim_engine.h"
#include "net/sim_world.h"
#include "net/transport_fixture.h"

namespace weir {
namespace {

using Outcome = SpliceRelay::Outcome;

// Two connections of one engine: what is written to `sender` comes out of `source`, what goes into `sink` at
// `receiver`.
class SpliceRelayTest : public testing::Test, public Flushable {
 protected:
  SpliceRelayTest() {
    world.set_faults(&plan);
    plan.link.send_buffer_bytes = 4 * 1024 * 1024;
    std::tie(sender, source) = connect(81);
    plan.link.send_buffer_bytes = sink_buffer;
    std::tie(sink, receiver) = connect(82);
    plan.link.send_buffer_bytes = 4 * 1024 * 1024;
  }
  ~SpliceRelayTest() override { relay.stop(); }

  struct Plan final : FaultPlan {
    LinkPlan draw(const IpAddress&, const SocketAddress&, TimePoint, Rng&) override { return link; }
    LinkPlan link;
  };

  std::pair<SocketId, SocketId> connect(int port) {
    const SocketAddress address = *SocketAddress::parse("10.0.0.1:" + std::to_string(port));
    const SocketId listener = *engine.listen(address, {});
    const SocketId client = *engine.connect(address);
    settle();
    const Accepted accepted = engine.accept(listener);
    EXPECT_EQ(accepted.status, Accepted::Status::ok);
    EXPECT_EQ(engine.connect_error(client), 0);
    return {client, accepted.socket};
  }
  void settle() {
    ASSERT_TRUE(world.run_until(world.now() + 10ms));
    engine.poll(TimePoint::min());
  }
  void send(std::string_view bytes) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    ASSERT_EQ(engine.write(sender, {&piece, 1}, false).bytes, bytes.size());
    settle();
  }
  std::string receive() {
    settle();
    std::string all;
    char room[65536];
    for (;;) {
      const IoResult result = engine.read(receiver, room);
      if (result.status != IoStatus::ok) return all;
      all.append(room, result.bytes);
      settle();
    }
  }
  bool start(std::uint64_t size) { return relay.start(source, sink, *this, size); }
  void flush() override {}

  static constexpr std::size_t sink_buffer = 4 * 1024 * 1024;
  Plan plan;
  SimWorld world{SimWorld::Options{}};
  DescriptorBudget budget{100, 0};
  SimEngine engine{world, budget, "relay", *IpAddress::parse("10.0.0.1")};
  EventLoop loop{engine, 1};
  PipePool pipes{engine, 1};
  SpliceRelay relay{loop, pipes};
  SocketId sender = kNoSocket, source = kNoSocket, sink = kNoSocket, receiver = kNoSocket;
};

TEST_F(SpliceRelayTest, MovesSoMuchAndNoMore) {
  ASSERT_TRUE(start(1000));
  EXPECT_EQ(relay.pump().outcome, Outcome::waiting);
  send(std::string(600, 'a'));
  SpliceRelay::Pumped pumped = relay.pump();
  EXPECT_EQ(pumped.outcome, Outcome::waiting);
  EXPECT_EQ(pumped.bytes, 600U);
  send(std::string(600, 'b'));
  pumped = relay.pump();
  EXPECT_EQ(pumped.outcome, Outcome::done);
  EXPECT_EQ(pumped.bytes, 400U);
  EXPECT_EQ(relay.taken(), 1000U);
  EXPECT_EQ(receive(), std::string(600, 'a') + std::string(400, 'b'));
  char rest[1000];
  EXPECT_EQ(engine.read(source, rest).bytes, 200U);  // is the next message's
}

TEST_F(SpliceRelayTest, TellsThatTheSourceEnded) {
  ASSERT_TRUE(start(1000));
  send("abc");
  engine.shutdown_write(sender);
  settle();
  const SpliceRelay::Pumped pumped = relay.pump();
  EXPECT_EQ(pumped.outcome, Outcome::source_ended);
  EXPECT_EQ(pumped.bytes, 3U);
  EXPECT_EQ(relay.taken(), 3U);
  EXPECT_EQ(receive(), "abc");
}

TEST_F(SpliceRelayTest, ItsShareOfATurnIsBounded) {
  const std::string body(3'000'000, 'x');
  ASSERT_TRUE(start(body.size()));
  send(body);
  SpliceRelay::Pumped pumped = relay.pump();
  EXPECT_EQ(pumped.outcome, Outcome::unfinished);
  EXPECT_LT(pumped.bytes, 1'500'000U);
  std::size_t moved = pumped.bytes;
  while (pumped.outcome == Outcome::unfinished) moved += (pumped = relay.pump()).bytes;
  EXPECT_EQ(pumped.outcome, Outcome::done);
  EXPECT_EQ(moved, body.size());
  EXPECT_TRUE(receive() == body);
}

TEST_F(SpliceRelayTest, KnowsThatItIsTheSinkThatItWaitsFor) {
  const std::string body(3'900'000, 'x');
  send(body);
  ASSERT_TRUE(start(3'900'000));
  while (relay.pump().outcome == Outcome::unfinished) {
  }
  relay.stop();
  ASSERT_TRUE(start(2'000'000));
  send(std::string(2'000'000, 'y'));
  SpliceRelay::Pumped pumped = relay.pump();
  while (pumped.outcome == Outcome::unfinished) pumped = relay.pump();
  EXPECT_EQ(pumped.outcome, Outcome::waiting);
  EXPECT_TRUE(relay.held_back());
  EXPECT_GT(receive().size(), body.size());
  while ((pumped = relay.pump()).outcome == Outcome::unfinished) {
  }
  EXPECT_EQ(pumped.outcome, Outcome::done);
  EXPECT_FALSE(relay.held_back());
}

TEST_F(SpliceRelayTest, ADeadSinkIsToldApart) {
  ASSERT_TRUE(start(1000));
  engine.reset(receiver);
  settle();
  send("abc");
  EXPECT_EQ(relay.pump().outcome, Outcome::sink_failed);
}

// A pipe with something in it must not go to the next body.
TEST_F(SpliceRelayTest, PipesAreBoundedAndComeBackEmpty) {
  ASSERT_TRUE(start(1000));
  SpliceRelay other{loop, pipes};
  EXPECT_FALSE(other.start(source, sink, *this, 1000));
  const auto open = budget.open();
  engine.reset(receiver);
  settle();
  send("left in the pipe");
  EXPECT_EQ(relay.pump().outcome, Outcome::sink_failed);
  relay.stop();
  relay.stop();
  EXPECT_EQ(budget.open(), open - 3);  // the receiver and both ends of the pipe
  EXPECT_TRUE(other.start(source, sink, *this, 1000));
  other.stop();
}

}  // namespace
}  // namespace weir
