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

}  // namespace
}  // namespace weir::http2
