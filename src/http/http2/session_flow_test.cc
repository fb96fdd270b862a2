// Flow control over a path with delay, and the order in which streams get their turn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "http/http2/session_test_util.h"

namespace weir::http2 {
namespace {

using test::Owner;
using testing::ElementsAre;
using testing::IsEmpty;

// A client and a server with so much delay each way; the server's side has a bandwidth. Time goes in steps.
class Path {
 public:
  Path(Duration delay, std::size_t bytes_per_step, SessionLimits client_limits = {})
      : client(Role::client, client_limits), delay_(delay), bytes_per_step_(bytes_per_step) {
    client.keeps_bodies = false;
    client.on_step = [this](const Step& step) {
      if (step.event == Event::body) received += step.body.size();
      if (step.event == Event::end) ended = true;
    };
  }

  void step() {
    now_ += kStep;
    client.now = server.now = now_;
    deliver(to_client_, client);
    deliver(to_server_, server);
    if (std::string bytes = client.take_all(); !bytes.empty()) to_server_.push_back({now_ + delay_, std::move(bytes)});
    while (queued_.size() < bytes_per_step_) {
      server.session.pump();
      if (server.output.empty()) break;
      queued_ += server.take();
    }
    if (queued_.empty()) return;
    const std::size_t size = std::min(queued_.size(), bytes_per_step_);
    to_client_.push_back({now_ + delay_, queued_.substr(0, size)});
    queued_.erase(0, size);
  }

  // Sends `total` bytes on one stream; how long it took.
  Duration transfer(std::size_t total) {
    for (int i = 0; i < 10 && !client.session.settings_acknowledged(); ++i) run(delay_);
    client.open();
    while (!server.streams.contains(1)) step();
    server.send_head(1);
    const TimePoint start = now_;
    const std::string piece(256 * 1024, 'x');
    std::size_t left = total;
    while (!ended && now_ - start < 10min) {
      test::OwnedStream& stream = server.stream(1);
      while (left > 0 && stream.pending() < piece.size()) {
        const std::size_t size = std::min(left, piece.size());
        server.session.send_body(stream, std::string_view(piece).substr(0, size));
        left -= size;
        if (left == 0) server.session.send_end(stream, nullptr);
      }
      step();
    }
    return now_ - start;
  }
  void run(Duration time) {
    for (const TimePoint end = now_ + time; now_ < end;) step();
  }

  static constexpr Duration kStep = 1ms;
  Owner client;
  Owner server{Role::server};
  std::size_t received = 0;
  bool ended = false;

 private:
  struct Flight {
    TimePoint arrives;
    std::string bytes;
  };

  void deliver(std::deque<Flight>& flights, Owner& to) {
    while (!flights.empty() && flights.front().arrives <= now_) {
      to.feed(flights.front().bytes);
      flights.pop_front();
    }
  }

