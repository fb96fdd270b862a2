#include "sim/replay_notice.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/assert.h"
#include "sim/scenario.h"

namespace weir::sim {
namespace {

TEST(ReplayNoticeDeathTest, ABrokenInvariantNamesTheSeed) {
  EXPECT_DEATH(
      {
        const ReplayNotice notice(7);
        WEIR_CHECK(false);
      },
      "invariant broken: false\nreplay with: tools/simulate --seed 7 --count 1 --trace\n");
}

TEST(ReplayNoticeDeathTest, OnlyTheOneUnderWay) {
  EXPECT_DEATH(
      {
        {
          const ReplayNotice over(7);
        }
        const ReplayNotice notice(8);
        WEIR_CHECK(false);
      },
      "broken: false\nreplay with: tools/simulate --seed 8 ");
  // Whoever dies later has nothing to do with it.
  EXPECT_EXIT(
      {
        {
          const ReplayNotice over(7);
        }
        WEIR_CHECK(false);
      },
      testing::KilledBySignal(SIGABRT), "broken: false\n$");
}

TEST(ReplayNoticeDeathTest, ABadAddressNamesTheSeedToo) {
  EXPECT_DEATH(
      {
        const ReplayNotice notice(7);
        raise(SIGSEGV);
      },
      "replay with: tools/simulate --seed 7 ");
}

TEST(ReplayNoticeDeathTest, EverySchedule) {
  EXPECT_DEATH(run_scenario(3, [](std::string_view) { WEIR_CHECK(false); }), "replay with: tools/simulate --seed 3 ");
}

}  // namespace
}  // namespace weir::sim
