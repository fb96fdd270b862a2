#include "observe/logger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "observe/memory_log.h"
#include "observe/test_json.h"

namespace weir::observe {
namespace {

using testing::ElementsAre;

constexpr WallTime kNoon{1'795'251'600s};

TEST(Logger, Text) {
  MemoryLogger logger;
  logger.info(kNoon, "backend is healthy", {{"cluster", "app"}, {"name", "b 1"}, {"n", 3u}, {"m", -1}});
  logger.warn(kNoon, "say \"hi\"\n", {{"empty", ""}, {"ok", true}, {"equals", "a=b"}});
  EXPECT_THAT(logger.lines(),
              ElementsAre("2026-11-21T09:00:00.000000Z info backend is healthy cluster=app name=\"b 1\" n=3 m=-1",
                          "2026-11-21T09:00:00.000000Z warn say \"hi\"\\n empty=\"\" ok=true equals=\"a=b\""));
}

TEST(Logger, Json) {
  MemoryLogger logger(LogLevel::kDebug, LogFormat::kJson);
  logger.error(kNoon, "bad \"file\"", {{"path", "/x"}, {"line", 12}, {"again", false}});
  EXPECT_THAT(logger.lines(),
              ElementsAre(R"({"time":"2026-11-21T09:00:00.000000Z","level":"error","message":"bad \"file\"",)"
                          R"("path":"/x","line":12,"again":false})"));
}

TEST(Logger, LevelsBelowAreLeftOut) {
  MemoryLogger logger(LogLevel::kWarn);
  logger.debug(kNoon, "a");
  logger.info(kNoon, "b");
  logger.warn(kNoon, "c");
  logger.error(kNoon, "d");
  EXPECT_EQ(logger.lines().size(), 2u);
  logger.set_level(LogLevel::kDebug);
  logger.debug(kNoon, "e");
  EXPECT_EQ(logger.lines().size(), 3u);
}

TEST(Logger, LevelNames) {
  for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    EXPECT_EQ(parse_log_level(name_of(level)), level);
  }
  EXPECT_EQ(parse_log_level("warning"), std::nullopt);
}

RC_GTEST_PROP(Logger, AnyTextIsOneValidLine, ()) {
  const auto bytes = *rc::gen::container<std::string>(rc::gen::cast<char>(rc::gen::inRange(0, 256)));
  for (LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    std::string line;
    format_log_line(format, kNoon, LogLevel::kInfo, bytes, {{"key", bytes}}, line);
    RC_ASSERT(line.find('\n') == line.size() - 1);
    if (format == LogFormat::kText) continue;
    const auto members = FlatJson::parse(line);
    RC_ASSERT(members.has_value());
    RC_ASSERT(members->size() == 4u);
  }
}

TEST(RateLimited, SaysHowManyWereLeftOut) {
  MemoryLogger logger;
  RateLimited limited(2);
  const TimePoint start{100s};
  for (int i = 0; i < 5; ++i) limited.log(logger, start + i * 1ms, kNoon, LogLevel::kWarn, "bad bytes");
  EXPECT_EQ(logger.lines().size(), 2u);
  limited.log(logger, start + 999ms, kNoon, LogLevel::kWarn, "bad bytes");
  EXPECT_EQ(logger.lines().size(), 2u);
  limited.log(logger, start + 1s, kNoon, LogLevel::kWarn, "bad bytes");
  ASSERT_EQ(logger.lines().size(), 4u);
  EXPECT_THAT(logger.lines()[2], testing::EndsWith("warn suppressed similar lines count=4 line=\"bad bytes\""));
  EXPECT_THAT(logger.lines()[3], testing::EndsWith("warn bad bytes"));
  limited.log(logger, start + 10s, kNoon, LogLevel::kWarn, "bad bytes");
  EXPECT_EQ(logger.lines().size(), 5u);
}

}  // namespace
}  // namespace weir::observe
