#include "http/path.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace weir::http {
namespace {

std::string normal(std::string_view target) {
  std::vector<char> scratch(target.size());
  return std::string(normalise_path(target, scratch).path);
}

TEST(NormalisePath, BringsEverySpellingToOneForm) {
  struct Case {
    const char* target;
    const char* path;
  };
  const Case kCases[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/a/b?c=/../d", "/a/b"},
      {"/%61dmin", "/admin"},
      {"/%41%5a%7e%2D%5f", "/AZ~-_"},
      {"/a%2fb", "/a%2Fb"},
      {"/a%2Fb", "/a%2Fb"},
      {"/%25%32%66", "/%252f"},
      {"/%2", "/%2"},
      {"/%", "/%"},
      {"/%zz%4", "/%zz%4"},
      {"/a/./b", "/a/b"},
      {"/a/../b", "/b"},
      {"/a/b/..", "/a/"},
      {"/a/b/.", "/a/b/"},
      {"/..", "/"},
      {"/../../..", "/"},
      {"/.", "/"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/.%2e/b", "/b"},
      {"/a/%2e/b", "/a/b"},
      {"//a//b//", "//a//b//"},
      {"/a//../b", "/a/b"},
      {"/...", "/..."},
      {"/.a/..b/c.", "/.a/..b/c."},
      {"/a%2f../b", "/a%2F../b"},
      {"/a%3F?b", "/a%3F"},
      {"/a%c3%a9", "/a%C3%A9"},
      {"*", "*"},
  };
  for (const Case& c : kCases) EXPECT_EQ(normal(c.target), c.path) << c.target;
}

TEST(NormalisePath, SplitsTheQueryOffAsReceived) {
  char scratch[64];
  EXPECT_EQ(normalise_path("/a?b?c%2e", scratch).query, "b?c%2e");
  EXPECT_EQ(normalise_path("/%61?b%2e", scratch).query, "b%2e");
  EXPECT_EQ(normalise_path("/%61?b%2e", scratch).path, "/a");
  EXPECT_EQ(normalise_path("/a?", scratch).query, "");
}

TEST(NormalisePath, GivesTheInputItselfWhenItIsNormal) {
  const std::string_view target = "/static/app.js?v=1";
  EXPECT_EQ(normalise_path(target, {}).path.data(), target.data());
}

RC_GTEST_PROP(NormalisePath, IsStableAndHasNoDotSegments, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "/", ".", "..", "%2e", "%2E", "a", "%61", "%2f", "%", "%25", "b%", "//", "?", "2e"));
  std::string target = "/";
  for (const std::string& piece : pieces) target += piece;
  const std::string once = normal(target);
  RC_ASSERT(once.starts_with('/'));
  RC_ASSERT(once.size() <= target.size());
  RC_ASSERT((once + "/").find("/../") == std::string::npos);
  RC_ASSERT((once + "/").find("/./") == std::string::npos);
}

}  // namespace
}  // namespace weir::http
