#include "options.h"

#include <gtest/gtest.h>

#include <string_view>

namespace weir::backend {
namespace {

const char* full(const char* name) {
  const std::string_view key(name);
  if (key == "BACKEND_NAME") return "blue";
  if (key == "BASE_DELAY_MS") return "5";
  if (key == "JITTER_MS") return "7";
  return key == "FAIL_PCT" ? "25" : nullptr;
}

TEST(Options, EnvironmentFillsIn) {
  Options options;
  ASSERT_TRUE(read_environment(options, full));
  EXPECT_EQ(options.name, "blue");
  EXPECT_EQ(options.base_delay_ms, 5u);
  EXPECT_EQ(options.jitter_ms, 7u);
  EXPECT_EQ(options.fail_percent, 25u);
}

TEST(Options, NameOnTheCommandLineWins) {
  Options options;
  options.name = "green";
  ASSERT_TRUE(read_environment(options, full));
  EXPECT_EQ(options.name, "green");
}

TEST(Options, WrongNumbersAreNamed) {
  Options options;
  const auto read =
      read_environment(options, [](const char* name) { return std::string_view(name) == "FAIL_PCT" ? "101" : ""; });
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("FAIL_PCT"), std::string::npos);
  EXPECT_FALSE(
      read_environment(options, [](const char* name) { return std::string_view(name) == "JITTER_MS" ? "1s" : ""; }));
}

TEST(Options, WorkersAreANumberOrAutomatic) {
  EXPECT_EQ(parse_workers("auto", 3), 3u);
  EXPECT_EQ(parse_workers("2", 3), 2u);
  for (const char* wrong : {"0", "257", "-1", "2x", "", "many"}) EXPECT_FALSE(parse_workers(wrong, 3)) << wrong;
}

TEST(Options, NameFollowsThePort) {
  EXPECT_EQ(final_name({}, SocketAddress::parse("127.0.0.1:8003").value()), "backend-8003");
  EXPECT_EQ(final_name({}, SocketAddress::parse("unix:/tmp/b.sock").value()), "backend");
}

}  // namespace
}  // namespace weir::backend
