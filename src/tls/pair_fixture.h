#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "net/sim_engine.h"
#include "net/sim_world.h"
#include "net/transport.h"
#include "tls/client_context.h"
#include "tls/layer.h"
#include "tls/server_context.h"
#include "tls/test_certificates.h"

// Two ends of a connection over the simulated network, each with a Transport of its own.
namespace weir::tls {

// One end: goes on with its handshake, then gathers what it reads.
class End final : public ReadinessHandler, public Flushable, public Resumable {
 public:
  explicit End(EventLoop& loop) : io(loop), loop_(loop) {}
  ~End() = default;

  void open(SocketId socket, std::unique_ptr<SecureLayer> layer) {
    io.open(socket);
    io.secure(std::move(layer));
    ASSERT_TRUE(loop_.engine().watch(socket, *this).has_value());
  }
  void send(std::string_view bytes) {
    io.output().append(bytes);
    loop_.mark_dirty(*this);
  }
  void on_ready(Readiness readiness) override {
    if (!io.is_open()) return;
    if (readiness.can_write() && io.unsent() > 0) loop_.mark_dirty(*this);
    if (readiness.can_read() || !secured) go_on();
  }
  void resume() override {
    if (io.is_open()) go_on();
  }
  void flush() override {
    if (io.is_open()) flushed = io.flush(wire_sent);
  }

  Transport io;
  ReadScratch scratch;
  bool secured = false;
  bool failed = false;  // the handshake did
  bool reading = true;
  std::string received;
  IoStatus status = IoStatus::would_block;
  FlushResult flushed = FlushResult::done;
  std::size_t wire_sent = 0;
  std::size_t reads = 0;

 private:
  void go_on() {
    if (failed) return;
    if (!secured) {
      const SecureLayer::Handshake step = io.handshake(scratch);
      failed = step.status == SecureLayer::Handshake::Status::failed;
      secured = step.status == SecureLayer::Handshake::Status::done;
      if (secured || !step.drained) loop_.mark_ready(*this);
      return;
    }
    if (!reading || status == IoStatus::end || status == IoStatus::failed) return;
    const Transport::Input input = io.read(scratch);
    ++reads;
    received.append(input.bytes);
    status = input.status;
    if (!input.drained) loop_.mark_ready(*this);
  }

  EventLoop& loop_;
};

class PairTest : public testing::Test, private ReadinessHandler {
 protected:
  PairTest() {
    world_.add_loop(loop_);
    listener_ = *engine_.listen(*SocketAddress::parse("10.0.0.1:443"), {});
    EXPECT_TRUE(engine_.watch(listener_, *this).has_value());
  }
  ~PairTest() {
    client_.reset();
    server_.reset();
    world_.remove_loop(loop_);
    EXPECT_EQ(loop_.buffers().outstanding(), 0U);
  }

  IdentityText identity(std::string names, KeyKind kind = KeyKind::ecdsa) {
    return authority_.issue({.common_name = "leaf", .alternative_names = std::move(names), .kind = kind});
  }
  std::shared_ptr<const ServerContext> serve(ServerOptions options) {
    if (options.certificates.empty()) options.certificates.push_back(identity("DNS:app.example,IP:10.0.0.1"));
    auto made = ServerContext::make(options, tickets_);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return *made;
  }
  std::shared_ptr<const ClientContext> ask(ClientOptions options) {
    if (options.verify && options.ca.empty()) options.ca = authority_.certificate();
    auto made = ClientContext::make(options);
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return *made;
  }

  static SSL* ssl(const std::unique_ptr<End>& end) { return static_cast<const Layer*>(end->io.secure_layer())->ssl(); }
  // A client's end that was told more than a ClientContext can be.
  std::unique_ptr<SecureLayer> special_client(const std::function<void(SSL*)>& tell) {
    static const BioMethodPtr method = make_bio_method();
    ContextPtr context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_security_level(context.get(), 0);
    SslPtr client(SSL_new(context.get()));
    SSL_set_connect_state(client.get());
    tell(client.get());
    return std::make_unique<Layer>(std::move(client), method.get(), loop_.buffers(), nullptr);
  }

  // A connection with these two contexts, until both ends are through with the handshake, or one has failed.
  void connect(const std::shared_ptr<const ServerContext>& server, std::unique_ptr<SecureLayer> client) {
    server_context_ = server;
    server_.reset();
    client_ = std::make_unique<End>(loop_);
    client_->open(*engine_.connect(*SocketAddress::parse("10.0.0.1:443")), std::move(client));
    const auto ended = [](const std::unique_ptr<End>& end) { return end && (end->failed || end->secured); };
    EXPECT_TRUE(world_.run_until([&] { return ended(client_) && ended(server_); }));
  }
  void connect(const std::shared_ptr<const ServerContext>& server, const std::shared_ptr<const ClientContext>& client,
               std::string_view host = "app.example", SessionSlot* slot = nullptr) {
    connect(server, client->connect(loop_.buffers(), host, slot));
  }
  void run(Duration duration) { ASSERT_TRUE(world_.run_until(world_.now() + duration)); }

  void on_ready(Readiness) override {
    for (;;) {
      const Accepted accepted = engine_.accept(listener_);
      if (accepted.status != Accepted::Status::ok) return;
      server_ = std::make_unique<End>(loop_);
      std::unique_ptr<SecureLayer> layer = server_context_->accept(loop_.buffers());
      if (tell_server_) tell_server_(static_cast<const Layer&>(*layer).ssl());
      server_->open(accepted.socket, std::move(layer));
    }
  }

  SimWorld world_{SimWorld::Options{}};
  DescriptorBudget budget_{1000, 10};
  SimEngine engine_{world_, budget_, "both", *IpAddress::parse("10.0.0.1")};
  EventLoop loop_{engine_, 1};
  SocketId listener_ = kNoSocket;
  TestAuthority authority_{"root"};
  std::shared_ptr<TicketKeys> tickets_ = std::make_shared<TicketKeys>();
  std::shared_ptr<const ServerContext> server_context_;
  std::function<void(SSL*)> tell_server_;  // what its context can't
  std::unique_ptr<End> client_;
  std::unique_ptr<End> server_;
};

}  // namespace weir::tls
