// What every Engine does, run over the real and the simulated one.

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

#include "net/transport_fixture.h"

namespace weir {
namespace {

class Transport : public testing::TestWithParam<TransportKind> {
 protected:
  // Polls until `done`, at most for five seconds of the engine's time.
  template <typename Done>
  [[nodiscard]] bool wait_for(Done done) {
    const TimePoint deadline = engine().now() + 5s;
    while (!done()) {
      if (engine().now() >= deadline) return false;
      engine().poll(deadline);
    }
    return true;
  }

  SocketId listen(const SocketAddress& address, ListenOptions options = {}) {
    Result<SocketId> listener = engine().listen(address, options);
    EXPECT_TRUE(listener) << listener.error().message;
    return *listener;
  }

  struct Pair {
    Watcher client_watch;
    Watcher server_watch;
    SocketId client = kNoSocket;
    SocketId server = kNoSocket;
  };

  // A connection of which both ends are watched.
  void connect_pair(Pair& pair) { connect_pair(pair, transport_->tcp_address()); }
  void connect_pair(Pair& pair, const SocketAddress& address) {
    const SocketId listener = listen(address);
    Watcher listener_watch;
    ASSERT_TRUE(engine().watch(listener, listener_watch));
    const Result<SocketId> client = engine().connect(*engine().local_address(listener));
    ASSERT_TRUE(client) << client.error().message;
    pair.client = *client;
    ASSERT_TRUE(engine().watch(pair.client, pair.client_watch));
    ASSERT_TRUE(wait_for([&] { return pair.client_watch.can_write() && listener_watch.can_read(); }));
    EXPECT_EQ(engine().connect_error(pair.client), 0);
    const Accepted accepted = engine().accept(listener);
    ASSERT_EQ(accepted.status, Accepted::Status::ok);
    EXPECT_EQ(engine().accept(listener).status, Accepted::Status::would_block);
    pair.server = accepted.socket;
    peer_ = accepted.peer;
    ASSERT_TRUE(engine().watch(pair.server, pair.server_watch));
    engine().close(listener);
  }

  IoResult send(SocketId socket, std::string_view text) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    return engine().write(socket, {&piece, 1}, false);
  }

  // Reads until `size` bytes have come or something else than bytes; tells which in `last`.
  std::string receive(SocketId socket, std::size_t size, IoResult* last = nullptr) {
    std::string all;
    std::string piece(65536, '\0');
    Watcher watch;
    EXPECT_TRUE(engine().watch(socket, watch));
    const bool in_time = wait_for([&] {
      for (;;) {
        const IoResult result = engine().read(socket, piece);
        if (last != nullptr) *last = result;
        all.append(piece, 0, result.bytes);
        if (result.status == IoStatus::would_block) return all.size() >= size;
        if (result.status != IoStatus::ok) return true;
      }
    });
    EXPECT_TRUE(in_time);
    EXPECT_TRUE(engine().watch(socket, ignored_));
    return all;
  }

  Engine& engine() { return transport_->engine(); }
  void TearDown() override { transport_.reset(); }

  Watcher ignored_;
  IpAddress peer_;
  std::unique_ptr<TransportUnderTest> transport_ = GetParam().make();
};

TEST_P(Transport, CarriesBytesBothWays) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  EXPECT_EQ(peer_.family, IpAddress::Family::ipv4);
  ASSERT_EQ(send(pair.client, "hello").bytes, 5u);
  EXPECT_EQ(receive(pair.server, 5), "hello");
  ASSERT_EQ(send(pair.server, "world").bytes, 5u);
  EXPECT_EQ(receive(pair.client, 5), "world");
  engine().close(pair.client);
  engine().close(pair.server);
}

TEST_P(Transport, WritesSeveralPiecesInOrder) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  std::string a = "one ";
  std::string b = "two ";
  std::string c = "three";
  const iovec pieces[] = {{a.data(), a.size()}, {b.data(), b.size()}, {c.data(), c.size()}};
  ASSERT_EQ(engine().write(pair.client, pieces, true).bytes, 13u);
  ASSERT_EQ(send(pair.client, "!").bytes, 1u);
  EXPECT_EQ(receive(pair.server, 14), "one two three!");
  engine().close(pair.client);
  engine().close(pair.server);
}

