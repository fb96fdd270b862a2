#include "answer.h"

#include <gtest/gtest.h>

namespace weir::backend {
namespace {

TEST(Answer, KnowsItsPaths) {
  EXPECT_EQ(parse_wish("/echo").action, Action::echo);
  EXPECT_EQ(parse_wish("/echo?x=1").action, Action::echo);
  EXPECT_EQ(parse_wish("/health").action, Action::health);
  EXPECT_EQ(parse_wish("/metrics").action, Action::metrics);
  EXPECT_EQ(parse_wish("/hash").input, "weir");
  EXPECT_EQ(parse_wish("/hash?input=").input, "");
  EXPECT_EQ(parse_wish("/hash?x=1&input=a%20b+c%zz").input, "a b c%zz");
  EXPECT_EQ(parse_wish("/bytes?size=5000000000").size, 5'000'000'000u);
  for (const char* target : {"/", "/echo/", "/bytes/x", "*", "/healthy"})
    EXPECT_EQ(parse_wish(target).action, Action::not_found);
  for (const char* target :
       {"/bytes", "/bytes?size=", "/bytes?size=1k", "/bytes?size=-1", "/bytes?size=99999999999999999999"}) {
    EXPECT_EQ(parse_wish(target).action, Action::bad_size) << target;
  }
}

// The values were made with Python's hashlib.
TEST(Answer, HashesAHundredTimes) {
  EXPECT_EQ(hash_rounds("weir"), "9a12fee783308770697b53fc263680ded7e93ec497ed1dfb4e73d669afb37012");
  EXPECT_EQ(hash_json("weir", WallTime{}),
            "{\"hash\":\"9a12fee783308770697b53fc263680ded7e93ec497ed1dfb4e73d669afb37012\","
            "\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"source\":\"cpp\"}\n");
}

TEST(Answer, PatternRepeats) {
  const std::string pattern = make_pattern(200);
  ASSERT_EQ(pattern.size(), 200u);
  for (std::size_t i = kPatternPeriod; i < pattern.size(); ++i) EXPECT_EQ(pattern[i], pattern[i - kPatternPeriod]);
  EXPECT_NE(pattern[0], pattern[1]);
}

}  // namespace
}  // namespace weir::backend
