#include "net/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <vector>

#include "net/epoll_engine.h"

namespace weir {
namespace {

struct Recorder final : SignalHandler {
  void on_signal(int signal) override { seen.push_back(signal); }
  std::vector<int> seen;
};

TEST(SignalSource, HandsOutSignalsInTheLoop) {
  DescriptorBudget budget(100, 0);
  const auto engine = *EpollEngine::open(budget);
  Recorder recorder;
  const int signals[] = {SIGUSR1, SIGHUP};
  auto source = SignalSource::open(*engine, signals, recorder);
  ASSERT_TRUE(source) << source.error().message;
  engine->poll(TimePoint::min());
  EXPECT_TRUE(recorder.seen.empty());
  ASSERT_EQ(::raise(SIGUSR1), 0);
  EXPECT_TRUE(recorder.seen.empty());
  engine->poll(engine->now() + 5s);
  EXPECT_EQ(recorder.seen, std::vector<int>{SIGUSR1});
  ASSERT_EQ(::raise(SIGHUP), 0);
  engine->poll(engine->now() + 5s);
  EXPECT_EQ(recorder.seen, (std::vector<int>{SIGUSR1, SIGHUP}));
}

}  // namespace
}  // namespace weir
