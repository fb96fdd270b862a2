#include "http/grpc.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <string>

namespace weir::grpc {
namespace {

std::string formatted(Duration timeout) {
  std::array<char, kTimeoutSize> room;
  return std::string(format_timeout(timeout, room));
}

TEST(Grpc, KnowsItsContentType) {
  for (const std::string_view type :
       {"application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "APPLICATION/gRPC ; x"}) {
    EXPECT_TRUE(is_grpc(type)) << type;
  }
  for (const std::string_view type : {"", "application/grp", "application/grpc-web", "application/grpc-web+proto",
                                      "application/grpcx", "grpc", "text/plain; application/grpc"}) {
    EXPECT_FALSE(is_grpc(type)) << type;
  }
}

TEST(Grpc, ReadsTimeouts) {
  EXPECT_EQ(parse_timeout("1H"), 1h);
  EXPECT_EQ(parse_timeout("2M"), 2min);
  EXPECT_EQ(parse_timeout("3S"), 3s);
  EXPECT_EQ(parse_timeout("4m"), 4ms);
  EXPECT_EQ(parse_timeout("5u"), 5us);
  EXPECT_EQ(parse_timeout("6n"), Duration(6));
  EXPECT_EQ(parse_timeout("99999999n"), Duration(99'999'999));
  EXPECT_EQ(parse_timeout("00000001S"), 1s);
  EXPECT_EQ(parse_timeout("0S"), Duration::zero());
  EXPECT_EQ(parse_timeout("99999999H"), kForever);
}

TEST(Grpc, RefusesBrokenTimeouts) {
  for (const std::string_view text :
       {"", "S", "1", "1s", "1h", "-1S", "+1S", " 1S", "1S ", "1 S", "1.5S", "1e1S", "123456789n", "1SS", "0x1S"}) {
    EXPECT_FALSE(parse_timeout(text)) << text;
  }
}

TEST(Grpc, SaysTimeoutsInEightDigits) {
  EXPECT_EQ(formatted(Duration(1)), "1n");
  EXPECT_EQ(formatted(99'999'999ns), "99999999n");
  EXPECT_EQ(formatted(100ms), "100000u");
  EXPECT_EQ(formatted(100s), "100000m");
  EXPECT_EQ(formatted(24h), "86400000m");
  EXPECT_EQ(formatted(48h), "172800S");
  EXPECT_EQ(formatted(Duration::zero()), "1n");
  EXPECT_EQ(formatted(-5s), "1n");
}

RC_GTEST_PROP(Grpc, ATimeoutSurvivesItsText, ()) {
  const Duration timeout(*rc::gen::inRange<std::int64_t>(1, std::int64_t{1} << *rc::gen::inRange(1, 62)));
  const auto again = parse_timeout(formatted(timeout));
  RC_ASSERT(again.has_value());
  RC_ASSERT(*again <= timeout);
  // A unit is given up only when it would take nine digits: at least six of the next one are left.
  RC_ASSERT((timeout - *again).count() <= timeout.count() / 100'000);
}

TEST(Grpc, ReadsStatuses) {
  EXPECT_EQ(parse_status("0"), Status::ok);
  EXPECT_EQ(parse_status("14"), Status::unavailable);
  EXPECT_EQ(parse_status("16"), Status::unauthenticated);
  for (const std::string_view text : {"", "17", "99", "100", "-1", "x", "1x", " 1"}) {
    EXPECT_EQ(parse_status(text), Status::unknown) << text;
  }
  EXPECT_EQ(to_string(Status::unavailable), "14");
}

TEST(Grpc, FindsTheStatusInFields) {
  BufferPool pool;
  Arena arena(pool);
  http::FieldList fields(arena);
  EXPECT_FALSE(status_in(fields));
  fields.add("grpc-message", "x", http::FieldId::other);
  EXPECT_FALSE(status_in(fields));
  fields.add("grpc-status", "5", http::FieldId::other);
  EXPECT_EQ(status_in(fields), Status::not_found);
}

TEST(Grpc, MapsStatusesOfHttp) {
  EXPECT_EQ(status_of_http(400), Status::internal);
  EXPECT_EQ(status_of_http(401), Status::unauthenticated);
  EXPECT_EQ(status_of_http(403), Status::permission_denied);
  EXPECT_EQ(status_of_http(404), Status::unimplemented);
  for (const std::uint16_t status : std::to_array<std::uint16_t>({429, 502, 503, 504}))
    EXPECT_EQ(status_of_http(status), Status::unavailable);
  for (const std::uint16_t status : std::to_array<std::uint16_t>({200, 302, 500, 418}))
    EXPECT_EQ(status_of_http(status), Status::unknown);
}

TEST(Grpc, EncodesMessages) {
  BufferPool pool;
  Arena arena(pool);
  EXPECT_EQ(encode_message("no_route", arena), "no_route");
  EXPECT_EQ(encode_message("a b", arena), "a b");
  EXPECT_EQ(encode_message("100%\n", arena), "100%25%0A");
  EXPECT_EQ(encode_message("\xC3\xA9", arena), "%C3%A9");
}

}  // namespace
}  // namespace weir::grpc
