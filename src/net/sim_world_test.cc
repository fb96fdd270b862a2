// What only the simulated network does: faults by name, several loops, and histories that replay.

#include "net/sim_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "net/sim_engine.h"
#include "net/transport_fixture.h"

namespace weir {
namespace {

const IpAddress kClientIp = *IpAddress::parse("10.0.0.1");
const SocketAddress kServer = *SocketAddress::parse("10.0.1.1:80");

struct OnePlan final : FaultPlan {
  LinkPlan draw(const IpAddress&, const SocketAddress&, TimePoint, Rng&) override { return plan; }
  LinkPlan plan;
};

// A client and a server engine; the server's end of one connection is accepted as soon as it comes.
class SimFaults : public testing::Test {
 protected:
  explicit SimFaults(SimWorld::Options options = {}) : world_(options) {}

  void start() {
    world_.set_faults(&plan_);
    listener_ = *server_.listen(kServer, {});
    ASSERT_TRUE(server_.watch(listener_, listener_watch_));
    Result<SocketId> socket = client_.connect(kServer);
    ASSERT_TRUE(socket);
    connected_ = *socket;
    ASSERT_TRUE(client_.watch(connected_, client_watch_));
  }
  void start_and_accept() {
    ASSERT_NO_FATAL_FAILURE(start());
    pass(1ms);
    const Accepted accepted = server_.accept(listener_);
    ASSERT_EQ(accepted.status, Accepted::Status::ok);
    accepted_ = accepted.socket;
    ASSERT_TRUE(server_.watch(accepted_, server_watch_));
    pass(1us);
    client_watch_.clear();
    server_watch_.clear();
  }

  void pass(Duration duration) {
    const TimePoint until = world_.now() + duration;
    while (world_.now() < until) {
      client_.poll(TimePoint::min());
      server_.poll(TimePoint::min());
      world_.move_on_to(std::min(until, std::max(world_.next_event(), world_.now())));
    }
    client_.poll(TimePoint::min());
    server_.poll(TimePoint::min());
  }

  static IoResult send(SimEngine& engine, SocketId socket, std::string text) {
    const iovec piece{text.data(), text.size()};
    return engine.write(socket, {&piece, 1}, false);
  }
  static std::string receive(SimEngine& engine, SocketId socket, IoResult* last = nullptr) {
    std::string all;
    char piece[4096];
    for (;;) {
      const IoResult result = engine.read(socket, piece);
      if (last != nullptr) *last = result;
      if (result.status != IoStatus::ok) return all;
      all.append(piece, result.bytes);
    }
  }
  std::uint64_t count(Fault fault) { return world_.fault_counts()[fault]; }

