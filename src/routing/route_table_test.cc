#include "routing/route_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "http/authority.h"
#include "http/path.h"

namespace weir::routing {
namespace {

class RouteTableTest : public testing::Test {
 protected:
  std::uint32_t find(const std::vector<RouteMatch>& routes, std::string_view authority, std::string_view target,
                     std::string_view method = "GET") {
    std::string host_scratch(authority.size(), '\0');
    std::string path_scratch(target.size(), '\0');
    return RouteTable::build(routes).find({http::normalise_host(authority, host_scratch),
                                           http::normalise_path(target, path_scratch).path, method, fields_});
  }
  bool matches(const RouteMatch& route, std::string_view authority, std::string_view target,
               std::string_view method = "GET") {
    return find({route}, authority, target, method) == 0;
  }

  BufferPool pool_;
  Arena arena_{pool_};
  http::FieldList fields_{arena_};
};

RouteMatch with_host(std::string host) {
  return {std::move(host), {}, {}, {}, {}};
}
RouteMatch with_path(std::string path) {
  return {"", std::move(path), {}, {}, {}};
}
RouteMatch with_prefix(std::string prefix) {
  return {"", {}, std::move(prefix), {}, {}};
}
RouteMatch with_header(std::string name, std::string value) {
  return {"", {}, {}, {}, {{std::move(name), std::move(value)}}};
}

TEST_F(RouteTableTest, NothingMatchesInAnEmptyTable) {
  EXPECT_EQ(find({}, "a", "/"), kNoRoute);
}

TEST_F(RouteTableTest, ARouteWithoutConditionsMatchesEverything) {
  EXPECT_TRUE(matches({}, "a", "/x"));
  EXPECT_TRUE(matches({}, "", "*", "OPTIONS"));
}

TEST_F(RouteTableTest, HostIgnoresCaseAndPort) {
  EXPECT_TRUE(matches(with_host("Shop.Example.com"), "sHOP.example.COM:8080", "/"));
  EXPECT_FALSE(matches(with_host("shop.example.com"), "example.com", "/"));
  EXPECT_FALSE(matches(with_host("shop.example.com"), "", "/"));
  EXPECT_TRUE(matches(with_host("[::1]"), "[::1]:80", "/"));
}

TEST_F(RouteTableTest, AWildcardIsOneOrMoreLabelsAndNotTheBareName) {
  const RouteMatch route = with_host("*.Example.com");
  EXPECT_TRUE(matches(route, "a.example.com", "/"));
  EXPECT_TRUE(matches(route, "a.b.c.EXAMPLE.com:1", "/"));
  EXPECT_FALSE(matches(route, "example.com", "/"));
  EXPECT_FALSE(matches(route, "anexample.com", "/"));
  EXPECT_FALSE(matches(route, ".example.com", "/"));
  EXPECT_FALSE(matches(route, "a.example.com.net", "/"));
  EXPECT_TRUE(matches(with_host("*.com"), "x.com", "/"));
}

TEST_F(RouteTableTest, APrefixMatchesWholeSegments) {
  for (const char* prefix : {"/api", "/api/", "/%61pi/.", "/x/../api"}) {
    EXPECT_TRUE(matches(with_prefix(prefix), "a", "/api")) << prefix;
    EXPECT_TRUE(matches(with_prefix(prefix), "a", "/api/")) << prefix;
    EXPECT_TRUE(matches(with_prefix(prefix), "a", "/api/x/y?q")) << prefix;
    EXPECT_TRUE(matches(with_prefix(prefix), "a", "/ap%69?q")) << prefix;
    EXPECT_FALSE(matches(with_prefix(prefix), "a", "/apix")) << prefix;
    EXPECT_FALSE(matches(with_prefix(prefix), "a", "/")) << prefix;
    EXPECT_FALSE(matches(with_prefix(prefix), "a", "/API")) << prefix;
    EXPECT_FALSE(matches(with_prefix(prefix), "a", "/api%2Fx")) << prefix;
    EXPECT_FALSE(matches(with_prefix(prefix), "a", "/api/%2e%2E/x")) << prefix;
  }
}

TEST_F(RouteTableTest, APrefixOfOneSlashIsEveryPath) {
  for (const char* prefix : {"/", ""}) {
    EXPECT_TRUE(matches(with_prefix(prefix), "a", "/"));
    EXPECT_TRUE(matches(with_prefix(prefix), "a", "/x/y"));
    EXPECT_FALSE(matches(with_prefix(prefix), "a", "*", "OPTIONS"));
  }
}

TEST_F(RouteTableTest, EmptySegmentsAreSegments) {
  EXPECT_TRUE(matches(with_prefix("/a//b"), "a", "/a//b/c"));
  EXPECT_FALSE(matches(with_prefix("/a//b"), "a", "/a/b"));
  EXPECT_TRUE(matches(with_prefix("/a//"), "a", "/a//b"));
  EXPECT_FALSE(matches(with_prefix("/a//"), "a", "/a/b"));
}

TEST_F(RouteTableTest, DeepPrefixesAreFound) {
  std::string deep;
  for (int i = 0; i < 100; ++i) {
    deep += "/s" + std::to_string(i);
    EXPECT_TRUE(matches(with_prefix(deep), "a", deep + "/more"));
    EXPECT_TRUE(matches(with_prefix(deep), "a", deep));
    EXPECT_FALSE(matches(with_prefix(deep + "/x"), "a", deep + "/y"));
    EXPECT_EQ(find({with_prefix(deep), with_prefix("/s0")}, "a", "/s0/s1"), i < 2 ? 0U : 1U);
  }
}

TEST_F(RouteTableTest, AnExactPathIsTheWholePath) {
  EXPECT_TRUE(matches(with_path("/a/b"), "a", "/a/./b?q"));
  EXPECT_FALSE(matches(with_path("/a/b"), "a", "/a/b/"));
  EXPECT_FALSE(matches(with_path("/a/b"), "a", "/a"));
  EXPECT_TRUE(matches(with_path("*"), "a", "*", "OPTIONS"));
}

TEST_F(RouteTableTest, PathAndPrefixMustBothHold) {
  EXPECT_TRUE(matches({"", "/a/b", "/a", {}, {}}, "h", "/a/b"));
  EXPECT_FALSE(matches({"", "/a/b", "/a", {}, {}}, "h", "/a/c"));
  EXPECT_FALSE(matches({"", "/ab", "/a", {}, {}}, "h", "/ab"));
}

TEST_F(RouteTableTest, MethodsAreCaseSensitiveAndGetIsNotHead) {
  const RouteMatch route{"", {}, {}, {"GET", "POST"}, {}};
  EXPECT_TRUE(matches(route, "a", "/", "GET"));
  EXPECT_TRUE(matches(route, "a", "/", "POST"));
  EXPECT_FALSE(matches(route, "a", "/", "HEAD"));
  EXPECT_FALSE(matches(route, "a", "/", "get"));
}

TEST_F(RouteTableTest, HeaderValuesMatchExactlyAndAnyLineWill) {
  fields_.add_copy("X-Team", "red");
  fields_.add_copy("x-team", "Blue");
  fields_.add_copy("host", "a.example:80");
  fields_.add_copy("x-gone", "1");
  fields_.remove("x-gone");
  EXPECT_TRUE(matches(with_header("x-TEAM", "Blue"), "a", "/"));
  EXPECT_TRUE(matches(with_header("x-team", "red"), "a", "/"));
  EXPECT_FALSE(matches(with_header("x-team", "blue"), "a", "/"));
  EXPECT_FALSE(matches(with_header("x-team", "red, Blue"), "a", "/"));
  EXPECT_FALSE(matches(with_header("x-tea", "red"), "a", "/"));
  EXPECT_TRUE(matches(with_header("Host", "a.example:80"), "a", "/"));
  EXPECT_FALSE(matches(with_header("user-agent", ""), "a", "/"));
  EXPECT_FALSE(matches(with_header("x-gone", "1"), "a", "/"));
}

TEST_F(RouteTableTest, TheFirstInOrderWinsHoweverSpecific) {
  const std::vector<RouteMatch> routes = {
      {"", {}, "/api/v1", {"DELETE"}, {}},           {"*.example.com", {}, "/api", {}, {}},
      {"shop.example.com", "/api/v1/x", {}, {}, {}}, {"", {}, "/api", {}, {}},
      {"shop.example.com", {}, {}, {}, {}},          {},
  };
  EXPECT_EQ(find(routes, "shop.example.com", "/api/v1/x", "DELETE"), 0U);
  EXPECT_EQ(find(routes, "shop.example.com", "/api/v1/x"), 1U);
  EXPECT_EQ(find(routes, "example.com", "/api/v1/x"), 3U);
  EXPECT_EQ(find(routes, "shop.example.com", "/x"), 4U);
  EXPECT_EQ(find(routes, "example.com", "/x"), 5U);
}

// What the table must agree with: each route, one by one, by the text of the contract.
bool naive_match(const RouteMatch& route, const RequestView& request) {
  if (route.host.starts_with("*.")) {
    const std::string_view tail = std::string_view(route.host).substr(1);
    if (request.host.size() <= tail.size() || !request.host.ends_with(tail)) return false;
  } else if (!route.host.empty() && route.host != request.host) {
    return false;
  }
  if (route.path && *route.path != request.path) return false;
  if (route.path_prefix) {
    std::string_view prefix = *route.path_prefix;
    if (prefix.ends_with('/')) prefix.remove_suffix(1);
    if (!request.path.starts_with(prefix)) return false;
    if (request.path.size() > prefix.size() && request.path[prefix.size()] != '/') return false;
  }
  const auto& methods = route.methods;
  if (!methods.empty() && std::find(methods.begin(), methods.end(), request.method) == methods.end()) return false;
  return std::all_of(route.headers.begin(), route.headers.end(), [&](const auto& header) {
    return std::any_of(request.fields.begin(), request.fields.end(), [&](const http::Field& field) {
      return http::equals_ignoring_case(field.name(), header.first) && field.value() == header.second;
    });
  });
}

template <typename T>
rc::Gen<std::optional<T>> sometimes(rc::Gen<T> gen) {
  return rc::gen::oneOf(rc::gen::just(std::optional<T>()),
                        rc::gen::map(std::move(gen), [](T value) { return std::optional<T>(std::move(value)); }));
}

// From few labels and segments, so that much overlaps.
rc::Gen<std::string> joined(std::string before, std::string between, int count_max) {
  const auto part_gen = rc::gen::element<std::string>("a", "b", "ab", "longer-name-1");
  return rc::gen::mapcat(rc::gen::inRange(1, count_max + 1), [=](int count) {
    return rc::gen::map(rc::gen::container<std::vector<std::string>>(static_cast<std::size_t>(count), part_gen),
                        [=](const std::vector<std::string>& parts) {
                          std::string text = before;
                          for (const auto& part : parts) text += (text.size() == before.size() ? "" : between) + part;
                          return text;
                        });
  });
}

rc::Gen<std::string> any_host() {
  return rc::gen::oneOf(rc::gen::just(std::string()), joined("", ".", 4), joined("*.", ".", 3));
}

rc::Gen<std::string> any_path() {
  return rc::gen::oneOf(rc::gen::just(std::string("/")), joined("/", "/", 5), joined("/", "//", 3),
                        joined("/", "/", 30),
                        rc::gen::map(joined("/", "/", 4), [](const std::string& path) { return path + "/"; }));
}

rc::Gen<RouteMatch> any_route() {
  const auto header = rc::gen::pair(rc::gen::element<std::string>("x-one", "User-Agent", "X-Two"),
                                    rc::gen::element<std::string>("1", "2"));
  const auto few = [](auto gen) {
    return rc::gen::resize(2, rc::gen::container<std::vector<std::decay_t<decltype(*gen)>>>(gen));
  };
  return rc::gen::build<RouteMatch>(
      rc::gen::set(&RouteMatch::host, any_host()), rc::gen::set(&RouteMatch::path, sometimes(any_path())),
      rc::gen::set(&RouteMatch::path_prefix, sometimes(any_path())),
      rc::gen::set(&RouteMatch::methods, few(rc::gen::element<std::string>("GET", "PUT", "get"))),
      rc::gen::set(&RouteMatch::headers, few(header)));
}

RC_GTEST_PROP(RouteTable, FindsWhatTryingOneByOneFinds, ()) {
  const auto routes = *rc::gen::scale(2.0, rc::gen::container<std::vector<RouteMatch>>(any_route()));
  const RouteTable table = RouteTable::build(routes);
  BufferPool pool;
  Arena arena(pool);
  http::FieldList fields(arena);
  for (int i = 0; i < 20; ++i) {
    fields.clear();
    const std::string host = *rc::gen::oneOf(rc::gen::just(std::string()), joined("", ".", 5));
    const std::string path = *rc::gen::oneOf(rc::gen::just(std::string("*")), any_path());
    const auto lines = *rc::gen::container<std::vector<std::pair<std::string, std::string>>>(rc::gen::pair(
        rc::gen::element<std::string>("X-One", "user-agent", "x-two"), rc::gen::element<std::string>("1", "2", "3")));
    for (const auto& [name, value] : lines) fields.add_copy(name, value);
    const std::string method = *rc::gen::element<std::string>("GET", "PUT", "HEAD");
    const RequestView request{host, path, method, fields};
    std::uint32_t expected = kNoRoute;
    for (std::uint32_t r = 0; r < routes.size() && expected == kNoRoute; ++r) {
      if (naive_match(routes[r], request)) expected = r;
    }
    RC_ASSERT(table.find(request) == expected);
  }
}

TEST_F(RouteTableTest, TenThousandRoutesAreSmall) {
  std::vector<RouteMatch> routes;
  for (int host = 0; host < 1000; ++host) {
    for (int prefix = 0; prefix < 10; ++prefix) {
      const std::string name = "host-" + std::to_string(host) + ".example.com";
      routes.push_back({name, {}, "/service" + std::to_string(prefix), {}, {}});
    }
  }
  const RouteTable table = RouteTable::build(routes);
  EXPECT_LT(table.memory_bytes(), 2U << 20);
  for (std::uint32_t i = 0; i < routes.size(); ++i) {
    const std::string path = *routes[i].path_prefix + "/x";
    ASSERT_EQ(table.find({routes[i].host, path, "GET", fields_}), i);
  }
  EXPECT_EQ(table.find({"host-1000.example.com", "/service1", "GET", fields_}), kNoRoute);
}

// Routes that have all but a header in common: each is looked at once while building.
TEST_F(RouteTableTest, ManyRoutesOnOnePathAreBuiltInLinearTime) {
  std::vector<RouteMatch> routes;
  for (int i = 0; i < 200'000; ++i) routes.push_back(with_header("x-customer", std::to_string(i)));
  const RouteTable table = RouteTable::build(routes);
  fields_.add_copy("x-customer", "123456");
  EXPECT_EQ(table.find({"h", "/", "GET", fields_}), 123456U);
}

}  // namespace
}  // namespace weir::routing