TEST_P(Transport, HalfCloseLeavesTheOtherDirectionOpen) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  ASSERT_EQ(send(pair.client, "request").bytes, 7u);
  engine().shutdown_write(pair.client);
  ASSERT_TRUE(wait_for([&] { return pair.server_watch.peer_gone(); }));
  IoResult last{};
  EXPECT_EQ(receive(pair.server, 100, &last), "request");
  EXPECT_EQ(last.status, IoStatus::end);
  ASSERT_EQ(send(pair.server, "reply").bytes, 5u);
  EXPECT_EQ(receive(pair.client, 5), "reply");
  const IoResult after = send(pair.client, "x");
  EXPECT_EQ(after.status, IoStatus::failed);
  EXPECT_EQ(after.error, EPIPE);
  engine().close(pair.client);
  engine().close(pair.server);
}

TEST_P(Transport, ResetReachesThePeer) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  engine().reset(pair.client);
  ASSERT_TRUE(wait_for([&] { return pair.server_watch.failed(); }));
  char byte;
  const IoResult result = engine().read(pair.server, {&byte, 1});
  EXPECT_EQ(result.status, IoStatus::failed);
  EXPECT_EQ(result.error, ECONNRESET);
  EXPECT_EQ(engine().read(pair.server, {&byte, 1}).status, IoStatus::end);  // the error is told once
  EXPECT_EQ(send(pair.server, "x").error, EPIPE);
  engine().close(pair.server);
}

TEST_P(Transport, ClosingWithUnreadInputResets) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  ASSERT_EQ(send(pair.client, "unread").bytes, 6u);
  ASSERT_TRUE(wait_for([&] { return pair.server_watch.can_read(); }));
  engine().close(pair.server);
  ASSERT_TRUE(wait_for([&] { return pair.client_watch.failed(); }));
  char byte;
  EXPECT_EQ(engine().read(pair.client, {&byte, 1}).error, ECONNRESET);
  engine().close(pair.client);
}

TEST_P(Transport, WritingToAClosedPeerFailsInTheEnd) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  engine().close(pair.server);
  ASSERT_TRUE(wait_for([&] { return pair.client_watch.peer_gone(); }));
  EXPECT_FALSE(engine().quiet(pair.client));
  ASSERT_EQ(send(pair.client, "x").status, IoStatus::ok);  // draws the reset
  ASSERT_TRUE(wait_for([&] { return pair.client_watch.failed(); }));
  EXPECT_EQ(send(pair.client, "y").error, EPIPE);
  engine().close(pair.client);
}

TEST_P(Transport, ConnectingWhereNobodyListensIsRefused) {
  const SocketId listener = listen(transport_->tcp_address());
  const SocketAddress address = *engine().local_address(listener);
  engine().close(listener);
  const Result<SocketId> client = engine().connect(address);
  if (!client) {
    EXPECT_EQ(client.error().code, ECONNREFUSED);
    return;
  }
  Watcher watch;
  ASSERT_TRUE(engine().watch(*client, watch));
  ASSERT_TRUE(wait_for([&] { return watch.can_write(); }));
  EXPECT_EQ(engine().connect_error(*client), ECONNREFUSED);
  engine().close(*client);
}

TEST_P(Transport, AFullSocketSaysWhenThereIsRoom) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  const std::string block(65536, 'x');
  std::size_t sent = 0;
  for (;;) {
    const IoResult result = send(pair.client, block);
    if (result.status == IoStatus::would_block) break;
    ASSERT_EQ(result.status, IoStatus::ok);
    sent += result.bytes;
    ASSERT_LT(sent, 256u << 20);
  }
  pair.client_watch.clear();
  EXPECT_EQ(receive(pair.server, sent).size(), sent);
  EXPECT_TRUE(wait_for([&] { return pair.client_watch.can_write(); }));
  EXPECT_EQ(send(pair.client, "x").status, IoStatus::ok);
  engine().close(pair.client);
  engine().close(pair.server);
}

