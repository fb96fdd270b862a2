#include "proxy/held_responses.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace weir::proxy {
namespace {

constexpr std::size_t kStream = 1000;

// Has streams of kStream bytes each.
class Holder final : public ResponseHolder {
 public:
  explicit Holder(HeldResponses& held) : held_(held) {}
  ~Holder() { held_.settle(*this, 0, 0); }
  void hold(std::size_t streams) {
    streams_ += streams;
    held_.settle(*this, streams_ * kStream, streams_);
  }
  std::size_t cut_held(std::size_t wanted) override {
    const std::size_t cut = std::min(streams_, wanted / kStream + 1);
    streams_ -= cut;
    held_.settle(*this, streams_ * kStream, streams_);
    return cut * kStream;
  }
  std::size_t streams() const { return streams_; }

 private:
  HeldResponses& held_;
  std::size_t streams_ = 0;
};

TEST(HeldResponses, AreCounted) {
  HeldResponses held;
  Holder one(held);
  {
    Holder other(held);
    one.hold(3);
    other.hold(2);
    EXPECT_EQ(held.bytes(), 5 * kStream);
    EXPECT_FALSE(held.above(4 * 5 * kStream / 3 + 8));
    EXPECT_TRUE(held.above(4 * 5 * kStream / 3 - 8));
  }
  EXPECT_EQ(held.bytes(), 3 * kStream);
}

TEST(HeldResponses, AreTightFromAThirtySecondOfTheLimitOn) {
  HeldResponses held;
  held.pending = {.bytes = 5000, .streams = 1};
  held.upstream_bytes = 1000;
  const std::size_t all = 6000 + HeldResponses::kStreamBytes;
  EXPECT_FALSE(held.tight(32 * all));
  EXPECT_TRUE(held.tight(32 * all - 32));
}

TEST(HeldResponses, RequestsThatWillBeHeldAreRefusedAboveTheLimit) {
  HeldResponses held;
  constexpr std::size_t kLimit = 80 * HeldResponses::kStreamBytes;
  held.begun = 59;
  EXPECT_FALSE(held.refuses(kLimit));
  held.begun = 60;
  EXPECT_TRUE(held.refuses(kLimit));
  held.begun = 0;
  Holder other(held);
  other.hold(kLimit / kStream);
  EXPECT_TRUE(held.refuses(kLimit));
}

TEST(HeldResponses, WhatIsTheConnectionsOwnLeavesLessForOthersButNeverNothing) {
  HeldResponses held;
  constexpr std::size_t kLimit = 1600 * kStream;
  Holder slow(held), other(held);
  held.settle(slow, 0, 0, 100 * kLimit);
  EXPECT_TRUE(slow.counted());
  EXPECT_FALSE(held.above(kLimit));
  other.hold(250);
  EXPECT_FALSE(held.above(kLimit));
  other.hold(100);
  EXPECT_TRUE(held.above(kLimit));
  held.relieve(kLimit);
  EXPECT_FALSE(held.above(kLimit));
  EXPECT_GE(other.streams(), 80U);
  EXPECT_TRUE(slow.counted());
}

TEST(HeldResponses, WhoseSocketTakesSomethingGoesLater) {
  HeldResponses held;
  Holder slow(held), stalled(held);
  held.settle(slow, 100 * kStream, 100, kStream);
  held.settle(stalled, 100 * kStream, 100, kStream);
  held.note_progress(slow);
  held.relieve(240 * kStream);
  EXPECT_EQ(slow.held_bytes(), 100 * kStream);
  EXPECT_LT(stalled.held_bytes(), 100 * kStream);
}

TEST(HeldResponses, WhoHoldsLessThanTheAverageIsSpared) {
  HeldResponses held;
  Holder small(held);
  Holder much(held);
  Holder as_much(held);
  small.hold(1);
  much.hold(100);
  as_much.hold(100);
  held.relieve(160 * kStream);
  EXPECT_EQ(small.streams(), 1U);
  EXPECT_LE(held.bytes(), 100 * kStream);
  EXPECT_GE(held.bytes(), 90 * kStream);
  EXPECT_GE(std::min(much.streams(), as_much.streams()), 20U);
}

TEST(HeldResponses, ASingleStreamGoesLast) {
  HeldResponses held;
  Holder single(held);
  Holder many(held);
  held.settle(single, 120 * kStream, 1);
  many.hold(1900);
  held.relieve(2000 * kStream);
  EXPECT_EQ(single.held_bytes(), 120 * kStream);
  EXPECT_LE(many.streams(), 1130U);
  // ... but it goes where it is large.
  held.settle(single, 1000 * kStream, 1);
  held.relieve(2000 * kStream);
  EXPECT_EQ(single.held_bytes(), 0U);
}

TEST(HeldResponses, OfEqualsTheOldestGoFirst) {
  HeldResponses held;
  Holder first(held), second(held), third(held);
  for (Holder* holder : {&second, &first, &third}) holder->hold(1);
  held.relieve(3 * kStream + 600);
  EXPECT_EQ(second.streams(), 0U);
  EXPECT_EQ(first.streams() + third.streams(), 2U);
}

}  // namespace
}  // namespace weir::proxy
