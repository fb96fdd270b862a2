#include <gtest/gtest.h>

#include <string>

#include "http/http1/test_util.h"

namespace weir::http1 {
namespace {

using test::Outcome;

Outcome chunked(std::string_view body, const http::HeadLimits& limits = {}) {
  const std::string input = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
  const Outcome outcome = test::decode_requests(input, test::whole, limits);
  EXPECT_EQ(test::decode_requests(input, test::byte_by_byte, limits), outcome) << body;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    EXPECT_EQ(test::decode_requests(input, test::random_cut(seed), limits), outcome) << body;
  }
  return outcome;
}

TEST(BodyDecoder, TakesWellFormedChunks) {
  for (const std::string size :
       {"5", "05", "0000000000000005", "5;a", "5;a=b", "5;a=\"b c;\\\" \t\x80\"", "5;a;b=c;d"}) {
    const Outcome outcome = chunked(size + "\r\nhello\r\n0;x\r\n\r\n");
    ASSERT_TRUE(outcome.messages.at(0).complete) << size << outcome.detail;
    EXPECT_EQ(outcome.messages[0].body, "hello") << size;
  }
  EXPECT_TRUE(chunked("000\r\n\r\n").messages.at(0).complete);
  EXPECT_EQ(chunked("a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n").messages.at(0).body, "01234567890123456789a");
}

TEST(BodyDecoder, RefusesEverythingElse) {
  for (const std::string body : {"\r\n",
                                 "g\r\n",
                                 "-5\r\nhello\r\n",
                                 "+5\r\nhello\r\n",
                                 " 5\r\nhello\r\n",
                                 "5 \r\nhello\r\n",
                                 "5\t\r\nhello\r\n",
                                 "0x5\r\nhello\r\n",
                                 "5\nhello\r\n",
                                 "5\r\r\nhello\r\n",
                                 "5\rhello",
                                 "5\r\nhello\n",
                                 "5\r\nhello0\r\n",
                                 "5\r\nhelloo\r\n",
                                 "5\r\nhell\r\n0\r\n\r\n",
                                 "5\r\nhello\r0",
                                 "00000000000000005\r\n",
                                 "8000000000000000\r\n",
                                 "ffffffffffffffff\r\n",
                                 "10000000000000000\r\n",
                                 "5;\r\n",
                                 "5; a\r\n",
                                 "5 ;a\r\n",
                                 "5;a =b\r\n",
                                 "5;a= b\r\n",
                                 "5;a=\r\n",
                                 "5;=b\r\n",
                                 "5;a=\"b\r\n",
                                 "5;a=\"b\"c\r\n",
                                 "5;a=\"b\\\r\n",
                                 "5;;a\r\n",
                                 "5;a\nb\r\n",
                                 "5;a\x01\r\n",
                                 "5;a=\"\x7f\"\r\n",
                                 "5,a\r\n",
                                 "0\n\r\n",
                                 "0\r\n\n",
                                 "0\r\nX : a\r\n",
                                 "0\r\n X: a\r\n",
                                 "0\r\nX\r\n",
                                 "0\r\n: a\r\n",
                                 "0\r\nX: a\n\r\n",
                                 "0\r\nX: \x01\r\n",
                                 "0\r\nX: a\r\n b\r\n"}) {
    EXPECT_EQ(chunked(body).error, DecodeError::bad_request) << body;
  }
}

TEST(BodyDecoder, TheLargestChunkSizeIsAnInt64) {
  const Outcome outcome = chunked("7fffffffffffffff\r\nab");
  EXPECT_EQ(outcome.error, DecodeError::none);
  EXPECT_EQ(outcome.messages.at(0).body, "ab");
}

TEST(BodyDecoder, ExtensionsAreBounded) {
  const std::string extension = ";" + std::string(255, 'a');
  EXPECT_EQ(chunked("1" + extension + "\r\nx\r\n").error, DecodeError::none);
  EXPECT_EQ(chunked("1" + extension + "a\r\nx\r\n").error, DecodeError::bad_request);
  EXPECT_EQ(chunked("1;" + std::string(256, 'a')).error, DecodeError::bad_request) << "seen before the line ends";
  std::string many;
  for (int i = 0; i < 64; ++i) many += "1" + extension + "\r\nx\r\n";
  EXPECT_EQ(chunked(many).error, DecodeError::none);
  EXPECT_EQ(chunked(many + "1;a\r\nx\r\n").error, DecodeError::bad_request);
}

TEST(BodyDecoder, TrailersThatFrameOrRouteDoNotGoOn) {
  const Outcome outcome = chunked(
      "0\r\nContent-Length: 5\r\ntransfer-encoding: chunked\r\nHOST: b\r\nConnection: close\r\nCookie: "
      "a\r\nSet-Cookie: b\r\n"
      "Authorization: c\r\nX-Forwarded-For: d\r\nX-Request-Id: e\r\nContent-Encoding: f\r\nKeep-Alive: g\r\nUpgrade: "
      "h\r\nTE: i\r\n"
      "Trailer: j\r\nGrpc-Status: 0\r\nETag: \"k\"\r\n\r\n");
  ASSERT_TRUE(outcome.messages.at(0).complete) << outcome.detail;
  const std::vector<std::pair<std::string, std::string>> expected = {{"Grpc-Status", "0"}, {"ETag", "\"k\""}};
  EXPECT_EQ(outcome.messages[0].trailers, expected);
}

TEST(BodyDecoder, TrailersHaveTheLimitsOfHeads) {
  const http::HeadLimits limits{.header_bytes = 60, .headers = 3};
  EXPECT_EQ(chunked("0\r\na:\r\nb:\r\nc:\r\n\r\n", limits).error, DecodeError::none);
  EXPECT_EQ(chunked("0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n", limits).error, DecodeError::headers_too_large);
  EXPECT_EQ(chunked("0\r\nX: " + std::string(55, 'a') + "\r\n\r\n", limits).error, DecodeError::none);
  EXPECT_EQ(chunked("0\r\nX: " + std::string(56, 'a') + "\r\n\r\n", limits).error, DecodeError::headers_too_large);
  EXPECT_EQ(chunked("0\r\nX: " + std::string(58, 'a'), limits).error, DecodeError::headers_too_large);
}

TEST(BodyDecoder, BytesMayPassByIt) {
  BufferPool pool;
  Arena arena(pool);
  http::FieldList trailers(arena);
  BodyDecoder decoder;
  decoder.start(BodyKind::chunked, 0);
  Step step = decoder.next("a\r\n012", trailers, {});
  EXPECT_EQ(step.body, "012");
  EXPECT_EQ(decoder.remaining(), 7u);
  decoder.skip(3);
  EXPECT_EQ(decoder.remaining(), 4u);
  decoder.skip(4);
  step = decoder.next("\r\n2\r\nab\r\n0\r\n\r\nrest", trailers, {});
  EXPECT_EQ(step.body, "ab");
  step = decoder.next("\r\n0\r\n\r\nrest", trailers, {});
  EXPECT_EQ(step.event, Event::end);
  EXPECT_EQ(step.consumed, 7u);
  EXPECT_FALSE(decoder.in_body());

  decoder.start(BodyKind::length, 5);
  decoder.skip(5);
  EXPECT_FALSE(decoder.in_body());
  EXPECT_EQ(decoder.next("x", trailers, {}).event, Event::end);

  decoder.start(BodyKind::until_close, 0);
  decoder.skip(1000);
  EXPECT_TRUE(decoder.in_body());
  EXPECT_EQ(decoder.finish().event, Event::end);
}

}  // namespace
}  // namespace weir::http1