  const Duration delay_;
  const std::size_t bytes_per_step_;
  TimePoint now_{1000s};
  std::deque<Flight> to_client_;
  std::deque<Flight> to_server_;
  std::string queued_;
};

// With 50 ms of delay each way and within a tenth of the bandwidth, from the first byte on.
TEST(SessionFlow, AWindowGrowsToWhatThePathNeeds) {
  const struct {
    std::size_t bytes_per_step;
    std::size_t total;
  } paths[] = {{2500, 100'000'000}, {25'000, 200'000'000}, {100'000, 1024 * 1024 * 1024}};
  for (const auto& [bytes_per_step, total] : paths) {
    Path path(50ms, bytes_per_step);
    const Duration time = path.transfer(total);
    EXPECT_EQ(path.received, total);
    EXPECT_GE(path.client.session.round_trip(), 100ms);
    const Duration ideal = Path::kStep * (total / bytes_per_step) + 50ms;
    EXPECT_LE(time, ideal + ideal / 10) << "in ms: " << time / 1ms << ", without windows " << ideal / 1ms;
  }
}

TEST(SessionFlow, AWindowThatMayNotGrowIsWhatLimits) {
  SessionLimits limits;
  limits.stream_window_bytes_max = limits.stream_window_bytes;
  Path path(50ms, 25'000, limits);
  const Duration time = path.transfer(1'000'000);
  // A window for each round trip, roughly.
  EXPECT_GE(time, 100ms * (1'000'000 / limits.stream_window_bytes - 2));
}

TEST(SessionFlow, GrowthIsBoundedOverAllStreams) {
  SessionLimits limits;
  limits.grown_bytes_max = 256 * 1024;
  Path path(50ms, 25'000, limits);
  const Duration time = path.transfer(4'000'000);
  const double window = limits.stream_window_bytes + limits.grown_bytes_max;
  EXPECT_GE(time / 1ms, 100 * (4'000'000 / window - 2));
}

TEST(SessionFlow, AShortPathNeedsNoLargeWindow) {
  Path path(Path::kStep, 1000);  // 1 MB/s at 2 ms: 2 KB are on their way
  path.transfer(1'000'000);
  path.client.consumes = false;
  path.client.open();
  path.run(10ms);
  path.ended = false;
  path.received = 0;
  path.server.send_head(3);
  path.server.session.send_body(path.server.stream(3), std::string(300'000, 'x'));
  path.run(1s);
  EXPECT_EQ(path.received, path.client.limits.stream_window_bytes);
}

// What is nothing but padding fills the window too, and nobody says that he has consumed it.
TEST(Bugs, Case078PaddingAloneDoesNotStallItsStream) {
  Owner server(Role::server);
  server.feed(test::kServerStart + test::headers(1, test::kPost, false));
  const std::string padding = test::frame(FrameType::data, kFlagPadded, 1, '\xff' + std::string(255, '\0'));
  for (int i = 0; i < 600; ++i) server.feed(padding);
  server.feed(test::data(1, "body", true));
  EXPECT_EQ(server.stream(1).body, "body");
  EXPECT_TRUE(server.stream(1).ended);
}

// Where round trips are short each window was used up within two of them, and doubled, up to the most that it may have:
// all of which had to be kept when the reader stopped.
TEST(Bugs, Case044AFastReaderOnAShortPathNeedsNoLargeWindow) {
  Path path(Path::kStep, 10'000'000);
  path.client.open();
  path.run(10ms);
  path.server.send_head(1);
  path.server.session.send_body(path.server.stream(1), std::string(100'000'000, 'x'));
  while (path.received < 60'000'000) path.step();
  path.client.consumes = false;
  const std::size_t before = path.received;
  path.run(1s);
  EXPECT_LE(path.received - before, 2U * 1024 * 1024);
}

TEST(SessionFlow, AReaderThatIsSlowKeepsItsWindow) {
  Path path(50ms, 25'000);
  path.client.consumes = false;
  path.client.open();
  path.run(200ms);
  path.server.send_head(1);
  path.server.session.send_body(path.server.stream(1), std::string(3'000'000, 'x'));
  std::size_t given_back = 0;
  std::size_t most = 0;
  for (int i = 0; i < 3000; ++i) {
    path.step();
    if (path.received >= given_back + 100) {  // 100 KB/s: far less than the path could
      path.client.session.consumed(path.client.stream(1), 100, path.client.now);
      given_back += 100;
    }
    most = std::max(most, path.received - given_back);
  }
  EXPECT_GE(given_back, 250'000u);
  EXPECT_LE(most, path.client.limits.stream_window_bytes);
}

TEST(SessionFlow, DataThatNobodyWantsGivesTheConnectionsWindowBack) {
  Owner server(Role::server);
  server.feed(test::kServerStart + test::headers(1, test::kPost, false));
  server.session.reset(server.stream(1), ErrorCode::cancel);
  server.take();
  const std::string piece = test::data(1, std::string(16'384, 'x'));
  bool updated = false;
  for (int i = 0; i < 40'000 && !updated; ++i) {
    server.feed(piece);
    for (const std::string& line : server.take_frames()) updated |= line.starts_with("WINDOW_UPDATE 0");
  }
  EXPECT_TRUE(updated);
  EXPECT_FALSE(server.session.broken());
}

// Streams in the order in which their bodies went out, one name a frame.
struct Order {
  explicit Order(const std::vector<std::string>& priorities) {
    server.feed(test::kServerStart);
    std::uint32_t id = 1;
    for (const std::string& priority : priorities) {
      server.feed(test::headers(id, test::kGet + (priority == "-" ? "" : test::field("priority", priority))));
      server.send_head(id);
      server.session.note_can_wait(server.stream(id));
      id += 2;
    }
    server.take();
    // The connection's window is used up, so that all of them wait.
    server.feed(test::headers(id, test::kGet + test::field("priority", "u=0")));
    server.send_head(id);
    server.session.send_body(server.stream(id), std::string(65'535, 'x'));
    while (server.session.pending() > 0) server.take_all();
    server.take();
    server.session.reset(server.stream(id), ErrorCode::cancel);
    for (std::uint32_t stream = 1; stream < id; stream += 2) {
      server.session.send_body(server.stream(stream), std::string(32'768, 'x'));
    }
    server.take();
  }

  std::vector<int> go() {
    server.feed(test::window_update(0, 1'000'000));
    std::vector<int> ids;
    for (const std::string& line : test::describe_frames(server.take_all())) {
      if (line.starts_with("DATA")) ids.push_back(std::stoi(line.substr(5)));
    }
    return ids;
  }

  Owner server{Role::server};
};

TEST(SessionOrder, WithoutPrioritiesStreamsTakeTurns) {
  EXPECT_THAT(Order({"-", "-", "-"}).go(), ElementsAre(1, 3, 5, 1, 3, 5));
}

TEST(SessionOrder, UrgencyComesFirst) {
  EXPECT_THAT(Order({"u=5", "-", "u=1"}).go(), ElementsAre(5, 5, 3, 3, 1, 1));
}

TEST(SessionOrder, WhatIsNotIncrementalGoesOneAfterTheOther) {
  EXPECT_THAT(Order({"u=2", "u=2", "u=2"}).go(), ElementsAre(1, 1, 3, 3, 5, 5));
}

TEST(SessionOrder, IncrementalOnesShareBehindTheOthers) {
  EXPECT_THAT(Order({"u=3, i", "u=3", "u=3, i"}).go(), ElementsAre(3, 3, 1, 5, 1, 5));
}

TEST(SessionOrder, PrioritiesMayChange) {
  Order order({"u=3, i", "u=3, i"});
  order.server.feed(test::frame(FrameType::priority_update, 0, 0, test::u32(3) + "u=0"));
  EXPECT_THAT(order.go(), ElementsAre(3, 3, 1, 1));
}

TEST(SessionOrder, APriorityMayComeBeforeItsStream) {
  Owner server(Role::server);
  server.feed(test::kServerStart + test::frame(FrameType::priority_update, 0, 0, test::u32(3) + "u=0"));
  server.feed(test::window_update(0, 1'000'000));
  server.feed(test::settings(test::setting(Setting::initial_window_size, 0)));
  server.feed(test::headers(1, test::kGet) + test::headers(3, test::kGet + test::field("priority", "u=7")));
  for (const std::uint32_t id : {1u, 3u}) {
    server.send_head(id);
    server.session.send_body(server.stream(id), "x");
  }
  server.take_all();
  server.feed(test::settings(test::setting(Setting::initial_window_size, 10)));
  EXPECT_THAT(test::describe_frames(server.take_all()),
              ElementsAre("SETTINGS 0 len=0 ACK", "DATA 3 len=1", "DATA 1 len=1"));
}

// Of several, the last alone was remembered.
TEST(Bugs, Case166PrioritiesMayComeBeforeTheirStreams) {
  const auto update = [](std::uint32_t id, std::string_view value) {
    return test::frame(FrameType::priority_update, 0, 0, test::u32(id) + std::string(value));
  };
  Owner server(Role::server);
  server.feed(test::kServerStart + update(5, "u=6") + update(1, "u=1") + update(3, "u=2") + update(5, "u=0"));
  server.feed(test::headers(1, test::kGet) + test::headers(3, test::kGet) + test::headers(5, test::kGet) +
              test::headers(7, test::kGet));
  const auto urgency = [&](std::uint32_t id) { return unsigned{server.stream(id).urgency()}; };
  EXPECT_EQ(urgency(1), 1u);
  EXPECT_EQ(urgency(3), 2u);
  EXPECT_EQ(urgency(5), 0u);
  EXPECT_EQ(urgency(7), 3u);
}

TEST(SessionOrder, AnIdleConnectionKeepsNoPriorities) {
  Owner server(Role::server);
  server.feed(test::kServerStart + test::frame(FrameType::priority_update, 0, 0, test::u32(1) + "u=0"));
  server.session.rest();
  server.feed(test::headers(1, test::kGet));
  EXPECT_EQ(server.stream(1).urgency(), 3u);
}

TEST(SessionOrder, WhatWaitsForItsTurnIsKnownByUrgency) {
  Order order({"u=5", "-", "u=1"});
  test::Owner& server = order.server;
  EXPECT_EQ(server.session.in_turn(), 0u);  // it waits for the window
  server.feed(test::window_update(0, 1'000'000));
  EXPECT_EQ(server.session.in_turn(), 3 * 32'768u);
  EXPECT_EQ(server.session.in_turn(server.stream(5)), 32'768u);
  EXPECT_EQ(server.session.in_turn(server.stream(3)), 2 * 32'768u);
  EXPECT_EQ(server.session.in_turn(server.stream(1)), 3 * 32'768u);
  // One that nobody can hold back has its turn, but is no reason to hold back others.
  server.feed(test::headers(9, test::kGet + test::field("priority", "u=0")));
  server.send_head(9);
  server.session.send_body(server.stream(9), std::string(32'768, 'x'));
  EXPECT_EQ(server.session.in_turn(), 4 * 32'768u);
  EXPECT_EQ(server.session.in_turn(server.stream(1)), 3 * 32'768u);
  server.feed(test::frame(FrameType::priority_update, 0, 0, test::u32(1) + "u=0"));
  EXPECT_EQ(server.session.in_turn(server.stream(1)), 32'768u);
  EXPECT_EQ(server.session.in_turn(server.stream(5)), 2 * 32'768u);
  server.session.reset(server.stream(5), ErrorCode::cancel);
  EXPECT_EQ(server.session.in_turn(server.stream(3)), 2 * 32'768u);
  EXPECT_EQ(server.session.in_turn(), 3 * 32'768u);
  while (server.session.pending() > 0) server.take_all();
  EXPECT_EQ(server.session.in_turn(), 0u);
  EXPECT_EQ(server.session.in_turn(server.stream(3)), 0u);
}

TEST(SessionOrder, TheOldTreeIsIgnored) {
  Order order({"-", "-"});
  order.server.feed(test::frame(FrameType::priority, 0, 1, test::u32(3) + "\xff"));
  EXPECT_THAT(order.go(), ElementsAre(1, 3, 1, 3));
}

TEST(SessionOrder, AStalledStreamHoldsUpNobody) {
  Owner server(Role::server);
  server.feed(test::kServerStart + test::window_update(0, 1 << 30));
  server.feed(test::settings(test::setting(Setting::initial_window_size, 0)));
  server.feed(test::headers(1, test::kGet + test::field("priority", "u=0")) + test::headers(3, test::kGet));
  for (const std::uint32_t id : {1u, 3u}) {
    server.send_head(id);
    server.session.send_body(server.stream(id), std::string(1000, 'x'));
  }
  server.take_all();
  server.feed(test::window_update(3, 2000));
  EXPECT_THAT(test::describe_frames(server.take_all()), ElementsAre("DATA 3 len=1000"));
  EXPECT_EQ(server.stream(1).pending(), 1000u);
}

}  // namespace
}  // namespace weir::http2
