#include "proxy/redirect.h"

#include <gtest/gtest.h>

namespace weir::proxy {
namespace {

struct Request {
  explicit Request(std::string_view path, std::string_view authority = "example.com") {
    head.path = path;
    head.authority = authority;
  }
  BufferPool pool;
  Arena arena{pool};
  http::RequestHead head{arena};
};

struct Wanted {
  std::string scheme{}, host{}, path{}, path_prefix{};
  bool has_path = false, has_path_prefix = false;
  std::optional<std::uint16_t> port{};
};

std::string location(const Wanted& wanted, std::string_view path, std::string_view authority = "example.com",
                     std::string_view route_prefix = {}) {
  Route route;
  if (!route_prefix.empty()) route.match.path_prefix = std::string(route_prefix);
  Request request(path, authority);
  Redirect redirect;
  redirect.scheme = wanted.scheme;
  redirect.host = wanted.host;
  redirect.path = wanted.path;
  redirect.path_prefix = wanted.path_prefix;
  redirect.has_path = wanted.has_path;
  redirect.has_path_prefix = wanted.has_path_prefix;
  redirect.port = wanted.port;
  return redirect_location(redirect, route, request.head, "http");
}

TEST(RedirectLocation, WhatIsLeftOutStays) {
  EXPECT_EQ(location({.scheme = "https"}, "/a/b?c=d"), "https://example.com/a/b?c=d");
  EXPECT_EQ(location({.host = "other.org"}, "/a?b", "example.com:8080"), "http://other.org:8080/a?b");
  EXPECT_EQ(location({.path = "/x", .has_path = true}, "/a?b", "example.com:8080"), "http://example.com:8080/x?b");
}

TEST(RedirectLocation, ThePortBelongsToTheScheme) {
  EXPECT_EQ(location({.scheme = "https"}, "/", "example.com:8080"), "https://example.com/");
  EXPECT_EQ(location({.scheme = "https", .port = std::uint16_t{443}}, "/", "example.com:8080"), "https://example.com/");
  EXPECT_EQ(location({.port = std::uint16_t{81}}, "/"), "http://example.com:81/");
  EXPECT_EQ(location({.port = std::uint16_t{80}}, "/", "example.com:8080"), "http://example.com/");
}

TEST(RedirectLocation, APrefixIsReplacedWhereTheRouteMatched) {
  const Wanted to_new{.path_prefix = "/new", .has_path_prefix = true};
  EXPECT_EQ(location(to_new, "/old/a?b", "h", "/old"), "http://h/new/a?b");
  EXPECT_EQ(location(to_new, "/old", "h", "/old/"), "http://h/new");
  EXPECT_EQ(location(to_new, "/./old/%61", "h", "/old"), "http://h/new/a");
  EXPECT_EQ(location(to_new, "/~user/a/b", "h", "/%7Euser"), "http://h/new/a/b");
  EXPECT_EQ(location(to_new, "/v1/a", "h", "/x/../v1/"), "http://h/new/a");
  EXPECT_EQ(location({.path_prefix = "/", .has_path_prefix = true}, "/old", "h", "/old"), "http://h/");
}

TEST(RedirectLocation, AQueryOfItsOwnReplacesTheRequests) {
  EXPECT_EQ(location({.path = "/x?y", .has_path = true}, "/a?b"), "http://example.com/x?y");
}

// An HTTP/1.0 client may say no host.
TEST(RedirectLocation, WithoutAHostThePathNeverBecomesOne) {
  EXPECT_EQ(location({.scheme = "https"}, "/a", ""), "/a");
  EXPECT_EQ(location({.scheme = "https"}, "//evil.org/a", ""), "/.//evil.org/a");
  EXPECT_EQ(location({.host = "h"}, "//evil.org/a", ""), "http://h//evil.org/a");
}

TEST(RedirectLocation, TheServerAsAWholeIsItsRoot) {
  EXPECT_EQ(location({.scheme = "https"}, "*"), "https://example.com/");
}

}  // namespace
}  // namespace weir::proxy
