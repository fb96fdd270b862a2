#include <openssl/err.h>

#include "tls/layer.h"
#include "tls/pair_fixture.h"

namespace weir::tls {
namespace {

class LayerTest : public PairTest {
 protected:
  void connect_well() {
    connect(serve({.protocols = {"http/1.1"}}), ask({.protocols = {"http/1.1"}}));
    ASSERT_TRUE(client_->secured) << client_->io.secure_layer()->failure_text();
    ASSERT_TRUE(server_->secured) << server_->io.secure_layer()->failure_text();
  }
};

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

TEST_F(LayerTest, BytesGoBothWays) {
  connect_well();
  client_->send("question");
  server_->send("answer");
  run(1s);
  EXPECT_EQ(server_->received, "question");
  EXPECT_EQ(client_->received, "answer");
  EXPECT_EQ(client_->io.secure_layer()->version(), "TLSv1.3");
  EXPECT_EQ(server_->io.secure_layer()->protocol(), "http/1.1");
  EXPECT_EQ(client_->io.secure_layer()->protocol(), "http/1.1");
}

TEST_F(LayerTest, MuchOutputArrivesWholeAndInOrder) {
  connect_well();
  const std::string much = pattern(3'000'000);
  server_->send(much);
  run(60s);
  EXPECT_EQ(client_->received, much);
  EXPECT_GT(server_->wire_sent, much.size());
  EXPECT_LT(server_->wire_sent, much.size() + much.size() / 50);
  EXPECT_EQ(server_->io.unsent(), 0U);
}

TEST_F(LayerTest, SmallPiecesOfOneTurnAreOneRecord) {
  connect_well();
  run(1s);
  const std::size_t before = server_->wire_sent;
  for (int i = 0; i < 100; ++i) server_->send("0123456789");
  run(1s);
  EXPECT_EQ(client_->received.size(), 1000U);
  EXPECT_EQ(server_->wire_sent - before, 1000U + 22U);
}

TEST_F(LayerTest, AConnectionWithoutTrafficHoldsNoBuffers) {
  connect_well();
  client_->send(pattern(100'000));
  server_->send(pattern(100'000));
  run(10s);
  EXPECT_EQ(loop_.buffers().outstanding(), 0U);
}

TEST_F(LayerTest, AReaderThatStopsHoldsTheWriterBack) {
  connect_well();
  client_->reading = false;
  const std::string much = pattern(4'000'000);
  server_->send(much);
  run(10s);
  EXPECT_EQ(server_->flushed, FlushResult::blocked);
  EXPECT_GT(server_->io.unsent(), 0U);
  client_->reading = true;
  loop_.mark_ready(*client_);
  run(60s);
  EXPECT_EQ(client_->received, much);
  EXPECT_EQ(server_->io.unsent(), 0U);
}

TEST_F(LayerTest, ShutdownIsAnEndAndLeavesTheOtherDirectionOpen) {
  connect_well();
  client_->send("last words");
  run(1s);
  client_->io.shutdown_write();
  run(1s);
  EXPECT_EQ(server_->received, "last words");
  EXPECT_EQ(server_->status, IoStatus::end);
  EXPECT_FALSE(server_->io.truncated());
  server_->send("heard");
  run(1s);
  EXPECT_EQ(client_->received, "heard");
}

TEST_F(LayerTest, CloseSaysGoodbye) {
  connect_well();
  client_->io.close();
  run(1s);
  EXPECT_EQ(server_->status, IoStatus::end);
  EXPECT_FALSE(server_->io.truncated());
}

TEST_F(LayerTest, AnEndWithoutGoodbyeIsTruncated) {
  connect_well();
  client_->send("half of i");
  run(1s);
  engine_.shutdown_write(client_->io.socket());
  run(1s);
  EXPECT_EQ(server_->received, "half of i");
  EXPECT_EQ(server_->status, IoStatus::end);
  EXPECT_TRUE(server_->io.truncated());
}

TEST_F(LayerTest, GarbageBehindTheHandshakeBreaksTheConnection) {
  connect_well();
  const std::string garbage = "\x17\x03\x03" + std::string(1, '\0') + "\x20" + std::string(32, 'x');
  const iovec piece{const_cast<char*>(garbage.data()), garbage.size()};
  engine_.write(client_->io.socket(), {&piece, 1}, false);
  run(1s);
  EXPECT_EQ(server_->status, IoStatus::failed);
  EXPECT_EQ(client_->status, IoStatus::failed) << "the alert";
}

// New keys cost the receiver much more than the sender, and a refused renegotiation an answer each.
TEST_F(LayerTest, APeerWithoutAnythingToSayIsNotListenedToForEver) {
  connect_well();
  SSL* client = static_cast<const Layer*>(client_->io.secure_layer())->ssl();
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(client), 1);
    client_->send("x");
    run(1ms);
  }
  EXPECT_EQ(server_->received, std::string(200, 'x')) << "it does have something to say";
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(SSL_key_update(client, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(client), 1);
  }
  loop_.mark_dirty(*client_);
  run(1s);
  EXPECT_EQ(server_->status, IoStatus::failed);
}

struct Wide final : FaultPlan {
  LinkPlan draw(const IpAddress&, const SocketAddress&, TimePoint, Rng&) override {
    LinkPlan link;
    link.send_buffer_bytes = 4 * 1024 * 1024;
    return link;
  }
};

// What is left of a peer that has sent FIN is known to the byte, as far as the worker can spare the memory.
TEST_F(LayerTest, WhatIsLeftIsReadAhead) {
  Wide wide;
  world_.set_faults(&wide);
  ReadScratch scratch;
  for (const bool spare : {true, false}) {
    connect_well();
    server_->reading = false;
    const std::string much = pattern(500'000);
    client_->send(much);
    run(1s);
    client_->io.shutdown_write();
    run(1s);
    if (!spare) ASSERT_TRUE(scratch.borrow(ReadScratch::kAheadBytes));
    Transport& io = server_->io;
    EXPECT_GE(io.left(scratch, 1000).bytes, 1000U);
    EXPECT_LT(io.kept(), 100'000U);
    if (spare) {
      EXPECT_EQ(io.left(scratch, 500'001).bytes, 500'000U);
      EXPECT_EQ(scratch.ahead(), 500'000U - Transport::kReadAheadBytes);
    } else {
      EXPECT_GT(io.left(scratch, 500'001).bytes, 500'000U);
      EXPECT_LT(io.kept(), 100'000U);
      scratch.give_back(ReadScratch::kAheadBytes);
    }
    // All of it is there, in pieces, of which a part may be kept.
    std::string all;
    for (bool ended = false; !ended;) {
      const Transport::Input input = io.read(scratch);
      ASSERT_LE(input.bytes.size(), 2 * ReadScratch::kReadBytes);
      const std::size_t used = input.bytes.size() - input.bytes.size() / 3;
      all += input.bytes.substr(0, used);
      io.keep(input.bytes.substr(used));
      ended = input.status == IoStatus::end && io.kept() == 0;
    }
    EXPECT_TRUE(all == much);
    EXPECT_EQ(scratch.ahead(), 0U);
  }
  world_.set_faults(nullptr);
}

TEST_F(LayerTest, AConnectionThatGoesGivesItsShareBack) {
  Wide wide;
  world_.set_faults(&wide);
  connect_well();
  server_->reading = false;
  client_->send(pattern(500'000));
  run(1s);
  ReadScratch scratch;
  EXPECT_GE(server_->io.left(scratch, 500'000).bytes, 500'000U);
  EXPECT_GT(scratch.ahead(), 0U);
  server_->io.close();
  EXPECT_EQ(scratch.ahead(), 0U);
  world_.set_faults(nullptr);
}

TEST_F(LayerTest, AnIdleConnectionIsQuietThoughTicketsCame) {
  connect(serve({}), ask({}).get()->connect(loop_.buffers(), "app.example", nullptr));
  client_->reading = false;
  run(1s);
  EXPECT_FALSE(engine_.quiet(client_->io.socket())) << "tickets wait";
  EXPECT_TRUE(client_->io.quiet(client_->scratch));
  server_->send("unasked");
  run(1s);
  EXPECT_FALSE(client_->io.quiet(client_->scratch));
}

TEST_F(LayerTest, AClosedIdleConnectionIsNotQuiet) {
  connect_well();
  client_->reading = false;
  run(1s);
  server_->io.close();
  run(1s);
  EXPECT_FALSE(client_->io.quiet(client_->scratch));
}

TEST_F(LayerTest, AMovedTransportGoesOn) {
  connect_well();
  client_->send("before");
  run(1s);
  End other(loop_);
  other.io = std::move(server_->io);
  other.secured = true;
  ASSERT_TRUE(engine_.watch(other.io.socket(), other).has_value());
  client_->send("after");
  run(1s);
  EXPECT_EQ(server_->received, "before");
  EXPECT_EQ(other.received, "after");
}

TEST_F(LayerTest, WhatComesWithTheLastOfTheHandshakeIsNotLost) {
  // The client writes in the same turn in which it is through, so that the server reads both at once.
  server_context_ = serve({});
  client_ = std::make_unique<End>(loop_);
  client_->open(*engine_.connect(*SocketAddress::parse("10.0.0.1:443")),
                ask({})->connect(loop_.buffers(), "app.example", nullptr));
  ASSERT_TRUE(world_.run_until([&] { return client_->secured; }));
  client_->send("early");
  run(1s);
  EXPECT_EQ(server_->received, "early");
}

class Bugs : public PairTest {};

// What waited for the socket and went out while the peer's bytes were read was not counted, and the connection seemed
// to stand still.
TEST_F(Bugs, Case046WhatReadingSendsIsCounted) {
  connect(serve({}), ask({}));
  constexpr std::size_t kBytes = 2'000'000;
  server_->send(std::string(kBytes, 'x'));
  while (client_->received.size() < kBytes) {
    const std::size_t before = client_->received.size();
    ASSERT_TRUE(world_.run_until([&] { return client_->received.size() > before; }));
    client_->send("and you?");
  }
  run(1s);
  EXPECT_GE(server_->wire_sent, kBytes);
}

TEST_F(LayerTest, NoErrorIsLeftBehindInTheThread) {
  connect_well();
  client_->io.close();
  run(1s);
  EXPECT_EQ(ERR_peek_error(), 0U);
}

}  // namespace
}  // namespace weir::tls
