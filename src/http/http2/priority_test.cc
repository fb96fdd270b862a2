#include "http/http2/priority.h"

#include <gtest/gtest.h>

namespace weir::http2 {
namespace {

TEST(Priority, IsReadFromItsField) {
  const struct {
    std::string_view value;
    Priority expected;
  } cases[] = {
      {"", {3, false}},       {"u=0", {0, false}},           {"u=7, i", {7, true}},       {"i,u=1", {1, true}},
      {"i=?1", {3, true}},    {"i, i=?0", {3, false}},       {"u=2;x=1, i;y", {2, true}}, {"u=5, u=4", {4, false}},
      {"u=8", {3, false}},    {"u=-1", {3, false}},          {"u=10", {3, false}},        {"u", {3, false}},
      {"U=1, I", {3, false}}, {"a=b, c;d, u=6", {6, false}}, {",,,;;=", {3, false}},
  };
  for (const auto& [value, expected] : cases) EXPECT_EQ(parse_priority(value), expected) << value;
}

TEST(Priority, MayBeSaidBeforeItsStreamBegins) {
  EarlyPriorities early;
  EXPECT_EQ(early.take(1), std::nullopt);
  early.note(7, {1, true});
  early.note(3, {5, false});
  early.note(5, {6, false});
  early.note(7, {0, false});
  EXPECT_EQ(early.take(5), (Priority{6, false}));
  EXPECT_EQ(early.take(3), std::nullopt);  // it can't begin behind 5
  EXPECT_EQ(early.take(7), (Priority{0, false}));
  EXPECT_EQ(early.take(7), std::nullopt);
  for (std::uint32_t id = 1; id <= EarlyPriorities::kMax + 1; ++id) early.note(id, {2, false});
  early.note(2, {4, false});
  EXPECT_EQ(early.take(1), std::nullopt);
  EXPECT_EQ(early.take(2), (Priority{4, false}));
  EXPECT_EQ(early.take(EarlyPriorities::kMax + 1), (Priority{2, false}));
}

}  // namespace
}  // namespace weir::http2
