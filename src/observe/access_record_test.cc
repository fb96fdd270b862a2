#include "observe/access_record.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>

#include "observe/test_json.h"

namespace weir::observe {
namespace {

AccessRecord example() {
  return {.time = WallTime(1'795'251'600s + 250us),
          .listener = "web",
          .route = "api",
          .cluster = "app",
          .backend = "backend-8001",
          .client = "192.0.2.7",
          .method = "GET",
          .host = "example.com",
          .path = "/a?b=1",
          .protocol = "HTTP/1.1",
          .reason = "",
          .request_id = "r-1",
          .user_agent = "curl/8",
          .referer = "",
          .request_bytes = 1,
          .response_bytes = 64,
          .duration_us = 900,
          .upstream_us = 800,
          .attempts = 2,
          .worker = 3,
          .status = 200};
}

std::string json(const AccessRecord& record) {
  std::string out;
  format_json(record, out);
  return out;
}

std::string combined(const AccessRecord& record) {
  std::string out;
  format_combined(record, out);
  return out;
}

TEST(AccessRecord, Json) {
  EXPECT_EQ(json(example()),
            R"({"time":"2026-11-21T09:00:00.000250Z","listener":"web","route":"api","cluster":"app",)"
            R"("backend":"backend-8001","client":"192.0.2.7","method":"GET","host":"example.com","path":"/a?b=1",)"
            R"("protocol":"HTTP/1.1","status":200,"reason":"","request_bytes":1,"response_bytes":64,"duration_us":900,)"
            R"("upstream_us":800,"attempts":2,"request_id":"r-1","worker":3,"user_agent":"curl/8","referer":""})"
            "\n");
}

TEST(AccessRecord, Combined) {
  EXPECT_EQ(combined(example()),
            "192.0.2.7 - - [21/Nov/2026:09:00:00 +0000] \"GET /a?b=1 HTTP/1.1\" 200 64 \"-\" \"curl/8\"\n");
}

TEST(AccessRecord, CombinedOfNothing) {
  EXPECT_EQ(combined({}), "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 0 - \"-\" \"-\"\n");
}

TEST(AccessRecord, CombinedEscapesAsApacheDoes) {
  AccessRecord record = example();
  record.user_agent = "a\"b\\c\x01\x7f\xC3\xBC\n\t";
  record.client = "unix: x";
  EXPECT_EQ(combined(record),
            "unix:\\x20x - - [21/Nov/2026:09:00:00 +0000] \"GET /a?b=1 HTTP/1.1\" 200 64 \"-\" "
            "\"a\\\"b\\\\c\\x01\\x7f\\xc3\\xbc\\n\\t\"\n");
}

RC_GTEST_PROP(AccessRecord, JsonIsAlwaysValidAndComplete, (const std::string& path, const std::string& agent)) {
  const auto bytes = *rc::gen::container<std::string>(rc::gen::cast<char>(rc::gen::inRange(0, 256)));
  AccessRecord record = example();
  record.path = path;
  record.user_agent = agent;
  record.referer = bytes;
  record.host = bytes;
  record.response_bytes = *rc::gen::arbitrary<std::uint64_t>();
  const std::string line = json(record);
  RC_ASSERT(line.find('\n') == line.size() - 1);
  const auto members = FlatJson::parse(line);
  RC_ASSERT(members.has_value());
  RC_ASSERT(members->size() == 21u);
  std::map<std::string, std::string> values(members->begin(), members->end());
  RC_ASSERT(values.size() == 21u);
  RC_ASSERT(values.at("response_bytes") == std::to_string(record.response_bytes));
  const bool ascii = std::ranges::all_of(path, [](char c) { return c >= 0; });
  if (ascii) RC_ASSERT(values.at("path") == path);
}

RC_GTEST_PROP(AccessRecord, CombinedIsOneLineOfPrintableAscii, ()) {
  const auto bytes = *rc::gen::container<std::string>(rc::gen::cast<char>(rc::gen::inRange(0, 256)));
  AccessRecord record = example();
  record.client = record.method = record.path = record.referer = record.user_agent = bytes;
  std::string line = combined(record);
  RC_ASSERT(line.back() == '\n');
  line.pop_back();
  int quotes = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    RC_ASSERT(line[i] >= 0x20 && line[i] < 0x7F);
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      ++quotes;
    }
  }
  RC_ASSERT(quotes == 6);
}

}  // namespace
}  // namespace weir::observe
