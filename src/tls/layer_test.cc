#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <array>

#include "tls/pair_fixture.h"

namespace weir::tls {
namespace {

// Records that a client could send after its handshake over TLS 1.2 with AES-128-GCM: OpenSSL sends no message that
// does not fit its state.
class RecordWriter {
 public:
  explicit RecordWriter(SSL* client) {
    std::array<unsigned char, SSL_MAX_MASTER_KEY_LENGTH> master;
    SSL_SESSION_get_master_key(SSL_get_session(client), master.data(), master.size());
    std::string seed = "key expansion" + std::string(2 * SSL3_RANDOM_SIZE, '\0');
    auto* random = reinterpret_cast<unsigned char*>(seed.data()) + seed.size() - 2 * SSL3_RANDOM_SIZE;
    SSL_get_server_random(client, random, SSL3_RANDOM_SIZE);
    SSL_get_client_random(client, random + SSL3_RANDOM_SIZE, SSL3_RANDOM_SIZE);
    std::array<char, 7> digest{"SHA256"};
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master.data(), master.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed.data(), seed.size()), OSSL_PARAM_construct_end()};
    const std::unique_ptr<EVP_KDF, Freer<EVP_KDF_free>> kdf(EVP_KDF_fetch(nullptr, "TLS1-PRF", nullptr));
    const std::unique_ptr<EVP_KDF_CTX, Freer<EVP_KDF_CTX_free>> context(EVP_KDF_CTX_new(kdf.get()));
    EXPECT_EQ(EVP_KDF_derive(context.get(), keys_.data(), keys_.size(), parameters), 1);
  }

  std::string record(std::string_view messages) {
    constexpr char kHandshake = 22;
    const std::string number = std::string(7, '\0') + static_cast<char>(++sent_);
    const std::string nonce(std::string(reinterpret_cast<const char*>(keys_.data()) + 32, 4) + number);
    const std::string bound = number + kHandshake + "\x03\x03" + size_of(messages.size());
    std::string sealed(messages.size() + 16, '\0');
    const auto bytes = [](const auto& text) { return reinterpret_cast<const unsigned char*>(text.data()); };
    auto* out = reinterpret_cast<unsigned char*>(sealed.data());
    int size = 0;
    const std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>> cipher(EVP_CIPHER_CTX_new());
    EVP_EncryptInit_ex(cipher.get(), EVP_aes_128_gcm(), nullptr, keys_.data(), bytes(nonce));
    EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes(bound), static_cast<int>(bound.size()));
    EVP_EncryptUpdate(cipher.get(), out, &size, bytes(messages), static_cast<int>(messages.size()));
    EVP_EncryptFinal_ex(cipher.get(), out + size, &size);
    EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, 16, out + messages.size());
    return kHandshake + std::string("\x03\x03") + size_of(number.size() + sealed.size()) + number + sealed;
  }

 private:
  static std::string size_of(std::size_t size) {
    return {static_cast<char>(size >> 8), static_cast<char>(size & 0xff)};
  }

  std::array<unsigned char, 40> keys_;  // the client's and the server's, and what their nonces begin with
  int sent_ = 0;                        // its Finished had number 0
};

class LayerTest : public PairTest {
 protected:
  void connect_well() {
    connect(serve({.protocols = {"http/1.1"}}), ask({.protocols = {"http/1.1"}}));
    ASSERT_TRUE(client_->secured) << client_->io.secure_layer()->failure_text();
    ASSERT_TRUE(server_->secured) << server_->io.secure_layer()->failure_text();
  }
  void write(const std::unique_ptr<End>& from, std::string bytes) {
    const iovec piece{bytes.data(), bytes.size()};
    EXPECT_EQ(engine_.write(from->io.socket(), {&piece, 1}, false).bytes, bytes.size());
  }
  std::unique_ptr<SecureLayer> client_of_tls12() {
    return special_client([](SSL* client) {
      SSL_set_max_proto_version(client, TLS1_2_VERSION);
      SSL_set_cipher_list(client, "ECDHE-ECDSA-AES128-GCM-SHA256");
    });
  }
  void update_keys(const std::unique_ptr<End>& from, int times, int type = SSL_KEY_UPDATE_NOT_REQUESTED) {
    SSL_set_info_callback(ssl(from), nullptr);
    for (int i = 0; i < times; ++i) {
      ASSERT_EQ(SSL_key_update(ssl(from), type), 1);
      ASSERT_EQ(SSL_do_handshake(ssl(from)), 1);
    }
    loop_.mark_dirty(*from);
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

class Bugs : public LayerTest {};

// Each of a few bytes was refused by an alert, without end: the answers that the client didn't read filled the memory.
TEST_F(Bugs, Case151AClientThatAsksForRenegotiationsWithoutEndIsLeft) {
  connect(serve({}), client_of_tls12());
  ASSERT_TRUE(server_->secured);
  run(1s);
  client_->reading = false;
  RecordWriter records(ssl(client_));
  const std::string hello("\1\0\0\0", 4);
  write(client_, records.record(hello));
  run(1s);
  EXPECT_EQ(server_->status, IoStatus::would_block) << "refused, and that was it";
  std::string hellos;
  while (hellos.size() < 16'000) hellos += hello;
  write(client_, records.record(hellos));
  run(1s);
  EXPECT_EQ(server_->status, IoStatus::failed);
  EXPECT_GT(engine_.unread(client_->io.socket()), 0U);
  EXPECT_LE(engine_.unread(client_->io.socket()), 2000U);
}

// New keys cost far more than the few bytes that ask for them.
TEST_F(Bugs, Case152AClientThatChangesItsKeysWithoutEndIsLeft) {
  connect(serve({}), ask({}));
  ASSERT_TRUE(server_->secured);
  run(1s);
  for (const int type : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
    for (int i = 0; i < 10; ++i) {
      update_keys(client_, 10, type);
      client_->send("data");
      server_->send("data");
      run(1s);
    }
  }
  EXPECT_EQ(server_->received.size(), 80U);
  EXPECT_EQ(client_->received.size(), 80U);
  update_keys(client_, 100);
  client_->send("more");
  run(1s);
  EXPECT_EQ(server_->status, IoStatus::failed);
  EXPECT_EQ(server_->received.size(), 80U);
}

// Data in between gives no right to answers that are not read.
TEST_F(Bugs, Case153AnswersThatNobodyReadsAreBounded) {
  connect(serve({}), ask({}));
  ASSERT_TRUE(server_->secured);
  run(1s);
  client_->reading = false;
  server_->send(std::string(300'000, 'x'));
  run(1s);
  EXPECT_EQ(server_->flushed, FlushResult::blocked);
  for (int i = 0; i < 400; ++i) {
    update_keys(client_, 10, SSL_KEY_UPDATE_REQUESTED);
    client_->send("x");
    run(1ms);
  }
  EXPECT_LE(server_->io.encrypted_unsent(), 200U * 1024);
}

// Who sent such messages on an idle connection faster than they were dealt with kept its worker for itself.
TEST_F(LayerTest, AnIdleConnectionIsNotQuietWhileKeysChangeWithoutEnd) {
  connect(serve({}), ask({}));
  ASSERT_TRUE(client_->secured);
  run(1s);
  client_->reading = false;
  update_keys(server_, 5);
  run(1s);
  EXPECT_TRUE(client_->io.quiet(client_->scratch));
  update_keys(server_, 2000);
  run(1s);
  EXPECT_FALSE(client_->io.quiet(client_->scratch));
}

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