TEST_P(Transport, QuietOnlyWhileNothingCame) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  EXPECT_TRUE(engine().quiet(pair.server));
  ASSERT_EQ(send(pair.client, "x").bytes, 1u);
  ASSERT_TRUE(wait_for([&] { return pair.server_watch.can_read(); }));
  EXPECT_FALSE(engine().quiet(pair.server));
  EXPECT_EQ(engine().unread(pair.server), 1u);
  EXPECT_EQ(receive(pair.server, 1), "x");
  EXPECT_TRUE(engine().quiet(pair.server));
  EXPECT_EQ(engine().unread(pair.server), 0u);
  engine().close(pair.client);
  engine().close(pair.server);
}

TEST_P(Transport, SplicesThroughAPipe) {
  Pair in;
  Pair out;
  ASSERT_NO_FATAL_FAILURE(connect_pair(in));
  ASSERT_NO_FATAL_FAILURE(connect_pair(out));
  Result<Pipe> pipe = engine().open_pipe();
  ASSERT_TRUE(pipe);
  EXPECT_EQ(engine().splice_in(in.server, *pipe, kPipeBytes).status, IoStatus::would_block);
  const std::string body(60'000, 'b');
  ASSERT_EQ(send(in.client, body).bytes, body.size());
  engine().shutdown_write(in.client);
  std::size_t moved = 0;
  ASSERT_TRUE(wait_for([&] {
    for (;;) {
      const IoResult result = engine().splice_in(in.server, *pipe, kPipeBytes);
      if (pipe->buffered > 0) {
        moved += engine().splice_out(*pipe, out.client, false).bytes;
      } else if (result.status != IoStatus::ok) {
        return result.status == IoStatus::end;
      }
    }
  }));
  EXPECT_EQ(moved, body.size());
  EXPECT_EQ(receive(out.server, body.size()), body);
  engine().close_pipe(*pipe);
  for (const SocketId socket : {in.client, in.server, out.client, out.server}) engine().close(socket);
}

TEST_P(Transport, LevelsAreRepeated) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  Watcher level;
  ASSERT_TRUE(engine().watch(pair.server, level, Trigger::level));
  ASSERT_EQ(send(pair.client, "x").bytes, 1u);
  ASSERT_TRUE(wait_for([&] { return level.events >= 3; }));
  EXPECT_EQ(receive(pair.server, 1), "x");
  ASSERT_TRUE(engine().watch(pair.server, level, Trigger::level));
  level.clear();
  engine().poll(TimePoint::min());
  EXPECT_EQ(level.events, 0);
  ASSERT_TRUE(engine().watch(pair.server, level, Trigger::level_both));
  ASSERT_TRUE(wait_for([&] { return level.can_write() && level.events >= 3; }));
  engine().close(pair.client);
  engine().close(pair.server);
}

TEST_P(Transport, WatchTellsWhatIsReadyAlready) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  ASSERT_EQ(send(pair.client, "x").bytes, 1u);
  ASSERT_TRUE(wait_for([&] { return pair.server_watch.can_read(); }));
  Watcher other;
  const SocketId socket = engine().release(pair.server);
  engine().adopt(socket);
  ASSERT_TRUE(engine().watch(socket, other));
  ASSERT_TRUE(wait_for([&] { return other.can_read(); }));
  EXPECT_EQ(receive(socket, 1), "x");
  engine().close(pair.client);
  engine().close(socket);
}

