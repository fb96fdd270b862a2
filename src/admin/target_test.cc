#include "admin/target.h"

#include <gtest/gtest.h>

namespace weir::admin {
namespace {

TEST(Target, KnowsEveryPath) {
  EXPECT_EQ(parse_target("/metrics")->endpoint, Endpoint::metrics);
  EXPECT_EQ(parse_target("/livez")->endpoint, Endpoint::livez);
  EXPECT_EQ(parse_target("/readyz")->endpoint, Endpoint::readyz);
  EXPECT_EQ(parse_target("/")->endpoint, Endpoint::dashboard);
  EXPECT_EQ(parse_target("/api/v1/config")->endpoint, Endpoint::config);
  EXPECT_EQ(parse_target("/api/v1/routes")->endpoint, Endpoint::routes);
  EXPECT_EQ(parse_target("/api/v1/clusters")->endpoint, Endpoint::clusters);
  EXPECT_EQ(parse_target("/api/v1/reload")->endpoint, Endpoint::reload);
  EXPECT_EQ(parse_target("/api/v1/explain")->endpoint, Endpoint::explain);
  EXPECT_EQ(parse_target("/api/v1/clusters/app/backends")->endpoint, Endpoint::backends);
  EXPECT_EQ(parse_target("/api/v1/clusters/app/backends/b")->endpoint, Endpoint::backend);
}

TEST(Target, DecodesNames) {
  const auto target = parse_target("/api/v1/clusters/a%2Fb%20c/backends/%5b%3A%3a1%5D:80@x");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->endpoint, Endpoint::backend);
  EXPECT_EQ(target->cluster, "a/b c");
  EXPECT_EQ(target->backend, "[::1]:80@x");
}

TEST(Target, RefusesBrokenEncoding) {
  for (const char* path : {"/api/v1/clusters/a%/backends", "/api/v1/clusters/a%2/backends",
                           "/api/v1/clusters/a%zz/backends/b", "/api/v1/clusters/a/backends/%"}) {
    EXPECT_FALSE(parse_target(path)) << path;
  }
}

TEST(Target, EverythingElseIsUnknown) {
  for (const char* path :
       {"", "*", "/metrics/", "/METRICS", "/api/v1", "/api/v1/clusters/", "/api/v1/clusters/app",
        "/api/v1/clusters/app/", "/api/v1/clusters//backends", "/api/v1/clusters/app/backends/",
        "/api/v1/clusters/app/backends/b/c", "/api/v1/clusters/app/backendsx", "/api/v1/clusters/app/x/backends"}) {
    ASSERT_TRUE(parse_target(path)) << path;
    EXPECT_EQ(parse_target(path)->endpoint, Endpoint::unknown) << path;
  }
}

TEST(Target, AllowedMethodsAgree) {
  EXPECT_EQ(allowed_methods(Endpoint::metrics), "GET, HEAD");
  EXPECT_EQ(allowed_methods(Endpoint::reload), "POST");
  EXPECT_EQ(allowed_methods(Endpoint::backends), "POST");
  EXPECT_EQ(allowed_methods(Endpoint::backend), "PATCH, DELETE");
  EXPECT_TRUE(allows(Endpoint::backend, http::Method::patch));
  EXPECT_TRUE(allows(Endpoint::backend, http::Method::delete_));
  EXPECT_FALSE(allows(Endpoint::backend, http::Method::get));
  EXPECT_FALSE(allows(Endpoint::reload, http::Method::get));
  EXPECT_FALSE(allows(Endpoint::metrics, http::Method::post));
}

}  // namespace
}  // namespace weir::admin
