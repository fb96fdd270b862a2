#include "net/event_loop.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "net/epoll_engine.h"
#include "net/raw_peer_fixture.h"
#include "net/sim_engine.h"
#include "net/sim_world.h"

namespace weir {
namespace {

using Action = std::function<void()>;

struct Part final : Flushable, Resumable, Retired, TimerHandler {
  explicit Part(Order order = Order::first) : place(order) {}
  Order order() const override { return place; }
  void flush() override { on_flush(); }
  void resume() override { on_resume(); }
  void destroy() override { on_destroy(); }
  void on_timer(Timer&) override { on_alarm(); }
  Action on_flush = [] {};
  Action on_resume = [] {};
  Action on_destroy = [] {};
  Action on_alarm = [] {};
  Timer timer{*this};
  const Order place;
};

class EventLoopTest : public testing::Test {
 protected:
  SimWorld world_{SimWorld::Options{.turn_cost = 1ms}};
  DescriptorBudget budget_{100, 0};
  SimEngine engine_{world_, budget_, "only", *IpAddress::parse("10.0.0.1")};
  EventLoop loop_{engine_, 1};
  std::string order_;
};

TEST_F(EventLoopTest, ATurnHasItsOrder) {
  Part part;
  part.on_flush = [&] { order_ += "flush "; };
  part.on_resume = [&] {
    order_ += "resume ";
    loop_.mark_dirty(part);
    loop_.mark_dirty(part);
  };
  part.on_alarm = [&] {
    order_ += "timer ";
    loop_.mark_dirty(part);
    loop_.retire(part);
    loop_.retire(part);
  };
  part.on_destroy = [&] { order_ += "destroy"; };
  loop_.timers().arm(part.timer, loop_.now() + 1ms);
  loop_.post([&] { order_ += "mail "; });
  loop_.mark_ready(part);
  loop_.mark_ready(part);
  EXPECT_EQ(loop_.next_wakeup(), loop_.now());
  loop_.run_turn(false);
  EXPECT_EQ(order_, "resume mail flush timer flush destroy");
  EXPECT_EQ(loop_.next_wakeup(), kNever);
}

TEST_F(EventLoopTest, WhatIsMarkedReadyAgainWaitsForTheNextTurn) {
  Part part;
  int resumed = 0;
  part.on_resume = [&] {
    ++resumed;
    loop_.mark_ready(part);
  };
  loop_.mark_ready(part);
  loop_.run_turn(true);
  EXPECT_EQ(resumed, 1);
  loop_.run_turn(true);  // does not wait
  EXPECT_EQ(resumed, 2);
}

TEST_F(EventLoopTest, WhatFlushingMakesDirtyIsFlushedInTheSameTurnButNotForEver) {
  Part first;
  Part second;
  int flushed = 0;
  first.on_flush = [&] { loop_.mark_dirty(second); };
  second.on_flush = [&] { ++flushed; };
  loop_.mark_dirty(first);
  loop_.run_turn(false);
  EXPECT_EQ(flushed, 1);
  second.on_flush = [&] {
    ++flushed;
    loop_.mark_dirty(first);
  };
  loop_.mark_dirty(first);
  loop_.run_turn(false);  // ends
  EXPECT_GT(flushed, 1);
  EXPECT_EQ(loop_.next_wakeup(), loop_.now());
}

// A question arrives, and makes two dirty. Writing the one that comes first brings an answer.
class GatheringTest : public EventLoopTest {
 protected:
  GatheringTest() {
    while (!asked_->connected() || listener_.peers().empty()) loop_.run_turn(false);
    listener_.peers()[0]->on_data([this](RawPeer&) {
      order_ += "question ";
      loop_.mark_dirty(last_);
      loop_.mark_dirty(first_);
    });
    asked_->on_data([this](RawPeer&) {
      order_ += "answer ";
      loop_.mark_dirty(last_);
      on_answer_();
    });
    first_.on_flush = [this] {
      order_ += "first ";
      listener_.peers()[0]->send("!");
    };
    last_.on_flush = [this] { order_ += "last "; };
    asked_->send("?");
  }