  OnePlan plan_;
  SimWorld world_;
  DescriptorBudget budget_{100, 0};
  SimEngine client_{world_, budget_, "client", kClientIp};
  SimEngine server_{world_, budget_, "server", kServer.ip};
  Watcher listener_watch_;
  Watcher client_watch_;
  Watcher server_watch_;
  SocketId listener_ = kNoSocket;
  SocketId connected_ = kNoSocket;
  SocketId accepted_ = kNoSocket;
};

TEST_F(SimFaults, EveryFaultHasAName) {
  for (std::size_t i = 0; i < kFaultCount; ++i) EXPECT_NE(to_string(static_cast<Fault>(i)), "unknown");
}

TEST_F(SimFaults, Refuse) {
  plan_.plan.refuse = true;
  start();
  pass(1ms);
  EXPECT_TRUE(client_watch_.failed());
  EXPECT_EQ(client_.connect_error(connected_), ECONNREFUSED);
  EXPECT_FALSE(listener_watch_.can_read());
  EXPECT_EQ(count(Fault::refuse), 1u);
}

TEST_F(SimFaults, Blackhole) {
  plan_.plan.blackhole = true;
  start();
  pass(100s);
  EXPECT_EQ(client_.connect_error(connected_), EINPROGRESS);
  EXPECT_EQ(client_watch_.events, 0);
  pass(100s);
  EXPECT_EQ(client_.connect_error(connected_), ETIMEDOUT);
  EXPECT_EQ(count(Fault::blackhole), 1u);
}

TEST_F(SimFaults, OutOfPortsAndBuffersAreKnownAtOnce) {
  world_.set_faults(&plan_);
  plan_.plan.connect_errno = EADDRNOTAVAIL;
  EXPECT_EQ(client_.connect(kServer).error().code, EADDRNOTAVAIL);
  plan_.plan.connect_errno = ENOBUFS;
  EXPECT_EQ(client_.connect(kServer).error().code, ENOBUFS);
  EXPECT_EQ(count(Fault::out_of_ports), 1u);
  EXPECT_EQ(count(Fault::out_of_buffers), 1u);
  EXPECT_EQ(budget_.open(), 0u);
}

TEST_F(SimFaults, OutOfDescriptors) {
  start();
  pass(1ms);
  budget_.set_limit(budget_.open());
  EXPECT_EQ(server_.accept(listener_).status, Accepted::Status::out_of_descriptors);
  EXPECT_EQ(client_.connect(kServer).error().code, EMFILE);
  EXPECT_FALSE(server_.open_pipe());
  EXPECT_EQ(count(Fault::out_of_descriptors), 3u);
  budget_.set_limit(100);
  EXPECT_EQ(server_.accept(listener_).status, Accepted::Status::ok);
}

TEST_F(SimFaults, ResetAfterBytesReachesBothEnds) {
  plan_.plan.to_listener.reset_after_bytes = 3;
  start_and_accept();
  ASSERT_EQ(send(client_, connected_, "hello").bytes, 5u);
  pass(1ms);
  EXPECT_EQ(send(server_, accepted_, "x").error, ECONNRESET);
  EXPECT_EQ(send(client_, connected_, "x").error, ECONNRESET);
  EXPECT_EQ(count(Fault::reset), 1u);
}

TEST_F(SimFaults, EarlyCloseCutsWhatTheReceiverGets) {
  plan_.plan.to_connector.close_after_bytes = 4;
  start_and_accept();
  ASSERT_EQ(send(server_, accepted_, "response").bytes, 8u);
  pass(1ms);
  IoResult last{};
  EXPECT_EQ(receive(client_, connected_, &last), "resp");
  EXPECT_EQ(last.status, IoStatus::end);
  EXPECT_EQ(send(server_, accepted_, "x").error, ECONNRESET);
  EXPECT_EQ(count(Fault::early_close), 1u);
}

TEST_F(SimFaults, StallForAWhile) {
  plan_.plan.to_listener.stall_after_bytes = 2;
  plan_.plan.to_listener.stall_duration = 5s;
  start_and_accept();
  ASSERT_EQ(send(client_, connected_, "hello").bytes, 5u);
  pass(4s);
  EXPECT_EQ(receive(server_, accepted_), "he");
  pass(2s);
  EXPECT_EQ(receive(server_, accepted_), "llo");
  EXPECT_EQ(count(Fault::stall), 1u);
}

TEST_F(SimFaults, StallForGoodFillsTheSender) {
  plan_.plan.to_listener.stall_after_bytes = 0;
  plan_.plan.send_buffer_bytes = 1000;
  start_and_accept();
  EXPECT_EQ(send(client_, connected_, std::string(2000, 'x')).bytes, 1000u);
  EXPECT_EQ(send(client_, connected_, "x").status, IoStatus::would_block);
  pass(1h);
  EXPECT_EQ(server_watch_.events, 0);
  EXPECT_FALSE(client_watch_.can_write());
}

TEST_F(SimFaults, SlowDrip) {
  plan_.plan.to_listener.drip_bytes = 1;
  plan_.plan.to_listener.drip_interval = 1s;
  start_and_accept();
  ASSERT_EQ(send(client_, connected_, "hello").bytes, 5u);
  pass(2500ms);
  EXPECT_EQ(receive(server_, accepted_), "hel");
  pass(2s);
  EXPECT_EQ(receive(server_, accepted_), "lo");
  EXPECT_EQ(count(Fault::slow_drip), 5u);
}

TEST_F(SimFaults, ShortWritesAndReadsKeepTheirPromiseOfAnEdge) {
  plan_.plan.to_listener.short_writes = true;
  plan_.plan.to_listener.short_reads = true;
  start_and_accept();
  const std::string body(1000, 'b');
  std::size_t sent = 0;
  std::string got;
  for (int i = 0; i < 200 && got.size() < body.size(); ++i) {
    const bool first = sent == 0;
    if (sent < body.size() && (first || client_watch_.can_write())) {
      client_watch_.clear();
      const std::string piece = body.substr(sent, 50);
      const std::size_t bytes = send(client_, connected_, piece).bytes;
      sent += bytes;
      if (bytes == piece.size()) client_watch_.seen.bits = Readiness::writable;  // not short: no edge is owed
    }
    if (server_watch_.can_read()) {
      server_watch_.clear();
      char piece[300];
      const IoResult result = server_.read(accepted_, piece);
      if (result.status == IoStatus::ok) got.append(piece, result.bytes);
      if (result.bytes == sizeof piece) server_watch_.seen.bits = Readiness::readable;
    }
    pass(1ms);
  }
  EXPECT_EQ(got, body);
  EXPECT_GT(count(Fault::short_write), 0u);
  EXPECT_GT(count(Fault::short_read), 0u);
}

TEST_F(SimFaults, ExtraDelay) {
  plan_.plan.to_listener.extra_delay = 10ms;
  start_and_accept();
  ASSERT_EQ(send(client_, connected_, "x").bytes, 1u);
  pass(9ms);
  EXPECT_TRUE(server_.quiet(accepted_));
  pass(2ms);
  EXPECT_FALSE(server_.quiet(accepted_));
  EXPECT_EQ(count(Fault::delay), 1u);
}

TEST_F(SimFaults, AResetDestroysWhatWasNotRead) {
  start_and_accept();
  ASSERT_EQ(send(client_, connected_, "body").bytes, 4u);
  pass(1ms);
  ASSERT_EQ(send(server_, accepted_, "reply").bytes, 5u);
  server_.close(accepted_);  // with the body unread
  pass(1ms);
  IoResult last{};
  EXPECT_EQ(receive(client_, connected_, &last), "");
  EXPECT_EQ(last.error, ECONNRESET);
}

TEST_F(SimFaults, AFullBacklogDropsTheSynAndItComesAgain) {
  listener_ = *server_.listen(kServer, ListenOptions{.backlog = 1});
  const SocketId first = *client_.connect(kServer);
  const SocketId second = *client_.connect(kServer);
  pass(500ms);
  EXPECT_EQ(client_.connect_error(first), 0);
  EXPECT_EQ(client_.connect_error(second), EINPROGRESS);
  EXPECT_EQ(server_.accept(listener_).status, Accepted::Status::ok);
  pass(1s);
  EXPECT_EQ(client_.connect_error(second), 0);
}

TEST_F(SimFaults, ClosingAListenerResetsWhatWaits) {
  start();
  pass(1ms);
  server_.close(listener_);
  pass(1ms);
  EXPECT_TRUE(client_watch_.failed());
}

TEST_F(SimFaults, SharedListenersEachGetSome) {
  const SocketId a = *server_.listen(kServer, {});
  const SocketId b = *server_.listen(kServer, {});
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(client_.connect(kServer));
  pass(1ms);
  const auto accept_all = [&](SocketId listener) {
    int count = 0;
    while (server_.accept(listener).status == Accepted::Status::ok) ++count;
    return count;
  };
  const int at_a = accept_all(a);
  const int at_b = accept_all(b);
  EXPECT_EQ(at_a + at_b, 40);
  EXPECT_GT(at_a, 5);
  EXPECT_GT(at_b, 5);
}

class SimSpuriousEdges : public SimFaults {
 protected:
  SimSpuriousEdges() : SimFaults({.spurious_edge_chance = 0.5}) {}
};

TEST_F(SimSpuriousEdges, AreToldMoreThanOnce) {
  start_and_accept();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(send(client_, connected_, "x").bytes, 1u);
    pass(1ms);
  }
  EXPECT_GT(server_watch_.events, 20);
  EXPECT_GT(count(Fault::spurious_edge), 0u);
}

// A client that sends numbered pings over and over, and a server that echoes, each in a loop of its own.
class Echo final : public ReadinessHandler {
 public:
  Echo(EventLoop& loop, SocketId socket) : loop_(loop), socket_(socket) {
    EXPECT_TRUE(loop_.engine().watch(socket, *this));
  }
  ~Echo() { loop_.engine().close(socket_); }

