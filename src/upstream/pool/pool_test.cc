// One pool with its connections over the simulated network: where each state leads, and that the counts stay true.

#include "upstream/pool/pool.h"

#include <gtest/gtest.h>

#include <deque>
#include <string>

#include "net/sim_engine.h"
#include "net/sim_world.h"

namespace weir {
namespace {

const SocketAddress kBackend = *SocketAddress::parse("10.1.0.1:80");

// A try that notes what it is told.
class Try final : public UpstreamHandler {
 public:
  explicit Try(BufferPool& buffers) : arena(buffers), head(arena) {
    head.method_text = "GET";
    head.path = "/";
    head.fields.add("host", "a", http::FieldId::host);
  }
  bool wants_tunnel() const override { return head.upgrade_websocket; }
  void on_lease(UpstreamStream& stream) override { lent = &stream; }
  void on_lease_failed(const UpstreamError& failure) override { lease_error = failure; }
  void on_informational(http::ResponseHead&) override { ++interim; }
  void on_response_head(http::ResponseHead& answer) override { status = answer.status; }
  void on_response_body(std::string_view data) override { body += data; }
  SpliceRelay* splice_response(std::uint64_t) override { return nullptr; }
  void on_response_end(http::FieldList*) override { ended = true; }
  void on_upstream_failed(const UpstreamError& failure) override { error = failure; }
  void on_request_writable() override {}
  void on_request_pumped(SpliceRelay::Pumped) override {}

  void send() {
    lent->send_head(head);
    lent->send_end(nullptr);
  }

  Arena arena;
  http::RequestHead head;
  UpstreamStream* lent = nullptr;
  UpstreamError lease_error, error;
  std::string body;
  int status = 0;
  int interim = 0;
  bool ended = false;
};

class PoolTest : public testing::Test, private UpstreamEvents {
 protected:
  PoolTest() {
    world.add_loop(loop);
    world.set_faults(&plan);
    context.loop = &loop;
    context.scratch = &scratch;
    context.metrics = &metrics;
    context.events = this;
    settings->name = "app";
    listener = *outside.listen(kBackend, {});
  }
  ~PoolTest() override {
    pool.reset();
    loop.destroy_retired();
    EXPECT_EQ(backend->connections(), 0U);
    EXPECT_EQ(context.leases_out, 0U);
    EXPECT_EQ(context.connecting.live(), 0U);
    EXPECT_EQ(context.connections.live(), 0U);
    EXPECT_EQ(context.http2_connections.live(), 0U);
    EXPECT_EQ(context.http2_streams.live(), 0U);
    world.remove_loop(loop);
  }

  struct Plan final : FaultPlan {
    LinkPlan draw(const IpAddress&, const SocketAddress&, TimePoint, Rng&) override { return link; }
    LinkPlan link;
  };

  void connect_failed(const std::string&, const std::shared_ptr<Backend>&, bool was_refused) override {
    ++failures;
    refused = was_refused;
  }
  void reclaim_idle(const std::string&, const std::shared_ptr<Backend>&) override { ++reclaims; }
  void protocol_wanted(const std::string&, const std::shared_ptr<Backend>&) override { ++wanted; }

  void run(Duration time = 10ms) { ASSERT_TRUE(world.run_until(world.now() + time)); }
  Pool& make(std::uint32_t max_connections = Backend::kNoLimit) {
    backend = std::make_shared<Backend>("one", "http://10.1.0.1:80", kBackend, max_connections);
    pool = std::make_unique<Pool>(context, settings, backend);
    return *pool;
  }
  Try& ask(bool fresh = false) {
    Try& made = tries.emplace_back(loop.buffers());
    acquired = pool->acquire(made, fresh);
    if (acquired.status == Pool::Acquired::Status::ready) made.lent = acquired.stream;
    return made;
  }
  SocketId accept() { return outside.accept(listener).socket; }
  void answer(SocketId socket, std::string_view bytes) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    ASSERT_EQ(outside.write(socket, {&piece, 1}, false).bytes, bytes.size());
    run();
  }
  void check(std::size_t total, std::size_t idle) {
    EXPECT_EQ(pool->connections(), total);
    EXPECT_EQ(pool->idle_connections(), idle);
    EXPECT_EQ(backend->connections(), total);
  }

  static constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
  using Status = Pool::Acquired::Status;

  Plan plan;
  SimWorld world{SimWorld::Options{}};
  DescriptorBudget budget{1000, 0};
  DescriptorBudget outside_budget{1000, 0};
  SimEngine outside{world, outside_budget, "outside", *IpAddress::parse("10.1.0.1")};
  SimEngine engine{world, budget, "worker", *IpAddress::parse("10.0.0.1")};
  EventLoop loop{engine, 1};
  ReadScratch scratch;
  observe::MetricStore metrics{"0"};
  PoolContext context;
  std::shared_ptr<ClusterSettings> settings = std::make_shared<ClusterSettings>();
  std::shared_ptr<Backend> backend;
  std::deque<Try> tries;
  std::unique_ptr<Pool> pool;
  Pool::Acquired acquired{};
  SocketId listener = kNoSocket;
  int failures = 0;
  int reclaims = 0;
  int wanted = 0;
  bool refused = false;
};

TEST_F(PoolTest, ConnectsLendsAndKeeps) {
  make();
  Try& one = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  check(1, 0);
  run();
  ASSERT_NE(one.lent, nullptr);
  EXPECT_FALSE(one.lent->reused());
  EXPECT_EQ(context.leases_out, 1U);
  one.send();
  run();
  answer(accept(), kAnswer);
  EXPECT_TRUE(one.ended);
  EXPECT_EQ(one.body, "ok");
  check(1, 1);
  Try& two = ask();
  EXPECT_EQ(acquired.status, Status::ready);
  EXPECT_TRUE(two.lent->reused());
  two.lent->cancel();
  check(0, 0);
}

TEST_F(PoolTest, ARefusalIsToldAndGivesThePlaceBack) {
  make();
  outside.close(listener);
  Try& one = ask();
  run();
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::connect_refused);
  EXPECT_TRUE(refused);
  check(0, 0);
}

