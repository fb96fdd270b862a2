#include "proxy/request_id.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "proxy/forwarding.h"

namespace weir::proxy {
namespace {

TEST(RequestIds, AreTheRandomNumbersInHex) {
  RequestIds ids{Rng(7)};
  Rng same(7);
  for (int i = 0; i < 1000; ++i) {
    char text[RequestIds::kSize];
    ids.write(text);
    char wanted[RequestIds::kSize + 1];
    const auto high = static_cast<unsigned long long>(same.next());
    const auto low = static_cast<unsigned long long>(same.next());
    std::snprintf(wanted, sizeof wanted, "%016llx%016llx", high, low);
    ASSERT_EQ(std::string(text, sizeof text), wanted);
  }
}

TEST(RequestIds, DifferAndMayBePassedOn) {
  RequestIds ids{Rng(1)};
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    char text[RequestIds::kSize];
    ids.write(text);
    EXPECT_TRUE(is_request_id({text, sizeof text}));
    seen.emplace(text, sizeof text);
  }
  EXPECT_EQ(seen.size(), 10'000U);
}

}  // namespace
}  // namespace weir::proxy
