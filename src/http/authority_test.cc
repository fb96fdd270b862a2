#include "http/authority.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::http {
namespace {

TEST(Authority, TakesHostsWithAndWithoutPort) {
  for (const char* text :
       {"a", "example.com", "example.com.", "example.com:80", "a:0", "a:65535", "a:00080", "a:", "127.0.0.1:8080",
        "[::1]", "[::1]:443", "[2001:db8::1]", "[::ffff:1.2.3.4]", "a_b", "a!$&'()*+;=b", "xn--bcher-kva.example"}) {
    EXPECT_TRUE(is_authority(text)) << text;
  }
  for (const char* text : {"",          ":80",
                           "a:65536",   "a:123456",
                           "a:-1",      "a:+1",
                           "a:8o",      "a: 80",
                           "a b",       "user@a",
                           "a/b",       "a,b",
                           "a%20b",     "\xc3\xa9",
                           "a#b",       "a?b",
                           "[::1",      "::1",
                           "[]",        "[::1]a",
                           "[::1]:x",   "[fe80::1%25eth0]",
                           "[v1.a]",    "a:80:80",
                           "[1.2.3.4]", "a\\b",
                           "a|b",       "\"a\""}) {
    EXPECT_FALSE(is_authority(text)) << text;
  }
  EXPECT_FALSE(is_authority(std::string_view("a\0", 2)));
}

TEST(Authority, KnowsIpv6) {
  for (const char* text : {"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
                           "ABCD::ef01", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4"}) {
    EXPECT_TRUE(is_ipv6(text)) << text;
  }
  for (const char* text : {"",
                           ":",
                           ":::",
                           "1",
                           "1:2:3:4:5:6:7",
                           "1:2:3:4:5:6:7:8:9",
                           "1::2::3",
                           "12345::",
                           "g::",
                           ":1::",
                           "1:",
                           "1:2:",
                           "::1.2.3",
                           "::1.2.3.256",
                           "::01.2.3.4",
                           "1.2.3.4",
                           "1:2:3:4:5:6:7:1.2.3.4",
                           "::1.2.3.4:5",
                           "1:2:3:4:5:6:7:8::",
                           "::1:2:3:4:5:6:7:8"}) {
    EXPECT_FALSE(is_ipv6(text)) << text;
  }
}

TEST(Authority, SplitsHostAndPort) {
  EXPECT_EQ(split_authority("a:8080").host, "a");
  EXPECT_EQ(split_authority("a:8080").port, 8080);
  EXPECT_EQ(split_authority("a").port, std::nullopt);
  EXPECT_EQ(split_authority("a:").host, "a");
  EXPECT_EQ(split_authority("a:").port, std::nullopt);
  EXPECT_EQ(split_authority("[::1]:1").host, "[::1]");
  EXPECT_EQ(split_authority("[::1]").host, "[::1]");
}

TEST(Authority, NormalisesTheHost) {
  char scratch[64];
  EXPECT_EQ(normalise_host("Example.COM:8080", scratch), "example.com");
  EXPECT_EQ(normalise_host("example.com.:80", scratch), "example.com");
  EXPECT_EQ(normalise_host("example.com..", scratch), "example.com.");
  EXPECT_EQ(normalise_host(".", scratch), ".");
  EXPECT_EQ(normalise_host("[2001:DB8::1]:80", scratch), "[2001:db8::1]");
  EXPECT_EQ(normalise_host("", scratch), "");
  const std::string_view lower = "example.com:80";
  EXPECT_EQ(normalise_host(lower, {}).data(), lower.data());
}

}  // namespace
}  // namespace weir::http
