#include "net/address.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "net/sockaddr.h"

namespace weir {
namespace {

std::string round_trip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->to_string() : "refused";
}

TEST(IpAddress, WritesAsRfc5952Says) {
  EXPECT_EQ(round_trip("10.0.0.7"), "10.0.0.7");
  EXPECT_EQ(round_trip("255.255.255.255"), "255.255.255.255");
  EXPECT_EQ(round_trip("::"), "::");
  EXPECT_EQ(round_trip("::1"), "::1");
  EXPECT_EQ(round_trip("2001:0DB8:0:0:0:0:0:1"), "2001:db8::1");
  EXPECT_EQ(round_trip("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1");  // a lone zero stays
  EXPECT_EQ(round_trip("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1");           // the longest run
  EXPECT_EQ(round_trip("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1");     // the first of equals
  EXPECT_EQ(round_trip("1:0:0:0:0:0:0:0"), "1::");
  EXPECT_EQ(round_trip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

TEST(IpAddress, KeepsMappedAsIpv4) {
  const auto address = IpAddress::parse("::ffff:192.0.2.1");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->family, IpAddress::Family::ipv4);
  EXPECT_EQ(address->to_string(), "192.0.2.1");
  EXPECT_EQ(*address, *IpAddress::parse("192.0.2.1"));
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const char* text : {"", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "::1%eth0",
                           "[::1]", "1::2::3", "localhost", "g::", "1.2.3.4:80", ":", "0x7f.0.0.1"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)));
  EXPECT_FALSE(IpAddress::parse(std::string(1000, '1')));
  EXPECT_EQ(IpAddress{}.to_string(), "");
}

RC_GTEST_PROP(IpAddress, RoundTrips, (const std::array<std::uint8_t, 16>& bytes, bool zeros)) {
  auto sparse = bytes;
  if (zeros) {
    for (std::size_t i = 2; i < 12; ++i) sparse[i] = 0;
  }
  const IpAddress address = IpAddress::from_ipv6(sparse);
  const std::string text = address.to_string();
  RC_ASSERT(text.size() < IpAddress::kMaxText);
  RC_ASSERT(IpAddress::parse(text) == address);
}

TEST(IpAddress, KnowsLoopback) {
  for (const char* text : {"127.0.0.1", "127.255.0.7", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(IpAddress::parse(text)->is_loopback()) << text;
  }
  for (const char* text : {"128.0.0.1", "10.0.0.1", "::2", "::", "0.0.0.0", "7f00::1"}) {
    EXPECT_FALSE(IpAddress::parse(text)->is_loopback()) << text;
  }
  EXPECT_FALSE(IpAddress{}.is_loopback());
}

TEST(Cidr, ContainsItsRange) {
  const auto ten = Cidr::parse("10.0.0.0/8");
  ASSERT_TRUE(ten);
  EXPECT_TRUE(ten->contains(*IpAddress::parse("10.255.0.1")));
  EXPECT_FALSE(ten->contains(*IpAddress::parse("11.0.0.0")));
  EXPECT_FALSE(ten->contains(*IpAddress::parse("::1")));
  const auto odd = Cidr::parse("192.168.4.0/22");
  ASSERT_TRUE(odd);
  EXPECT_TRUE(odd->contains(*IpAddress::parse("192.168.7.255")));
  EXPECT_FALSE(odd->contains(*IpAddress::parse("192.168.8.0")));
  EXPECT_TRUE(Cidr::parse("0.0.0.0/0")->contains(*IpAddress::parse("1.2.3.4")));
  EXPECT_TRUE(Cidr::parse("2001:db8::/32")->contains(*IpAddress::parse("2001:db8:1::")));
  EXPECT_TRUE(Cidr::parse("::1")->contains(*IpAddress::parse("::1")));
  EXPECT_FALSE(Cidr::parse("::1")->contains(*IpAddress::parse("::2")));
  EXPECT_FALSE(Cidr::parse("::/0")->contains(IpAddress{}));
}

TEST(Cidr, RefusesWhatIsNone) {
  for (const char* text : {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "/8", "", "::/129",
                           "10/8", "::ffff:10.0.0.0/8"}) {
    EXPECT_FALSE(Cidr::parse(text)) << text;
  }
}

TEST(SocketAddress, ParsesItsForms) {
  for (const char* text : {"10.0.0.7:80", "[::1]:8080", "unix:/run/a.sock", "0.0.0.0:0", "[2001:db8::1]:65535"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  EXPECT_TRUE(SocketAddress::parse("unix:/run/a.sock")->is_unix());
}

TEST(SocketAddress, RefusesWhatIsNone) {
  for (const char* text : {"", ":80", "10.0.0.7", "10.0.0.7:", "10.0.0.7:65536", "10.0.0.7:+1", "10.0.0.7:8a", "::1:80",
                           "[10.0.0.7]:80", "[::1]", "[::1]80", "unix:", "localhost:80", "10.0.0.7:000080"}) {
    EXPECT_FALSE(SocketAddress::parse(text)) << text;
  }
  EXPECT_FALSE(SocketAddress::parse("unix:/" + std::string(107, 'a')));
  EXPECT_TRUE(SocketAddress::parse("unix:/" + std::string(106, 'a')));
}

TEST(SocketAddress, SurvivesTheKernelsForm) {
  for (const char* text : {"10.0.0.7:80", "[::1]:8080", "unix:/run/a.sock"}) {
    const auto address = SocketAddress::parse(text);
    EXPECT_EQ(from_sockaddr(to_sockaddr(*address)), *address);
  }
}

}  // namespace
}  // namespace weir
