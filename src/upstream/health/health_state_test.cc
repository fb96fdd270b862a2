#include "upstream/health/health_state.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <vector>

namespace weir::health {
namespace {

using Phase = HealthState::Phase;

TEST(HealthState, StartsHealthyAndFallsAfterFailuresInARow) {
  HealthState state;
  EXPECT_TRUE(state.healthy());
  EXPECT_FALSE(state.on_outcome(Outcome::failure, 3, 2));
  EXPECT_FALSE(state.on_outcome(Outcome::failure, 3, 2));
  EXPECT_FALSE(state.on_outcome(Outcome::success, 3, 2));
  EXPECT_FALSE(state.on_outcome(Outcome::failure, 3, 2));
  EXPECT_FALSE(state.on_outcome(Outcome::failure, 3, 2));
  EXPECT_TRUE(state.on_outcome(Outcome::failure, 3, 2));
  EXPECT_EQ(state.phase(), Phase::down);
}

TEST(HealthState, RisesAfterSuccessesInARow) {
  HealthState state;
  state.on_outcome(Outcome::failure, 1, 2);
  EXPECT_FALSE(state.on_outcome(Outcome::success, 1, 2));
  EXPECT_FALSE(state.on_outcome(Outcome::failure, 1, 2));
  EXPECT_FALSE(state.on_outcome(Outcome::success, 1, 2));
  EXPECT_TRUE(state.on_outcome(Outcome::success, 1, 2));
  EXPECT_TRUE(state.healthy());
}

TEST(HealthState, RefusalCountsAtOnceAndOneSuccessRestores) {
  HealthState state;
  EXPECT_TRUE(state.on_refused());
  EXPECT_FALSE(state.on_refused());
  EXPECT_EQ(state.phase(), Phase::refused);
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(state.on_outcome(Outcome::refused, 3, 5));
  EXPECT_TRUE(state.on_outcome(Outcome::success, 3, 5));
  EXPECT_TRUE(state.healthy());
}

TEST(HealthState, ARefusedProbeCountsLikeRefusedTraffic) {
  HealthState state;
  EXPECT_TRUE(state.on_outcome(Outcome::refused, 3, 2));
  EXPECT_EQ(state.phase(), Phase::refused);
}

TEST(HealthState, RefusalOfADownBackendChangesNothing) {
  HealthState state;
  state.on_outcome(Outcome::failure, 1, 2);
  EXPECT_FALSE(state.on_refused());
  EXPECT_EQ(state.phase(), Phase::down);
  EXPECT_FALSE(state.on_outcome(Outcome::success, 1, 2)) << "it still has to rise";
}

TEST(HealthState, OwnTroubleNeverCounts) {
  EXPECT_TRUE(rc::check([](const std::vector<bool>& outcomes, bool start_refused) {
    HealthState with, without;
    if (start_refused) {
      with.on_refused();
      without.on_refused();
    }
    for (const bool good : outcomes) {
      const Outcome outcome = good ? Outcome::success : Outcome::failure;
      RC_ASSERT(!with.on_outcome(Outcome::inconclusive, 3, 2));
      RC_ASSERT(with.on_outcome(outcome, 3, 2) == without.on_outcome(outcome, 3, 2));
      RC_ASSERT(with.phase() == without.phase());
    }
  }));
}

}  // namespace
}  // namespace weir::health