  RawListener listener_{engine_, {*IpAddress::parse("10.0.0.1"), 80, {}}, nullptr};
  std::unique_ptr<RawPeer> asked_ = RawPeer::connect(engine_, listener_.address());
  Part first_;
  Part last_{Flushable::Order::last};
  Action on_answer_ = [] {};
};

TEST_F(GatheringTest, WhatIsWrittenLastTakesWhatCameWhileTheOthersWereWritten) {
  loop_.run_turn(false);
  EXPECT_EQ(order_, "question first answer last ");
  EXPECT_EQ(loop_.next_wakeup(), kNever);
}

TEST_F(GatheringTest, PeersThatNeverStopDoNotKeepItFromBeingWritten) {
  on_answer_ = [this] { asked_->send("?"); };
  loop_.run_turn(false);
  EXPECT_EQ(order_, "question first answer question first answer question first last ");
}

TEST_F(GatheringTest, WithNothingWrittenInBetweenItIsSoonWrittenItself) {
  listener_.peers()[0]->on_data([this](RawPeer& self) {
    order_ += "question ";
    loop_.mark_dirty(last_);
    self.send("!");
  });
  on_answer_ = [this] { asked_->send("?"); };
  loop_.run_turn(false);
  EXPECT_EQ(order_, "question answer question last ");
}

TEST_F(GatheringTest, NobodyLooksAgainWhereAllIsWrittenFirst) {
  Part other;
  other.on_flush = last_.on_flush;
  listener_.peers()[0]->on_data([&](RawPeer&) {
    loop_.mark_dirty(first_);
    loop_.mark_dirty(other);
  });
  loop_.run_turn(false);
  EXPECT_EQ(order_, "first last ");
}

TEST_F(EventLoopTest, DestroyedObjectsLeaveEveryList) {
  auto part = std::make_unique<Part>();
  part->on_flush = part->on_resume = [] { FAIL(); };
  loop_.mark_dirty(*part);
  loop_.mark_ready(*part);
  loop_.timers().arm(part->timer, loop_.now());
  part.reset();
  loop_.run_turn(false);
  loop_.run_turn(false);
}

TEST_F(EventLoopTest, MailIsReadInOrderAndMayPostMore) {
  loop_.post([&] {
    order_ += "a";
    loop_.post([&] { order_ += "c"; });
  });
  loop_.post([&] { order_ += "b"; });
  loop_.run_turn(true);
  EXPECT_EQ(order_, "ab");
  loop_.run_turn(true);
  EXPECT_EQ(order_, "abc");
}

TEST_F(EventLoopTest, UnreadMailDiesWithTheLoop) {
  auto token = std::make_shared<int>(1);
  {
    EventLoop loop(engine_, 1);
    loop.post([token] {});
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(EventLoopTest, AnIdleLoopGivesItsBuffersBack) {
  {
    Buffer(loop_.buffers()).append("x");
  }
  EXPECT_EQ(loop_.buffers().kept(), 1u);
  const TimePoint before = loop_.now();
  loop_.run_turn(true);  // nothing else would ever wake it
  EXPECT_GT(loop_.now() - before, 1s);
  EXPECT_LT(loop_.now() - before, 2s);
  EXPECT_EQ(loop_.buffers().kept(), 0u);
}

TEST(EpollEngine, AWaitEndsAtItsOwnDeadline) {
  DescriptorBudget budget(100, 0);
  const auto engine = *EpollEngine::open(budget);
  const TimePoint start = engine->now();
  engine->poll(start + 20ms);
  EXPECT_GE(engine->now(), start + 20ms);
  // Mail ends a wait early, and its deadline is still ahead when a later one is waited for.
  engine->wake();
  engine->poll(engine->now() + 20ms);
  const TimePoint later = engine->now() + 60ms;
  engine->poll(later);
  EXPECT_GE(engine->now(), later);
  // An earlier one than was waited for before.
  engine->wake();
  engine->poll(engine->now() + 1h);
  const TimePoint sooner = engine->now() + 20ms;
  engine->poll(sooner);
  EXPECT_GE(engine->now(), sooner);
  EXPECT_LT(engine->now(), sooner + 30min);
  // One that passed while the turn was at work.
  engine->poll(sooner);
  engine->poll(engine->now() + 1ns);
  EXPECT_GT(engine->now(), sooner);
}

TEST(EventLoop, MailFromOtherThreadsWakesIt) {
  constexpr int kThreads = 2;
  constexpr int kMails = 5000;
  DescriptorBudget budget(100, 0);
  const auto engine = *EpollEngine::open(budget);
  EventLoop loop(*engine, 1);
  int last[kThreads] = {0, 0};
  bool in_order = true;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= kMails; ++i) {
        loop.post([&, t, i] {
          in_order = in_order && last[t] == i - 1;
          last[t] = i;
        });
      }
    });
  }
  const TimePoint deadline = loop.now() + 20s;
  Part guard;
  loop.timers().arm(guard.timer, deadline);
  while ((last[0] < kMails || last[1] < kMails) && loop.now() < deadline) loop.run_turn(true);
  EXPECT_EQ(last[0], kMails);
  EXPECT_EQ(last[1], kMails);
  EXPECT_TRUE(in_order);
}

}  // namespace
}  // namespace weir
