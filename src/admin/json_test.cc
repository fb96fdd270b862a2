#include "admin/json.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace weir::admin {
namespace {

template <typename T>
int status_of(const Parsed<T>& parsed) {
  return parsed ? 0 : parsed.error().status;
}

TEST(Json, WritesWhatTheInterfaceSays) {
  const BackendView backend{"b\"1", "http://127.0.0.1:8001", 2, BackendState::draining, false, "http1", 3, 4};
  const std::string json =
      R"({"name":"b\"1","url":"http://127.0.0.1:8001","weight":2,"state":"draining","healthy":false,)"
      R"("protocol":"http1","active_connections":3,"requests_total":4})";
  EXPECT_EQ(backend_json(backend), json);
  EXPECT_EQ(clusters_json({{"app", "round_robin", {backend}}, {"none", "random", {}}}),
            R"({"clusters":[{"name":"app","balance":"round_robin","backends":[)" + json +
                R"(]},{"name":"none","balance":"random","backends":[]}]})");
  EXPECT_EQ(error_json("a\n\"b\""), R"({"error":"a\n\"b\""})");
  EXPECT_EQ(config_json({7, std::make_shared<const std::string>(R"({"workers":2})")}),
            R"({"generation":7,"config":{"workers":2}})");
  EXPECT_EQ(routes_json("[]"), R"({"routes":[]})");
  EXPECT_EQ(generation_json(12), R"({"generation":12})");
}

TEST(Json, ReadsANewBackend) {
  const auto full = parse_new_backend(R"( {"name":"b","url":"http://h:1","weight":0,"max_connections":7} )");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->name, "b");
  EXPECT_EQ(full->url, "http://h:1");
  EXPECT_EQ(full->weight, 0u);
  EXPECT_EQ(full->max_connections, 7u);
  const auto least = parse_new_backend(R"({"url":"http://h:1"})");
  ASSERT_TRUE(least);
  EXPECT_EQ(least->name, std::nullopt);
  EXPECT_EQ(least->weight, 1u);
  EXPECT_EQ(least->max_connections, std::nullopt);
}

TEST(Json, RefusesWhatIsNotJson) {
  for (std::string_view body :
       {"", "{", "{\"url\":}", "{\"url\":\"a\"} x", "{'url':1}", "{\"url\":\"\xff\"}", "\xef\xbb"}) {
    EXPECT_EQ(status_of(parse_new_backend(body)), 400) << body;
  }
  EXPECT_EQ(status_of(parse_new_backend(std::string_view("{\"url\":\"a\"}\0{", 14))), 400);
}

TEST(Json, RefusesWhatDoesNotFit) {
  for (const char* body :
       {"[]", "1", "\"x\"", "null", "{}", R"([{"url":"a"}])", R"({"url":1})", R"({"url":""})", R"({"url":["a"]})",
        R"({"url":"a","weight":-1})", R"({"url":"a","weight":1.5})", R"({"url":"a","weight":"1"})",
        R"({"url":"a","weight":99999999999})", R"({"url":"a","weight":1000001})", R"({"url":"a","max_connections":0})",
        R"({"url":"a","max_connections":null})", R"({"url":"a","url":"b"})", R"({"url":"a","color":"red"})",
        R"({"url":"a","weight":{"weight":1}})"}) {
    EXPECT_EQ(status_of(parse_new_backend(body)), 422) << body;
  }
  EXPECT_EQ(parse_new_backend(R"({"url":"a","color":1})").error().message, "unknown key \"color\"");
}

TEST(Json, DepthCostsNothing) {
  std::string deep = R"({"url":)" + std::string(30'000, '[') + std::string(30'000, ']') + "}";
  EXPECT_EQ(status_of(parse_new_backend(deep)), 422);
  deep.pop_back();
  EXPECT_EQ(status_of(parse_new_backend(deep)), 400);
}

TEST(Json, ReadsAPatch) {
  EXPECT_EQ(parse_backend_patch(R"({"weight":3})")->weight, 3u);
  EXPECT_EQ(parse_backend_patch(R"({"state":"disabled"})")->state, BackendState::disabled);
  for (const char* body : {"{}", R"({"state":"off"})", R"({"state":1})", R"({"weight":"3"})", R"({"url":"a"})"}) {
    EXPECT_EQ(status_of(parse_backend_patch(body)), 422) << body;
  }
}

TEST(Json, ReloadTakesNothing) {
  EXPECT_EQ(status_of(parse_nothing("")), 0);
  EXPECT_EQ(status_of(parse_nothing("{}")), 0);
  EXPECT_EQ(status_of(parse_nothing("{\"force\":true}")), 422);
  EXPECT_EQ(status_of(parse_nothing("x")), 400);
}

TEST(Json, AnyBytesGiveAnAnswer) {
  EXPECT_TRUE(rc::check([](const std::string& body) {
    const auto parsed = parse_new_backend(body);
    RC_ASSERT(parsed.has_value() || parsed.error().status == 400 || parsed.error().status == 422);
    RC_ASSERT(error_json(body).starts_with("{\"error\":"));
  }));
}

}  // namespace
}  // namespace weir::admin
