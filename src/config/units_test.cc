#include "config/units.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "config/address.h"
#include "config/names.h"

namespace weir::config {
namespace {

TEST(Units, Durations) {
  EXPECT_EQ(parse_duration("10us"), 10us);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("0s"), 0s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("87600h"), 87600h);
  for (const std::string_view bad :
       {"", "5", "s", "-1s", "+1s", "1.5s", "1 s", "1S", "1sec", "87601h", "99999999999999999999s", "none", "1m30s"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(Units, Sizes) {
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("100B"), 100U);
  EXPECT_EQ(parse_size("64KiB"), 65536U);
  EXPECT_EQ(parse_size("1073741824GiB"), 1ULL << 60U);
  for (const std::string_view bad :
       {"", "KiB", "1KB", "1kib", "1 KiB", "-1", "0x10", "1073741825GiB", "18446744073709551616"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
  EXPECT_EQ(parse_rate("20/s"), 20U);
  for (const std::string_view bad : {"20", "0/s", "/s", "20 /s", "20/m", "-1/s", "100000001/s"}) {
    EXPECT_FALSE(parse_rate(bad)) << bad;
  }
  EXPECT_EQ(parse_byte_rate("240B/s"), 240U);
  EXPECT_EQ(parse_byte_rate("1KiB/s"), 1024U);
  for (const std::string_view bad : {"240", "240B", "0B/s", "/s", "1/m"}) EXPECT_FALSE(parse_byte_rate(bad)) << bad;
}

TEST(Units, Percentages) {
  EXPECT_EQ(parse_percentage("0%"), 0U);
  EXPECT_EQ(parse_percentage("12.5%"), 1250U);
  EXPECT_EQ(parse_percentage("12.05%"), 1205U);
  EXPECT_EQ(parse_percentage("100%"), 10000U);
  for (const std::string_view bad : {"", "%", "20", "101%", "100.01%", "1.%", "1.234%", "-1%", ".5%"}) {
    EXPECT_FALSE(parse_percentage(bad)) << bad;
  }
}

TEST(Units, StatusRanges) {
  EXPECT_EQ(parse_status_ranges("200"), (std::vector<StatusRange>{{200, 200}}));
  EXPECT_EQ(parse_status_ranges("200-299, 404"), (std::vector<StatusRange>{{200, 299}, {404, 404}}));
  for (const std::string_view bad : {"", "99", "600", "299-200", "200-", "-200", "200,", "2xx", "200-299-300"}) {
    EXPECT_FALSE(parse_status_ranges(bad)) << bad;
  }
}

RC_GTEST_PROP(Units, FormatsReadBack, (std::uint64_t number)) {
  const auto ns = static_cast<std::int64_t>(number % 100'000'000'000) * 1000;
  RC_ASSERT(parse_duration(format_duration(Duration(ns))) == Duration(ns));
  const std::uint64_t bytes = number % (1ULL << 60U);
  RC_ASSERT(parse_size(format_size(bytes)) == bytes);
  const auto share = static_cast<std::uint32_t>(number % 10'001);
  RC_ASSERT(parse_percentage(format_percentage(share)) == share);
}

TEST(Addresses, EndpointsReadBack) {
  for (const std::string_view text :
       {"127.0.0.1:80", "[::1]:8080", "example.com:443", "a_b.internal:1", "unix:/run/x"}) {
    const auto endpoint = parse_endpoint(text, {});
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(to_string(*endpoint), text);
  }
  EXPECT_EQ(parse_endpoint("[0:0:0::1]:1", {})->host, "::1");
  EXPECT_EQ(parse_listen_address("localhost:0", {})->host, "127.0.0.1");
  EXPECT_EQ(parse_listen_address("unix:a/b", "/etc/weir")->host, "/etc/weir/a/b");
  EXPECT_EQ(parse_backend_url("HTTP://Host", {})->host, "host");
  const std::string embedded_zero("1.2.3.4\0:80", 11);
  for (const std::string_view bad : {"", ":", "a", "a:", "a:0", "a:65536", "a:1:2", "[::1]", "[::1]80", "[1.2.3.4]:80",
                                     "[::1:80", "-a:1", "a..b:1", "1.2.3:80", "a b:1"}) {
    EXPECT_FALSE(parse_endpoint(bad, {})) << bad;
  }
  EXPECT_FALSE(parse_endpoint(embedded_zero, {}));
  EXPECT_TRUE(parse_endpoint("unix:/" + std::string(106, 'x'), {}));
  EXPECT_FALSE(parse_endpoint("unix:/" + std::string(107, 'x'), {}));
  // They would end the path, or stand in a backend's name.
  for (const std::string& bad : {std::string("unix:/a\0b", 9), std::string("unix:/a\nb")}) {
    EXPECT_FALSE(parse_endpoint(bad, {})) << bad;
    EXPECT_FALSE(parse_listen_address(bad, {})) << bad;
    EXPECT_FALSE(parse_backend_url(bad, {})) << bad;
  }
}

TEST(Addresses, NetworksKeepOnlyTheirPrefix) {
  EXPECT_EQ(to_string(*parse_cidr("10.255.255.255/9")), "10.128.0.0/9");
  EXPECT_EQ(to_string(*parse_cidr("1.2.3.4")), "1.2.3.4/32");
  EXPECT_EQ(to_string(*parse_cidr("2001:db8:ffff::1/33")), "2001:db8:8000::/33");
  EXPECT_EQ(to_string(*parse_cidr("::/0")), "::/0");
  // Clients that come over IPv4 have IPv4 addresses, on every socket.
  EXPECT_EQ(to_string(*parse_cidr("::ffff:10.1.2.3")), "10.1.2.3/32");
  EXPECT_EQ(to_string(*parse_cidr("::ffff:10.1.2.3/104")), "10.0.0.0/8");
  EXPECT_EQ(to_string(*parse_cidr("::ffff:0:0/96")), "0.0.0.0/0");
  for (const std::string_view bad : {"", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "::/129", "host/8", "1.2.3.4/-1"}) {
    EXPECT_FALSE(parse_cidr(bad)) << bad;
  }
}

TEST(Names, NearestIsASlipOfTheFinger) {
  EXPECT_EQ(edit_distance("lisen", "listen"), 1U);
  EXPECT_EQ(edit_distance("ab", "ba"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
  const std::vector<std::string_view> words{"listeners", "log", "clusters", "tls"};
  EXPECT_EQ(nearest("Listner", words), "listeners");
  EXPECT_EQ(nearest("lgo", words), "log");
  EXPECT_EQ(nearest("xyz", words), "");
  EXPECT_EQ(nearest(std::string(1000, 'l'), words), "");
}

TEST(Names, FieldsAndPaths) {
  EXPECT_TRUE(is_token("x-a_b!"));
  EXPECT_FALSE(is_token("x:a"));
  EXPECT_FALSE(is_token(""));
  EXPECT_TRUE(is_field_value("a\tb \xC3\xA9"));
  for (const std::string_view bad : {" a", "a ", "a\nb", "a\rb", "a\x7F"}) EXPECT_FALSE(is_field_value(bad)) << bad;
  EXPECT_TRUE(is_absolute_path("/a%2Fb/~x;y=1"));
  for (const std::string_view bad : {"", "a", "/%", "/%2", "/%zz", "/a b", "/a?b", "/\xC3\xA9"})
    EXPECT_FALSE(is_absolute_path(bad)) << bad;
  EXPECT_TRUE(is_host_name("xn--a.example.com."));
  EXPECT_FALSE(is_host_name("1.2"));
  EXPECT_FALSE(is_host_name(std::string(64, 'a')));
}

}  // namespace
}  // namespace weir::config
