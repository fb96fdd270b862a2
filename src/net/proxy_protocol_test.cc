#include "net/proxy_protocol.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace weir {
namespace {

using Status = ProxyParsed::Status;
using namespace std::string_literals;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string binary(unsigned char command, unsigned char family, const std::string& block) {
  std::string text = kSignature;
  text += static_cast<char>(command);
  text += static_cast<char>(family);
  text += static_cast<char>(block.size() >> 8U);
  text += static_cast<char>(block.size() & 0xFFU);
  return text + block;
}

std::string source_of(std::string_view header) {
  const ProxyParsed parsed = parse_proxy_header(header);
  if (parsed.status != Status::done) return std::string(parsed.detail);
  if (!parsed.ends.known) return "unknown";
  return SocketAddress{.ip = parsed.ends.source, .port = parsed.ends.source_port, .path = {}}.to_string() + " " +
         SocketAddress{.ip = parsed.ends.destination, .port = parsed.ends.destination_port, .path = {}}.to_string();
}

TEST(ProxyProtocol, ReadsLines) {
  EXPECT_EQ(source_of("PROXY TCP4 192.0.2.1 192.0.2.2 12345 80\r\n"), "192.0.2.1:12345 192.0.2.2:80");
  EXPECT_EQ(source_of("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"), "[2001:db8::1]:0 [::1]:65535");
  EXPECT_EQ(source_of("PROXY UNKNOWN\r\n"), "unknown");
  EXPECT_EQ(source_of("PROXY UNKNOWN whatever it is\r\n"), "unknown");
  EXPECT_EQ(parse_proxy_header("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\n").consumed, 15U);
}

TEST(ProxyProtocol, RefusesBrokenLines) {
  for (const std::string_view text :
       {"GET / HTTP/1.1\r\n", "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "PROXY \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 1 x\r\n", "PROXY UNKNOWNX\r\n"}) {
    EXPECT_EQ(parse_proxy_header(text).status, Status::broken) << text;
  }
}

TEST(ProxyProtocol, ALineHasAtMost107Bytes) {
  const std::string longest = "PROXY UNKNOWN " + std::string(107 - 14 - 2, 'x') + "\r\n";
  ASSERT_EQ(longest.size(), 107U);
  EXPECT_EQ(parse_proxy_header(longest).status, Status::done);
  EXPECT_EQ(parse_proxy_header("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n").status, Status::broken);
  EXPECT_EQ(parse_proxy_header("PROXY UNKNOWN " + std::string(92, 'x')).status, Status::need_more);
  EXPECT_EQ(parse_proxy_header("PROXY UNKNOWN " + std::string(93, 'x')).status, Status::broken);
}

TEST(ProxyProtocol, ReadsBinaryHeaders) {
  const std::string tcp4 = "\xC0\0\2\1\xC0\0\2\2\x30\x39\0\x50"s;
  EXPECT_EQ(source_of(binary(0x21, 0x11, tcp4)), "192.0.2.1:12345 192.0.2.2:80");
  const std::string v6 = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\1";
  EXPECT_EQ(source_of(binary(0x21, 0x21, v6 + v6 + "\0\1\0\2"s)), "[2001:db8::1]:1 [2001:db8::1]:2");
  const std::string mapped = std::string(10, '\0') + "\xff\xff\xC0\0\2\1"s;
  EXPECT_EQ(source_of(binary(0x21, 0x21, mapped + v6 + "\0\1\0\2"s)), "192.0.2.1:1 [2001:db8::1]:2");
  EXPECT_EQ(source_of(binary(0x20, 0x00, "")), "unknown");
  EXPECT_EQ(source_of(binary(0x20, 0x99, "anything")), "unknown");
  EXPECT_EQ(source_of(binary(0x21, 0x00, "anything")), "unknown");
  const ProxyParsed local = parse_proxy_header(binary(0x21, 0x31, std::string(216, 'a')));
  ASSERT_EQ(local.status, Status::done);
  EXPECT_TRUE(local.ends.known);
  EXPECT_EQ(local.ends.source.family, IpAddress::Family::none);
}

TEST(ProxyProtocol, SkipsExtensions) {
  const std::string header = binary(0x21, 0x11, "\xC0\0\2\1\xC0\0\2\2\0\1\0\2\x04\0\3abc"s);
  const ProxyParsed parsed = parse_proxy_header(header + "GET /");
  EXPECT_EQ(parsed.status, Status::done);
  EXPECT_EQ(parsed.consumed, header.size());
  EXPECT_EQ(parsed.ends.source_port, 1);
}

TEST(ProxyProtocol, RefusesBrokenBinaryHeaders) {
  const std::string tcp4(12, 'a');
  EXPECT_EQ(source_of(binary(0x11, 0x11, tcp4)), "an unknown version");
  EXPECT_EQ(source_of(kSignature + "\x31"), "an unknown version");
  EXPECT_EQ(source_of(binary(0x22, 0x11, tcp4)), "an unknown command");
  EXPECT_EQ(source_of(binary(0x21, 0x12, tcp4)), "an unknown family");
  EXPECT_EQ(source_of(binary(0x21, 0x41, tcp4)), "an unknown family");
  EXPECT_EQ(source_of(binary(0x21, 0x11, tcp4.substr(1))), "no room for the addresses");
  EXPECT_EQ(source_of(binary(0x21, 0x21, std::string(35, 'a'))), "no room for the addresses");
  EXPECT_EQ(source_of("\r\n\r\n\0\r\nQUIT\r"s), "not a PROXY header");
}

TEST(ProxyProtocol, ABinaryHeaderIsBounded) {
  EXPECT_EQ(parse_proxy_header(binary(0x20, 0, std::string(4080, 'x'))).status, Status::done);
  // Known from the length alone.
  EXPECT_EQ(source_of(binary(0x20, 0, std::string(4081, 'x')).substr(0, 16)), "the header is too long");
}

TEST(ProxyProtocol, ABeginningIsNoError) {
  const std::string line = "PROXY TCP4 192.0.2.1 192.0.2.2 12345 80\r\n";
  const std::string header = binary(0x21, 0x11, std::string(12, 'a') + "\x04\0\3abc"s);
  for (const std::string& text : {line, header}) {
    for (std::size_t size = 0; size < text.size(); ++size) {
      EXPECT_EQ(parse_proxy_header(std::string_view(text).substr(0, size)).status, Status::need_more) << size;
    }
    EXPECT_EQ(parse_proxy_header(text).status, Status::done);
  }
}

TEST(ProxyProtocol, WhatIsNotKnownIsSaidSo) {
  std::array<char, kProxyWrittenBytesMax> room;
  EXPECT_EQ(write_proxy_header(ProxyVersion::v1, {}, room), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(write_proxy_header(ProxyVersion::v2, {}, room), binary(0x20, 0, ""));
  const ProxiedEnds unix_client{true, {}, *IpAddress::parse("192.0.2.1"), 0, 80};
  EXPECT_EQ(write_proxy_header(ProxyVersion::v1, unix_client, room), "PROXY UNKNOWN\r\n");
}

TEST(ProxyProtocol, TwoFamiliesAreSaidInOne) {
  std::array<char, kProxyWrittenBytesMax> room;
  const ProxiedEnds ends{true, *IpAddress::parse("192.0.2.1"), *IpAddress::parse("2001:db8::1"), 1, 2};
  EXPECT_EQ(write_proxy_header(ProxyVersion::v1, ends, room), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
  EXPECT_EQ(parse_proxy_header(write_proxy_header(ProxyVersion::v1, ends, room)).ends, ends);
  EXPECT_EQ(parse_proxy_header(write_proxy_header(ProxyVersion::v2, ends, room)).ends, ends);
}

IpAddress any_address() {
  const auto bytes = *rc::gen::container<std::array<std::uint8_t, 16>>(rc::gen::arbitrary<std::uint8_t>());
  IpAddress address = IpAddress::from_ipv6(bytes);
  if (!*rc::gen::arbitrary<bool>()) return address;
  address = {};
  address.family = IpAddress::Family::ipv4;
  std::copy_n(bytes.begin(), 4, address.bytes.begin());
  return address;
}

RC_GTEST_PROP(ProxyProtocol, WhatIsWrittenIsRead, ()) {
  const ProxiedEnds ends{true, any_address(), any_address(), *rc::gen::arbitrary<std::uint16_t>(),
                         *rc::gen::arbitrary<std::uint16_t>()};
  std::array<char, kProxyWrittenBytesMax> room;
  for (const ProxyVersion version : {ProxyVersion::v1, ProxyVersion::v2}) {
    const std::string header(write_proxy_header(version, ends, room));
    const ProxyParsed parsed = parse_proxy_header(header + "more");
    RC_ASSERT(parsed.status == Status::done);
    RC_ASSERT(parsed.consumed == header.size());
    RC_ASSERT(parsed.ends == ends);
  }
}

}  // namespace
}  // namespace weir