  void on_ready(Readiness) override {
    char piece[64];
    for (;;) {
      const IoResult result = loop_.engine().read(socket_, piece);
      if (result.status != IoStatus::ok) return;
      echoed += result.bytes;
      const iovec back{piece, result.bytes};
      loop_.engine().write(socket_, {&back, 1}, false);
    }
  }

  std::size_t echoed = 0;

 private:
  EventLoop& loop_;
  SocketId socket_;
};

class EchoServer final : public ReadinessHandler {
 public:
  explicit EchoServer(EventLoop& loop) : loop_(loop), listener_(*loop.engine().listen(kServer, {})) {
    EXPECT_TRUE(loop_.engine().watch(listener_, *this));
  }
  ~EchoServer() { loop_.engine().close(listener_); }

  void on_ready(Readiness) override {
    for (;;) {
      const Accepted accepted = loop_.engine().accept(listener_);
      if (accepted.status != Accepted::Status::ok) return;
      echoes.push_back(std::make_unique<Echo>(loop_, accepted.socket));
    }
  }

  std::vector<std::unique_ptr<Echo>> echoes;

 private:
  EventLoop& loop_;
  SocketId listener_;
};

class Pinger final : public ReadinessHandler, public TimerHandler {
 public:
  explicit Pinger(EventLoop& loop) : loop_(loop), timer_(*this), socket_(*loop.engine().connect(kServer)) {
    EXPECT_TRUE(loop_.engine().watch(socket_, *this));
    loop_.timers().arm(timer_, loop_.now() + 1ms);
  }
  ~Pinger() { loop_.engine().close(socket_); }

