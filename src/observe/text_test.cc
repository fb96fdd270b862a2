#include "observe/text.h"

#include <gtest/gtest.h>

namespace weir::observe {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string rfc3339(WallTime time) {
  std::string out;
  append_rfc3339(out, time);
  return out;
}

TEST(Text, JsonStrings) {
  using namespace std::string_view_literals;
  EXPECT_EQ(json(""), "\"\"");
  EXPECT_EQ(json("a\"b\\c\n\r\t"), R"("a\"b\\c\n\r\t")");
  EXPECT_EQ(json("\0\x01\x1f\x7f"sv), "\"\\u0000\\u0001\\u001f\x7f\"");
  EXPECT_EQ(json("gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80"), "\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80\"");
  EXPECT_EQ(json("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
  EXPECT_EQ(json("\xC3"), "\"\xEF\xBF\xBD\"");
}

TEST(Text, Utf8HasOneFormForEachCharacter) {
  EXPECT_EQ(utf8_sequence_size("a"), 1u);
  EXPECT_EQ(utf8_sequence_size("\xC2\x80"), 2u);
  EXPECT_EQ(utf8_sequence_size("\xEF\xBF\xBD"), 3u);
  EXPECT_EQ(utf8_sequence_size("\xF4\x8F\xBF\xBF"), 4u);
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xC3(", "\xFF"}) {
    EXPECT_EQ(utf8_sequence_size(bad), 0u) << bad;
  }
}

TEST(Text, Times) {
  EXPECT_EQ(rfc3339(WallTime(0s)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(rfc3339(WallTime(1'795'251'600s + 1234567ns)), "2026-11-21T09:00:00.001234Z");
  EXPECT_EQ(rfc3339(WallTime(951'782'399s)), "2000-02-28T23:59:59.000000Z");
  EXPECT_EQ(rfc3339(WallTime(951'782'400s)), "2000-02-29T00:00:00.000000Z");
  EXPECT_EQ(rfc3339(WallTime(-1ns)), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(rfc3339(WallTime::max()), "2262-04-11T23:47:16.854775Z");
  EXPECT_EQ(rfc3339(WallTime::min()), "1677-09-21T00:12:43.145224Z");
  std::string clf;
  append_clf_time(clf, WallTime(1'795'251'600s));
  EXPECT_EQ(clf, "21/Nov/2026:09:00:00 +0000");
}

TEST(Text, Seconds) {
  const auto seconds = [](std::uint64_t nanoseconds, bool point) {
    std::string out;
    append_seconds(out, nanoseconds, point);
    return out;
  };
  EXPECT_EQ(seconds(0, false), "0");
  EXPECT_EQ(seconds(0, true), "0.0");
  EXPECT_EQ(seconds(100'000, false), "0.0001");
  EXPECT_EQ(seconds(2'500'000'000, true), "2.5");
  EXPECT_EQ(seconds(1, false), "0.000000001");
  EXPECT_EQ(seconds(~std::uint64_t{0}, false), "18446744073.709551615");
}

}  // namespace
}  // namespace weir::observe
