#include "admin/guard.h"

#include <gtest/gtest.h>

namespace weir::admin {
namespace {

SocketAddress at(std::string_view text) {
  return SocketAddress::parse(text).value();
}

const SocketAddress kBound = at("127.0.0.1:9090");

Request request_to(std::string host, std::string_view peer = "127.0.0.1") {
  Request request;
  request.method = http::Method::post;
  request.host = std::move(host);
  request.peer = IpAddress::parse(peer).value_or(IpAddress{});
  request.local = kBound;
  return request;
}

int status_of(const std::optional<Reply>& refused) {
  return refused ? refused->status : 0;
}

TEST(Guard, LoopbackPortIsKnownByItsLoopbackNames) {
  for (const char* host : {"127.0.0.1:9090", "localhost:9090", "LocalHost:9090", "[::1]:9090"}) {
    EXPECT_TRUE(names_admin_port(host, kBound, kBound)) << host;
  }
  for (const char* host : {"", "127.0.0.1", "127.0.0.1:9091", "localhost", "evil.example:9090",
                           "localhost.evil.example:9090", "127.0.0.2:9090", "10.0.0.1:9090", "127.0.0.1:9090x",
                           "127.0.0.1:", "[::1:9090", "[::1]9090", "127.0.0.1:99999999"}) {
    EXPECT_FALSE(names_admin_port(host, kBound, kBound)) << host;
  }
}

TEST(Guard, DefaultPortMayBeLeftOut) {
  EXPECT_TRUE(names_admin_port("localhost", at("127.0.0.1:80"), at("127.0.0.1:80")));
  EXPECT_TRUE(names_admin_port("[::1]", at("[::1]:80"), at("[::1]:80")));
}

TEST(Guard, WildcardGoesByTheAddressThatWasConnectedTo) {
  const SocketAddress any = at("0.0.0.0:9090");
  EXPECT_TRUE(names_admin_port("10.0.0.5:9090", any, at("10.0.0.5:9090")));
  EXPECT_FALSE(names_admin_port("10.0.0.6:9090", any, at("10.0.0.5:9090")));
  EXPECT_FALSE(names_admin_port("0.0.0.0:9090", any, at("10.0.0.5:9090")));
  EXPECT_TRUE(names_admin_port("localhost:9090", any, at("127.0.0.1:9090")));
}

TEST(Guard, DistantPortIsNotLocalhost) {
  const SocketAddress bound = at("10.0.0.5:9090");
  EXPECT_TRUE(names_admin_port("10.0.0.5:9090", bound, bound));
  EXPECT_FALSE(names_admin_port("localhost:9090", bound, bound));
  EXPECT_FALSE(names_admin_port("127.0.0.1:9090", bound, bound));
}

TEST(Guard, UnixSocketIsLocalhost) {
  const SocketAddress bound = at("unix:/run/weir.sock");
  EXPECT_TRUE(names_admin_port("localhost", bound, bound));
  EXPECT_FALSE(names_admin_port("evil.example", bound, bound));
}

TEST(Guard, SecretsAreComparedWhole) {
  EXPECT_TRUE(same_secret("s3cret", "s3cret"));
  for (const char* wrong : {"", "s", "s3cre", "s3cretx", "s3creT", "s3crets3cret"})
    EXPECT_FALSE(same_secret(wrong, "s3cret")) << wrong;
  EXPECT_FALSE(same_secret("", ""));
}

TEST(Guard, WithoutTokenOnlyLoopbackMayChange) {
  const GuardSettings settings{kBound, std::nullopt};
  EXPECT_EQ(status_of(refuse_change(request_to("localhost:9090"), settings)), 0);
  EXPECT_EQ(status_of(refuse_change(request_to("127.0.0.1:9090", "127.9.9.9"), settings)), 0);
  EXPECT_EQ(status_of(refuse_change(request_to("127.0.0.1:9090", "::1"), settings)), 0);
  EXPECT_EQ(status_of(refuse_change(request_to("127.0.0.1:9090", ""), settings)), 0) << "unix socket";
  EXPECT_EQ(status_of(refuse_change(request_to("127.0.0.1:9090", "10.0.0.9"), settings)), 403);
  EXPECT_EQ(status_of(refuse_change(request_to("evil.example:9090"), settings)), 403);
  EXPECT_EQ(status_of(refuse_change(request_to(""), settings)), 403);
}

TEST(Guard, OriginMustBeTheAdminPortItself) {
  const GuardSettings settings{kBound, std::nullopt};
  Request request = request_to("localhost:9090");
  for (const char* good : {"http://localhost:9090", "http://127.0.0.1:9090"}) {
    request.origin = good;
    EXPECT_EQ(status_of(refuse_change(request, settings)), 0) << good;
  }
  for (const char* bad :
       {"null", "", "http://evil.example", "https://localhost:9090", "http://localhost:9091", "localhost:9090"}) {
    request.origin = bad;
    EXPECT_EQ(status_of(refuse_change(request, settings)), 403) << bad;
  }
}

TEST(Guard, TokenOpensThePortToDistantPeers) {
  const GuardSettings settings{kBound, "s3cret"};
  Request request = request_to("127.0.0.1:9090", "10.0.0.9");
  const auto missing = refuse_change(request, settings);
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->status, 401);
  EXPECT_TRUE(missing->challenge);
  for (const char* good : {"Bearer s3cret", "bearer s3cret"}) {
    request.authorization = good;
    EXPECT_EQ(status_of(refuse_change(request, settings)), 0) << good;
  }
  for (const char* bad : {"Bearer s3cre", "Bearer ", "Bearer", "s3cret", "Basic s3cret", "Bearer  s3cret"}) {
    request.authorization = bad;
    EXPECT_EQ(status_of(refuse_change(request, settings)), 401) << bad;
  }
}

TEST(Guard, LoopbackNeedsNoTokenButAWrongOneIsRefused) {
  const GuardSettings settings{kBound, "s3cret"};
  Request request = request_to("127.0.0.1:9090");
  EXPECT_EQ(status_of(refuse_change(request, settings)), 0);
  request.authorization = "Bearer wrong";
  EXPECT_EQ(status_of(refuse_change(request, settings)), 401);
}

TEST(Guard, TokenDoesNotReplaceHost) {
  Request request = request_to("evil.example:9090", "10.0.0.9");
  request.authorization = "Bearer s3cret";
  EXPECT_EQ(status_of(refuse_change(request, {kBound, "s3cret"})), 403);
}

TEST(Guard, RepeatedFieldsAreRefused) {
  Request request = request_to("127.0.0.1:9090");
  request.ambiguous = true;
  EXPECT_EQ(status_of(refuse_change(request, {kBound, std::nullopt})), 400);
}

}  // namespace
}  // namespace weir::admin
