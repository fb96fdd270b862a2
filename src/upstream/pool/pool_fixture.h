#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <string>

#include "net/sim_engine.h"
#include "net/sim_world.h"
#include "upstream/pool/pool.h"

// One pool with its connections over the simulated network.
namespace weir {

inline const SocketAddress kBackend = *SocketAddress::parse("10.1.0.1:80");

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
  void on_response_end(http::FieldList*) override {
    ended = true;
    if (at_end) at_end();
  }
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
  std::function<void()> at_end;
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
    context.handshakes = &handshakes;
    configured->name = "app";
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
  void tls_failed(const std::string&, const std::shared_ptr<Backend>&, const std::string& reason) override {
    tls_problem = reason;
  }
  void http2_broken(const std::string&, const std::shared_ptr<Backend>&, const std::string&) override {}
  void reclaim_idle(const std::string&, const std::shared_ptr<Backend>&) override { ++reclaims; }
  void protocol_wanted(const std::string&, const std::shared_ptr<Backend>&) override { ++wanted; }

  void run(Duration time = 10ms) { ASSERT_TRUE(world.run_until(world.now() + time)); }
  Pool& make(std::uint32_t max_connections = Backend::kNoLimit) {
    backend = std::make_shared<Backend>("one", "http://10.1.0.1:80", kBackend, max_connections);
    pool = std::make_unique<Pool>(context, configured, backend);
    return *pool;
  }
  // Its backend is behind a unix socket: a write fails as soon as the backend has closed, while what it said may yet
  // be on its way, which takes its time.
  Pool& make_unix() {
    const SocketAddress path = *SocketAddress::parse("unix:/run/one.sock");
    outside.close(listener);
    listener = *outside.listen(path, {});
    plan.link.to_connector.drip_bytes = 20;
    plan.link.to_connector.drip_interval = 10ms;
    backend = std::make_shared<Backend>("one", "unix:/run/one.sock", path, Backend::kNoLimit);
    pool = std::make_unique<Pool>(context, configured, backend);
    return *pool;
  }
  // Without more turns than what happens makes necessary.
  void run_quietly(Duration time) { EXPECT_TRUE(world.run_until(world.now() + time, 300)); }
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
  HandshakeQueue handshakes{loop};
  std::shared_ptr<ClusterSettings> configured = std::make_shared<ClusterSettings>();
  std::shared_ptr<Backend> backend;
  std::deque<Try> tries;
  std::unique_ptr<Pool> pool;
  Pool::Acquired acquired{};
  SocketId listener = kNoSocket;
  int failures = 0;
  int reclaims = 0;
  int wanted = 0;
  bool refused = false;
  std::string tls_problem;
};

}  // namespace weir
