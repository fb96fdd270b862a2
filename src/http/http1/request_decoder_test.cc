#include <gtest/gtest.h>

#include <string>

#include "http/http1/test_util.h"

namespace weir::http1 {
namespace {

using test::decode_requests;
using test::Outcome;

TEST(RequestDecoder, ReadsAPlainGet) {
  const Outcome outcome = decode_requests("GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nAccept:\t*/* \t\r\n\r\n");
  ASSERT_EQ(outcome.messages.size(), 1u) << outcome.detail;
  EXPECT_EQ(outcome.messages[0].start, "GET /a?b=c example.com HTTP/1.1");
  EXPECT_EQ(outcome.messages[0].facts, "none keep-alive");
  EXPECT_EQ(outcome.messages[0].fields[1], std::pair(std::string("Accept"), std::string("*/*")));
  EXPECT_TRUE(outcome.messages[0].complete);
}

TEST(RequestDecoder, ReadsPipelinedRequestsWithBodiesAndEmptyLinesBetween) {
  const std::string input =
      "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
      "\r\n\r\n"
      "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\n\r\n"
      "5;a=b;c=\"d \\\" e\"\r\nhello\r\n0A\r\n, world...\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\nHost: evil\r\n\r\n"
      "GET /3 HTTP/1.0\r\n\r\n";
  for (const test::Cut& cut : {test::Cut(test::whole), test::Cut(test::byte_by_byte)}) {
    const Outcome outcome = decode_requests(input, cut);
    ASSERT_EQ(outcome.messages.size(), 3u) << outcome.detail;
    EXPECT_EQ(outcome.error, DecodeError::none);
    EXPECT_EQ(outcome.consumed, input.size());
    EXPECT_EQ(outcome.messages[0].body, "hello");
    EXPECT_EQ(outcome.messages[0].facts, "length 5 keep-alive");
    EXPECT_EQ(outcome.messages[1].body, "hello, world...");
    EXPECT_EQ(outcome.messages[1].facts, "chunked keep-alive");
    ASSERT_EQ(outcome.messages[1].trailers.size(), 1u);
    EXPECT_EQ(outcome.messages[1].trailers[0].first, "X-Sum");
    EXPECT_EQ(outcome.messages[2].facts, "none");
    EXPECT_TRUE(outcome.messages[2].complete);
  }
}

}  // namespace
}  // namespace weir::http1
