#include <gtest/gtest.h>

#include <span>
#include <string>

#include "http/http1/test_util.h"

namespace weir::http1 {
namespace {

using http::Method;
using test::decode_response;
using test::Outcome;

Outcome same_however_cut(std::string_view input, Method method = Method::get, bool closed = false) {
  const Outcome outcome = decode_response(input, test::whole, method, closed);
  EXPECT_EQ(decode_response(input, test::byte_by_byte, method, closed), outcome) << input;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    EXPECT_EQ(decode_response(input, test::random_cut(seed), method, closed), outcome) << input;
  }
  return outcome;
}

std::string facts(std::string_view input, Method method = Method::get) {
  const Outcome outcome = same_however_cut(input, method);
  return outcome.messages.empty() ? "error: " + outcome.detail : outcome.messages.back().facts;
}

TEST(ResponseDecoder, StatusLines) {
  for (const char* line : {"HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 200 ", "HTTP/1.1 200",
                           "HTTP/1.1 599 a\tb \x80", "HTTP/1.1 299  x"}) {
    const Outcome outcome = same_however_cut(std::string(line) + "\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(outcome.messages.size(), 1u) << line << outcome.detail;
  }
  for (const char* line : {"HTTP/1.1 099 x",    "HTTP/1.1 600 x",    "HTTP/1.1 999 x",   "HTTP/1.1 20 OK",
                           "HTTP/1.1 2000 OK",  "HTTP/1.1 200OK",    "HTTP/1.1  200 OK", "HTTP/1.1\t200 OK",
                           "HTTP/1.2 200 OK",   "HTTP/2.0 200 OK",   "HTTP/2 200",       "http/1.1 200 OK",
                           "ICY 200 OK",        "HTTP/1.1",          "HTTP/1.1 ",        "",
                           " HTTP/1.1 200 OK",  "HTTP/1.1 +20 OK",   "HTTP/1.1 2x0 OK",  "HTTP/1.1 200 a\x01",
                           "HTTP/1.1 200 a\rb", "HTTP/1.1 200 a\nb", "HTTP/11 200 OK",   "\r\nHTTP/1.1 200 OK"}) {
    const Outcome outcome = same_however_cut(std::string(line) + "\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(outcome.error, DecodeError::bad_response) << line;
  }
  EXPECT_EQ(same_however_cut("SSH-2.0-OpenSSH").error, DecodeError::bad_response);
  EXPECT_EQ(same_however_cut("HTTP/1.1 200 " + std::string(9000, 'a')).error, DecodeError::bad_response);
}

TEST(ResponseDecoder, Bodies) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  EXPECT_EQ(facts(ok + "Content-Length: 0\r\n\r\n"), "length 0 keep-alive");
  EXPECT_EQ(facts(ok + "Content-Length: 2\r\n\r\nab"), "length 2 keep-alive");
  EXPECT_EQ(facts(ok + "Content-Length: 2\r\nConnection: close\r\n\r\nab"), "length 2");
  EXPECT_EQ(facts(ok + "Transfer-Encoding: chunked\r\n\r\n"), "chunked keep-alive");
  EXPECT_EQ(facts(ok + "\r\nabc"), "until_close");
  EXPECT_EQ(facts(ok + "Content-Length: 9\r\n\r\n", Method::head), "none keep-alive");
  EXPECT_EQ(facts(ok + "Transfer-Encoding: chunked\r\n\r\n", Method::head), "none keep-alive");
  EXPECT_EQ(facts(ok + "\r\n", Method::head), "none keep-alive");
  EXPECT_EQ(facts("HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n"), "none keep-alive");
  EXPECT_EQ(facts("HTTP/1.1 204 N\r\n\r\n"), "none keep-alive");
  EXPECT_EQ(facts("HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n"), "none keep-alive");
  EXPECT_EQ(facts("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"), "length 2");
  EXPECT_EQ(facts("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nab"), "length 2 keep-alive");
  EXPECT_EQ(decode_response("HTTP/1.1 204 N\r\nContent-Length: 0\r\n\r\n").messages[0].fields.size(), 0u)
      << "it must not go on";
}

TEST(ResponseDecoder, FramingInDoubt) {
  for (const char* fields : {"Content-Length: 2\r\nTransfer-Encoding: chunked", "Content-Length: 2, 2",
                             "Content-Length: 2\r\nContent-Length: 2", "Content-Length: -2", "Content-Length:",
                             "Content-Length: 9223372036854775808", "Transfer-Encoding: gzip, chunked",
                             "Transfer-Encoding: gzip", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                             "X : a", "X: a\r\n b", "X: a\nY: b", ": a", "X: \x01", "Connection: a b"}) {
    for (const Method method : {Method::get, Method::head}) {
      EXPECT_EQ(same_however_cut("HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n\r\nab", method).error,
                DecodeError::bad_response)
          << fields;
    }
  }
  for (const char* head : {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", "HTTP/1.1 204 N\r\nContent-Length: 1",
                           "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked", "HTTP/1.1 103 E\r\nContent-Length: 0",
                           "HTTP/1.1 101 S\r\nTransfer-Encoding: chunked", "HTTP/1.0 100 C"}) {
    EXPECT_EQ(same_however_cut(std::string(head) + "\r\n\r\n").error, DecodeError::bad_response) << head;
  }
}

TEST(ResponseDecoder, InterimHeadsComeBeforeTheFinalOne) {
  const Outcome outcome = same_however_cut(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
      "2\r\n\r\nab");
  ASSERT_EQ(outcome.messages.size(), 3u) << outcome.detail;
  EXPECT_EQ(outcome.messages[1].fields.size(), 1u);
  EXPECT_EQ(outcome.messages[2].body, "ab");
  EXPECT_TRUE(outcome.messages[2].complete);

  std::string many;
  for (int i = 0; i < 32; ++i) many += "HTTP/1.1 102 P\r\n\r\n";
  EXPECT_EQ(same_however_cut(many + "HTTP/1.1 204 N\r\n\r\n").messages.size(), 33u);
  EXPECT_EQ(same_however_cut(many + "HTTP/1.1 102 P\r\n\r\n").error, DecodeError::bad_response);
}

TEST(ResponseDecoder, AfterA101EverythingIsTheTunnels) {
  const std::string_view head = "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
  const Outcome outcome = decode_response(std::string(head) + "\x81\x05hello");
  EXPECT_EQ(outcome.messages.size(), 1u);
  EXPECT_EQ(outcome.error, DecodeError::none);
  EXPECT_EQ(outcome.consumed, head.size());
}

TEST(ResponseDecoder, BytesNobodyAskedForAreAnError) {
  for (const char* behind : {"x", "\r\n", "HTTP/1.1 200 OK\r\n\r\n"}) {
    const Outcome outcome = same_however_cut("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab" + std::string(behind));
    ASSERT_EQ(outcome.messages.size(), 1u);
    EXPECT_TRUE(outcome.messages[0].complete);
    EXPECT_EQ(outcome.error, DecodeError::bad_response);
  }
}

TEST(ResponseDecoder, AClosedConnectionEndsOnlyWhatItMayEnd) {
  const auto closed = [](std::string_view input) {
    return decode_response(input, test::byte_by_byte, Method::get, true);
  };
  const Outcome outcome = closed("HTTP/1.1 200 OK\r\n\r\nabc");
  EXPECT_EQ(outcome.error, DecodeError::none);
  EXPECT_TRUE(outcome.messages.at(0).complete);
  EXPECT_EQ(outcome.messages[0].body, "abc");
  for (const char* input :
       {"", "H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "HTTP/1.1 100 C\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n"}) {
    EXPECT_EQ(closed(input).error, DecodeError::truncated) << input;
  }
}

TEST(ResponseDecoder, KeepAliveTimeout) {
  struct {
    const char* value;
    int timeout;
  } const kCases[] = {{"timeout=5", 5},
                      {"max=3, Timeout=15", 15},
                      {"timeout=0", 0},
                      {"timeout=", -1},
                      {"timeout", -1},
                      {"timeout=-5", -1},
                      {"timeout=5x", -1},
                      {"max=100", -1},
                      {"", -1},
                      {"timeout=999999999", 999999999},
                      {"timeout=9999999999", -1}};
  for (const auto& c : kCases) {
    BufferPool pool;
    Arena arena(pool);
    http::ResponseHead head(arena);
    http::FieldList trailers(arena);
    ResponseDecoder decoder;
    decoder.expect(Method::get);
    const std::string input =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: " + std::string(c.value) + "\r\n\r\n";
    ASSERT_EQ(decoder.next(input, head, trailers, {}).event, Event::head);
    EXPECT_EQ(head.keep_alive_timeout_s, c.timeout) << c.value;
  }
}

TEST(ResponseDecoder, LimitsAreBadResponses) {
  const http::HeadLimits limits{.header_bytes = 20, .headers = 2};
  EXPECT_EQ(
      decode_response("HTTP/1.1 200 OK\r\nX: 34567890123456789\r\n\r\n", test::whole, Method::get, false, limits).error,
      DecodeError::bad_response);
  EXPECT_EQ(decode_response("HTTP/1.1 200 OK\r\na:\r\nb:\r\nc:\r\n\r\n", test::whole, Method::get, false, limits).error,
            DecodeError::bad_response);
  EXPECT_EQ(
      decode_response("HTTP/1.1 200 OK\r\nX: 345678901234567\r\n\r\n", test::whole, Method::get, false, limits).error,
      DecodeError::none);
}

}  // namespace
}  // namespace weir::http1