TEST_F(PoolTest, ConnectingTakesItsTime) {
  settings->timeouts.connect = 1s;
  plan.link.blackhole = true;
  make();
  Try& one = ask();
  run(900ms);
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::none);
  run(200ms);
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::connect_timeout);
  EXPECT_FALSE(refused);
  EXPECT_EQ(failures, 1);
  check(0, 0);
}

TEST_F(PoolTest, OwnTroubleIsNotTheBackends) {
  plan.link.connect_errno = EADDRNOTAVAIL;
  make();
  ask();
  EXPECT_EQ(acquired.status, Status::refused);
  EXPECT_EQ(acquired.error.failure, UpstreamFailure::own_trouble);
  EXPECT_EQ(failures, 0);
  check(0, 0);
}

TEST_F(PoolTest, WhoGivesUpLeavesItsConnectionToTheOthers) {
  make();
  Try& one = ask();
  Try& two = ask();
  pool->give_up(one);
  run();
  EXPECT_EQ(one.lent, nullptr);
  ASSERT_NE(two.lent, nullptr);
  check(2, 1);
  two.lent->cancel();
  check(1, 1);
}

TEST_F(PoolTest, TheLimitHoldsAndAnIdleConnectionElsewhereIsAskedFor) {
  make(1);
  Try& one = ask();
  run();
  ask();
  EXPECT_EQ(acquired.status, Status::refused);
  EXPECT_EQ(acquired.error.failure, UpstreamFailure::overloaded);
  EXPECT_EQ(reclaims, 0);
  one.lent->cancel();
  ASSERT_TRUE(backend->take_connection_slot());  // another worker's
  Try& three = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  EXPECT_EQ(reclaims, 1);
  Try& four = ask();
  EXPECT_EQ(reclaims, 1);
  backend->give_connection_slot();
  pool->reclaimed(1);
  run();
  ASSERT_NE(three.lent, nullptr);
  // Who came last goes without: the connection is for the one before.
  EXPECT_EQ(four.lent, nullptr);
  EXPECT_EQ(four.lease_error.failure, UpstreamFailure::overloaded);
  three.lent->cancel();
}

TEST_F(PoolTest, NothingToReclaimFailsThoseThatWait) {
  make(1);
  ASSERT_TRUE(backend->take_connection_slot());
  Try& one = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  pool->reclaimed(0);
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::overloaded);
  backend->give_connection_slot();
}

// The other workers' answer does not reach a pool whose backend has left.
TEST_F(PoolTest, ARetiredPoolWaitsForNobody) {
  make(1);
  ASSERT_TRUE(backend->take_connection_slot());
  Try& one = ask();
  pool->retire();
  run();
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::overloaded);
  backend->give_connection_slot();
}

TEST_F(PoolTest, ARetiredPoolKeepsNothing) {
  make();
  Try& one = ask();
  run();
  one.send();
  pool->retire();
  run();
  answer(accept(), kAnswer);
  EXPECT_TRUE(one.ended);
  check(0, 0);
}

TEST_F(PoolTest, AFinClosesAnIdleConnection) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  const SocketId socket = accept();
  answer(socket, kAnswer);
  outside.close(socket);
  run();
  check(0, 0);
}

TEST_F(PoolTest, AnErrorSaysHowFarItCame) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  const SocketId socket = accept();
  answer(socket, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
  EXPECT_EQ(one.interim, 1);
  EXPECT_EQ(one.status, 200);
  outside.close(socket);
  run();
  EXPECT_EQ(one.error.failure, UpstreamFailure::reset);
  EXPECT_TRUE(one.error.written);
  EXPECT_TRUE(one.error.answered);
  EXPECT_FALSE(one.error.reused);
  check(0, 0);
}

TEST_F(PoolTest, WhatIsNoHttpIsToldApart) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  answer(accept(), "SSH-2.0-OpenSSH\r\n");
  EXPECT_EQ(one.error.failure, UpstreamFailure::protocol_error);
  check(0, 0);
}

TEST_F(PoolTest, AHeldBackResponseWaits) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  const SocketId socket = accept();
  answer(socket, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab");
  one.lent->pause_response();
  answer(socket, "cd");
  EXPECT_EQ(one.body, "ab");
  EXPECT_FALSE(one.ended);
  one.lent->resume_response();
  run();
  EXPECT_EQ(one.body, "abcd");
  EXPECT_TRUE(one.ended);
  check(1, 1);
}

TEST_F(PoolTest, TheLongestIdleOneMakesRoom) {
  make();
  Try& one = ask();
  Try& two = ask();
  run();
  pool->give_up(one);
  one.send();
  two.send();
  run();
  answer(accept(), kAnswer);
  answer(accept(), kAnswer);
  check(2, 2);
  EXPECT_TRUE(context.close_longest_idle());
  check(1, 1);
  EXPECT_TRUE(context.close_longest_idle());
  EXPECT_FALSE(context.close_longest_idle());
}

}  // namespace
}  // namespace weir