TEST_P(Transport, NoEventReachesTheHandlerOfAClosedSocket) {
  Pair pairs[2];
  for (Pair& pair : pairs) ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  engine().poll(TimePoint::min());
  // Whichever is called first closes the other, and opens one that may get its number.
  struct Closer final : ReadinessHandler {
    void on_ready(Readiness) override {
      ++*calls;
      if (*calls > 1) return;
      engine->close(*other);
      *other = *engine->connect(address);
      ASSERT_TRUE(engine->watch(*other, fresh));
    }
    int* calls;
    Engine* engine;
    SocketId* other;
    SocketAddress address;
    Watcher fresh;
  };
  const SocketId listener = listen(transport_->tcp_address());
  int calls = 0;
  Closer closers[2];
  for (int i = 0; i < 2; ++i) {
    closers[i].calls = &calls;
    closers[i].engine = &engine();
    closers[i].other = &pairs[1 - i].server;
    closers[i].address = *engine().local_address(listener);
    ASSERT_TRUE(engine().watch(pairs[i].server, closers[i], Trigger::level));
  }
  for (Pair& pair : pairs) ASSERT_EQ(send(pair.client, "x").bytes, 1u);
  ASSERT_TRUE(wait_for([&] { return calls > 0 && (closers[0].fresh.can_write() || closers[1].fresh.can_write()); }));
  const bool first_closed = closers[1].fresh.events > 0;
  EXPECT_NE(closers[0].fresh.events > 0, first_closed);
  // Bytes came for the closed one only.
  EXPECT_FALSE(closers[0].fresh.can_read() || closers[1].fresh.can_read());
  for (Pair& pair : pairs) {
    engine().close(pair.client);
    engine().close(pair.server);
  }
  engine().close(listener);
}

TEST_P(Transport, AUnixSocketIsAStreamToo) {
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair, transport_->unix_address()));
  EXPECT_EQ(peer_.family, IpAddress::Family::none);
  ASSERT_EQ(send(pair.client, "hello").bytes, 5u);
  engine().close(pair.client);
  IoResult last{};
  EXPECT_EQ(receive(pair.server, 100, &last), "hello");
  EXPECT_EQ(last.status, IoStatus::end);
  engine().close(pair.server);
  // The listener was closed, its file is still there: the next one replaces it.
  const SocketId again = listen(transport_->unix_address());
  const auto second = engine().listen(transport_->unix_address(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, EADDRINUSE);
  engine().close(again);
}

TEST_P(Transport, AnAddressIsTakenUnlessShared) {
  const ListenOptions alone{.backlog = 16, .reuse_port = false};
  const SocketId first = listen(transport_->tcp_address(), alone);
  const SocketAddress address = *engine().local_address(first);
  const auto second = engine().listen(address, alone);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "cannot listen on " + address.to_string() + ": Address already in use");
  engine().close(first);
  const SocketId shared = listen(address);
  const SocketId shared_too = listen(address);
  engine().close(shared);
  engine().close(shared_too);
}

TEST_P(Transport, CountsItsDescriptors) {
  const std::size_t before = transport_->budget().open();
  Pair pair;
  ASSERT_NO_FATAL_FAILURE(connect_pair(pair));
  Result<Pipe> pipe = engine().open_pipe();
  EXPECT_EQ(transport_->budget().open(), before + 4);
  transport_->budget().set_limit(before + 5);
  EXPECT_TRUE(engine().descriptors_scarce());
  engine().close_pipe(*pipe);
  engine().close(pair.client);
  engine().reset(pair.server);
  EXPECT_EQ(transport_->budget().open(), before);
  EXPECT_FALSE(engine().descriptors_scarce());
}

TEST_P(Transport, PollEndsInTimeAndWhenWoken) {
  const TimePoint until = engine().now() + 3ms;
  while (engine().now() < until) EXPECT_EQ(engine().poll(until), 0u);
  engine().wake();
  engine().wake();
  const TimePoint before = engine().now();
  engine().poll(before + 1h);
  EXPECT_LT(engine().now(), before + 30min);
  engine().wake();
  engine().poll(before + 1h);
  EXPECT_LT(engine().now(), before + 30min);
}

INSTANTIATE_TEST_SUITE_P(, Transport, testing::ValuesIn(transport_kinds()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace weir