  void on_ready(Readiness) override {
    char piece[64];
    IoResult result = loop_.engine().read(socket_, piece);
    for (; result.status == IoStatus::ok; result = loop_.engine().read(socket_, piece)) answered += result.bytes;
  }
  void on_timer(Timer& timer) override {
    std::string ping(1 + loop_.rng().below(20), 'p');
    const iovec out{ping.data(), ping.size()};
    sent += loop_.engine().write(socket_, {&out, 1}, false).bytes;
    if (sent < 500) loop_.timers().arm(timer, loop_.now() + Duration(loop_.rng().between(1'000'000, 30'000'000)));
  }

  std::size_t sent = 0;
  std::size_t answered = 0;

 private:
  EventLoop& loop_;
  Timer timer_;
  SocketId socket_;
};

std::string history(std::uint64_t seed) {
  SimWorld world({.seed = seed, .spurious_edge_chance = 0.1});
  OnePlan plan;
  plan.plan.to_listener.short_writes = true;
  plan.plan.to_connector.short_reads = true;
  world.set_faults(&plan);
  std::string trace;
  world.set_trace([&](std::string_view line) { trace.append(line).append("\n"); });
  DescriptorBudget budget(100, 0);
  SimEngine server_engines[] = {{world, budget, "server0", kServer.ip}, {world, budget, "server1", kServer.ip}};
  SimEngine client_engine(world, budget, "client", kClientIp);
  {
    EventLoop server0(server_engines[0], world.rng().next());
    EventLoop server1(server_engines[1], world.rng().next());
    EventLoop client(client_engine, world.rng().next());
    for (EventLoop* loop : {&server0, &server1, &client}) world.add_loop(*loop);
    EchoServer listeners[] = {EchoServer(server0), EchoServer(server1)};
    std::vector<std::unique_ptr<Pinger>> pingers;
    for (int i = 0; i < 4; ++i) pingers.push_back(std::make_unique<Pinger>(client));
    EXPECT_TRUE(world.run_until([&] {
      return std::all_of(pingers.begin(), pingers.end(),
                         [](auto& p) { return p->sent >= 500 && p->answered == p->sent; });
    }));
    bool mail_read = false;
    server0.post([&] { mail_read = true; });
    EXPECT_TRUE(world.run_until([&] { return mail_read; }));
    EXPECT_TRUE(world.run_until(world.now() + 1s));
    EXPECT_FALSE(world.run_until([] { return false; }));  // nothing goes on by itself
    for (EventLoop* loop : {&server0, &server1, &client}) world.remove_loop(*loop);
  }
  EXPECT_EQ(budget.open(), 0u);
  return trace;
}

TEST(SimWorld, TheSameSeedGivesTheSameHistory) {
  const std::string first = history(7);
  EXPECT_GT(first.size(), 1000u);
  EXPECT_EQ(first, history(7));
  EXPECT_NE(first, history(8));
}

TEST(SimWorld, TimeStandsStillWithinATurnAndMovesOnlyWhenNothingCanRun) {
  SimWorld world(SimWorld::Options{});
  DescriptorBudget budget(100, 0);
  SimEngine engine(world, budget, "only", kClientIp);
  EventLoop loop(engine, 1);
  world.add_loop(loop);
  struct Alarm final : TimerHandler {
    explicit Alarm(EventLoop& l) : loop(l), timer(*this) {}
    void on_timer(Timer&) override { fired_at = loop.now(); }
    EventLoop& loop;
    Timer timer;
    TimePoint fired_at = kNever;
  } alarm(loop);
  loop.timers().arm(alarm.timer, world.now() + 90s);
  const WallTime wall = world.wall_now();
  ASSERT_TRUE(world.run_until([&] { return alarm.fired_at != kNever; }, 100));
  EXPECT_GE(alarm.fired_at, SimWorld::kStart + 90s);
  EXPECT_LE(alarm.fired_at, SimWorld::kStart + 90s + 2ms);
  EXPECT_EQ(loop.wall_now() - wall, alarm.fired_at - SimWorld::kStart);
  world.remove_loop(loop);
}

}  // namespace
}  // namespace weir
