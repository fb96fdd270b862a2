#include <gtest/gtest.h>

#include <span>
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

std::string with_host(std::string_view rest) {
  return "Host: a\r\n" + std::string(rest);
}

// What `input` comes to, the same whether it comes whole, byte by byte or in pieces.
Outcome same_however_cut(std::string_view input, const http::HeadLimits& limits = {}) {
  const Outcome outcome = decode_requests(input, test::whole, limits);
  EXPECT_EQ(decode_requests(input, test::byte_by_byte, limits), outcome) << input;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    EXPECT_EQ(decode_requests(input, test::random_cut(seed), limits), outcome) << input;
  }
  return outcome;
}

struct Case {
  std::string_view input;
  DecodeError error;
};

void expect_errors(std::span<const Case> cases, std::string_view before, std::string_view behind) {
  for (const Case& c : cases) {
    const std::string input = std::string(before) + std::string(c.input) + std::string(behind);
    const Outcome outcome = same_however_cut(input);
    EXPECT_EQ(to_string(outcome.error), to_string(c.error)) << input << "\n" << outcome.detail;
    EXPECT_EQ(outcome.detail.empty(), c.error == DecodeError::none) << input;
  }
}

constexpr DecodeError kGood = DecodeError::none;
constexpr DecodeError kBad = DecodeError::bad_request;
constexpr DecodeError kVersion = DecodeError::version_unsupported;

TEST(RequestDecoder, RequestLines) {
  const Case kCases[] = {
      {"GET / HTTP/1.1\r\n", kGood},
      {"M-SEARCH /x HTTP/1.1\r\n", kGood},
      {"get / HTTP/1.1\r\n", kGood},
      {"GET  / HTTP/1.1\r\n", kBad},
      {"GET /  HTTP/1.1\r\n", kBad},
      {"GET / HTTP/1.1 \r\n", kBad},
      {" GET / HTTP/1.1\r\n", kBad},
      {"GET\t/ HTTP/1.1\r\n", kBad},
      {"GET /\tHTTP/1.1\r\n", kBad},
      {"GET / HTTP/1.1\n", kBad},
      {"GET / HTTP/1.1\r", kBad},
      {"GET / HTTP/1.1\r\r\n", kBad},
      {"GET /\r\n", kBad},
      {"GET\r\n", kBad},
      {"GET \r\n", kBad},
      {"GET  HTTP/1.1\r\n", kBad},
      {"GET HTTP/1.1\r\n", kBad},
      {"/ HTTP/1.1\r\n", kBad},
      {"G@T / HTTP/1.1\r\n", kBad},
      {"G\x80T / HTTP/1.1\r\n", kBad},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456 / HTTP/1.1\r\n", kGood},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZ1234567 / HTTP/1.1\r\n", kBad},
      {"GET / HTTP/1.2\r\n", kVersion},
      {"GET / HTTP/2.0\r\n", kVersion},
      {"GET / HTTP/0.9\r\n", kVersion},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", kVersion},
      {"GET / http/1.1\r\n", kBad},
      {"GET / HTTP/1.10\r\n", kBad},
      {"GET / HTTP/11\r\n", kBad},
      {"GET / HTTP/1,1\r\n", kBad},
      {"GET / HTTP/01.1\r\n", kBad},
      {"GET / HTTP/\r\n", kBad},
      {"GET / HTTPS/1.1\r\n", kBad},
      {"GET / a HTTP/1.1\r\n", kBad},
      {"\x16\x03\x01\x02", kBad},
      {std::string_view("\0GET / HTTP/1.1\r\n", 17), kBad},
  };
  expect_errors(kCases, "", with_host("\r\n"));
}

TEST(RequestDecoder, Targets) {
  const Case kCases[] = {
      {"GET /a/b;c=d?e=f&g=%20%zz%", kGood},
      {"GET /|^{}[]!$&'()*+,;=:@-._~", kGood},
      {"GET /?a=\\`", kGood},
      {"GET /\\", kBad},
      {"GET /`", kBad},
      {"GET /a#b", kBad},
      {"GET /\"", kBad},
      {"GET /<", kBad},
      {"GET /?<", kBad},
      {"GET /\x80", kBad},
      {"GET /\x7f", kBad},
      {"GET /\x01", kBad},
      {"GET //", kGood},
      {"GET a", kBad},
      {"GET ?a", kBad},
      {"GET *", kBad},
      {"OPTIONS *", kGood},
      {"OPTIONS *a", kBad},
      {"OPTIONS /*", kGood},
      {"options *", kBad},
      {"GET http://example.com/a", kGood},
      {"GET HTTPS://example.com:8443", kGood},
      {"GET http://[::1]:80/", kGood},
      {"GET http://", kBad},
      {"GET http:///a", kBad},
      {"GET http:/a", kBad},
      {"GET http:a", kBad},
      {"GET ftp://a/", kBad},
      {"GET http://user@a/", kBad},
      {"GET http://user:pw@a/", kBad},
      {"GET http://a:65536/", kBad},
      {"GET http://a,b/", kBad},
      {"GET example.com:80", kBad},
      {"CONNECT example.com:443", kGood},
      {"CONNECT [::1]:443", kGood},
      {"CONNECT example.com", kBad},
      {"CONNECT example.com:", kBad},
      {"CONNECT /", kBad},
      {"CONNECT http://a/", kBad},
      {"CONNECT *", kBad},
  };
  expect_errors(kCases, "", " HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST(RequestDecoder, AbsoluteFormReplacesHost) {
  struct {
    const char* line;
    const char* start;
    const char* host;
  } const kCases[] = {
      {"GET http://B.example:81/x?y HTTP/1.1", "GET /x?y B.example:81 HTTP/1.1", "B.example:81"},
      {"GET http://b HTTP/1.1", "GET / b HTTP/1.1", "b"},
      {"GET http://b?q=/ HTTP/1.1", "GET /?q=/ b HTTP/1.1", "b"},
      {"OPTIONS http://b HTTP/1.1", "OPTIONS * b HTTP/1.1", "b"},
      {"OPTIONS http://b/ HTTP/1.1", "OPTIONS / b HTTP/1.1", "b"},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = same_however_cut(std::string(c.line) + "\r\nHost: a\r\n\r\n");
    ASSERT_EQ(outcome.messages.size(), 1u) << outcome.detail;
    EXPECT_EQ(outcome.messages[0].start, c.start);
    EXPECT_EQ(outcome.messages[0].fields[0].second, c.host);
  }
}

TEST(RequestDecoder, Hosts) {
  const Case kCases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n", kGood},
      {"GET / HTTP/1.1\r\nhOsT:a:80\r\n", kGood},
      {"GET / HTTP/1.1\r\nHost: [::1]\r\n", kGood},
      {"GET / HTTP/1.1\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost:\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: \t \r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: a, b\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: a b\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: u@a\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: http://a\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: a:99999\r\n", kBad},
      {"GET / HTTP/1.1\r\nHost: \x80\r\n", kBad},
      {"GET http://b/ HTTP/1.1\r\n", kBad},
      {"GET http://b/ HTTP/1.1\r\nHost: a/b\r\n", kBad},
      {"GET / HTTP/1.0\r\n", kGood},
      {"GET / HTTP/1.0\r\nHost: a\r\n", kGood},
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n", kBad},
      {"GET / HTTP/1.0\r\nHost: @\r\n", kBad},
  };
  expect_errors(kCases, "", "\r\n");
}

TEST(RequestDecoder, FieldLines) {
  const Case kCases[] = {
      {"X: a", kGood},
      {"X:a", kGood},
      {"X: \t a \t ", kGood},
      {"X:", kGood},
      {"X: a\tb c", kGood},
      {"X: \x80\xff", kGood},
      {"X_y.z!: \"(),:;<=>?@[\\]{}", kGood},
      {"X : a", kBad},
      {"X\t: a", kBad},
      {"X y: a", kBad},
      {": a", kBad},
      {" X: a", kBad},
      {"\tX: a", kBad},
      {"X: a\r\n b", kBad},
      {"X: a\r\n\tb", kBad},
      {"X", kBad},
      {"X a", kBad},
      {"(X): a", kBad},
      {"X\x80: a", kBad},
      {"X\x01: a", kBad},
      {"X: a\nY: b", kBad},
      {"X: a\rY: b", kBad},
      {"X: a\r\r\nY: b", kBad},
      {"X: a\n", kBad},
      {"\nX: a", kBad},
      {"X: \x01", kBad},
      {"X: \x7f", kBad},
      {"X: \x1b[0m", kBad},
      {std::string_view("X: \0", 4), kBad},
      {std::string_view("X\0: a", 5), kBad},
  };
  expect_errors(kCases, "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n\r\n");
  expect_errors(kCases, "GET / HTTP/1.1\r\n", "\r\nHost: a\r\n\r\n");
  const Case kFirst[] = {{" X: a", kBad}, {"\tHost: a", kBad}};
  expect_errors(kFirst, "GET / HTTP/1.1\r\n", "\r\nHost: a\r\n\r\n");
}

TEST(RequestDecoder, Framing) {
  const Case kCases[] = {
      {"Content-Length: 0", kGood},
      {"Content-Length: 00", kGood},
      {"Content-Length: 5, 5", kBad},
      {"Content-Length: 5,", kBad},
      {"Content-Length: 0\r\nContent-Length: 0", kBad},
      {"Content-Length: 1\r\nContent-Length: 2", kBad},
      {"Content-Length:", kBad},
      {"Content-Length: +5", kBad},
      {"Content-Length: -5", kBad},
      {"Content-Length: 5 ", kGood},
      {"Content-Length: 1 2", kBad},
      {"Content-Length: 0x5", kBad},
      {"Content-Length: 5a", kBad},
      {"Content-Length: 5.0", kBad},
      {"Content-Length: 9223372036854775807", kGood},
      {"Content-Length: 9223372036854775808", kBad},
      {"Content-Length: 18446744073709551616", kBad},
      {"Content-Length: 99999999999999999999999", kBad},
      {"Content-Length: 000000000000000000001", kBad},
      {"Content-Length: \xd9\xa1", kBad},
      {"Transfer-Encoding: chunked", kGood},
      {"transfer-encoding:CHUNKED", kGood},
      {"Transfer-Encoding: gzip, chunked", kBad},
      {"Transfer-Encoding: chunked, chunked", kBad},
      {"Transfer-Encoding: chunked, gzip", kBad},
      {"Transfer-Encoding: gzip", kBad},
      {"Transfer-Encoding: identity", kBad},
      {"Transfer-Encoding:", kBad},
      {"Transfer-Encoding: , chunked", kBad},
      {"Transfer-Encoding: chunked;q=1", kBad},
      {"Transfer-Encoding: xchunked", kBad},
      {"Transfer-Encoding: \"chunked\"", kBad},
      {"Transfer-Encoding: \x0b"
       "chunked",
       kBad},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", kBad},
      {"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", kBad},
      {"Transfer-Encoding: chunked\r\nContent-Length: 5", kBad},
      {"Content-Length: 0\r\nTransfer-Encoding: chunked", kBad},
      {"Connection: close", kGood},
      {"Connection: , close ,, x", kGood},
      {"Connection:", kGood},
      {"Connection: a b", kBad},
      {"Connection: \"close\"", kBad},
  };
  expect_errors(kCases, "POST / HTTP/1.1\r\nHost: a\r\n", "\r\n\r\n");
  const Case kOld[] = {{"Content-Length: 0", kGood}, {"Transfer-Encoding: chunked", kBad}};
  expect_errors(kOld, "POST / HTTP/1.0\r\nHost: a\r\n", "\r\n\r\n");
}

TEST(RequestDecoder, Persistence) {
  struct {
    const char* version;
    const char* field;
    bool keep_alive;
  } const kCases[] = {
      {"1.1", "X: a", true},
      {"1.1", "Connection: Close", false},
      {"1.1", "Connection: keep-alive", true},
      {"1.1", "Connection: keep-alive, close", false},
      {"1.1", "Connection: x\r\nConnection: close", false},
      {"1.1", "Connection: closed", true},
      {"1.0", "X: a", false},
      {"1.0", "Connection: Keep-Alive", true},
      {"1.0", "Connection: keep-alive, close", false},
  };
  for (const auto& c : kCases) {
    const Outcome outcome =
        decode_requests(std::string("GET / HTTP/") + c.version + "\r\nHost: a\r\n" + c.field + "\r\n\r\n");
    ASSERT_EQ(outcome.messages.size(), 1u);
    EXPECT_EQ(outcome.messages[0].facts, c.keep_alive ? "none keep-alive" : "none") << c.version << c.field;
  }
}

TEST(RequestDecoder, WebSocketAndExpectations) {
  const std::string kUpgrade = "Connection: x, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: a\r\n";
  struct {
    std::string head;
    bool websocket;
  } const kCases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n" + kUpgrade, true},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" + kUpgrade, true},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" + kUpgrade, false},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + kUpgrade, false},
      {"GET / HTTP/1.0\r\nHost: a\r\n" + kUpgrade, false},
      {"POST / HTTP/1.1\r\nHost: a\r\n" + kUpgrade, false},
      {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n" + kUpgrade, false},
      {"GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: b\r\n" + kUpgrade, false},
      {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: b\r\n", false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Key: b\r\n",
       false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Key: b\r\n", false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", false},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = decode_requests(c.head + "\r\n");
    ASSERT_EQ(outcome.messages.size(), 1u) << c.head;
    EXPECT_EQ(outcome.messages[0].facts.ends_with("websocket"), c.websocket) << c.head;
  }
  const auto facts = [](const char* version, const char* value) {
    return decode_requests(std::string("POST / HTTP/") + version +
                           "\r\nHost: a\r\nContent-Length: 1\r\nExpect: " + value + "\r\n\r\n")
        .messages.at(0)
        .facts;
  };
  EXPECT_EQ(facts("1.1", "100-Continue"), "length 1 keep-alive continue");
  EXPECT_EQ(facts("1.1", "else"), "length 1 keep-alive");
  EXPECT_EQ(facts("1.0", "100-continue"), "length 1");
}

TEST(RequestDecoder, LimitsPassWhenMetAndAreSeenEarly) {
  const std::string line = "X: 2345678\r\n";  // 12 bytes
  const std::string host = "Host: a\r\n";     // 9 bytes
  const std::string start = "GET /2345678 HTTP/1.1\r\n";
  const auto error = [](const std::string& input, const http::HeadLimits& limits) {
    return same_however_cut(input, limits).error;
  };
  EXPECT_EQ(error(start + host + line + "\r\n", {.header_bytes = 21}), kGood);
  EXPECT_EQ(error(start + host + line + "\r\n", {.header_bytes = 20}), DecodeError::headers_too_large);
  EXPECT_EQ(error(start + host + line.substr(0, 11), {.header_bytes = 20}), kGood);
  EXPECT_EQ(error(start + host + "X: 234567890", {.header_bytes = 20}), DecodeError::headers_too_large);
  EXPECT_EQ(error(start + host + line + "\r\n", {.headers = 2}), kGood);
  EXPECT_EQ(error(start + host + line + "\r\n", {.headers = 1}), DecodeError::headers_too_large);
  EXPECT_EQ(error(start + host + line, {.headers = 1}), DecodeError::headers_too_large);
  EXPECT_EQ(error(start + host + "\r\n", {.uri_bytes = 8}), kGood);
  EXPECT_EQ(error(start + host + "\r\n", {.uri_bytes = 7}), DecodeError::uri_too_long);
  EXPECT_EQ(error("GET /2345678", {.uri_bytes = 8}), kGood);
  EXPECT_EQ(error("GET /23456789", {.uri_bytes = 8}), DecodeError::uri_too_long);
  EXPECT_EQ(error("GET /2345678 HTTP/1.1garbage", {.uri_bytes = 8}), kBad);
  EXPECT_EQ(error("GARBAGEGARBAGEGARBAGEGARBAGEGARBAGE", {}), kBad);
  constexpr std::uint64_t kNone = UINT64_MAX;
  EXPECT_EQ(error(start + host + line + "\r\n", {kNone, kNone, kNone}), kGood);
}

TEST(RequestDecoder, FaultsAreReportedOnceTheirLineIsThere) {
  for (const char* input : {"GET / HTTP/1.1\r\nX y: a\r\n", "GET / FTP/1.1\r\n", "\r\n\r\n\r\n\r\n\r\n", "\n",
                            "\x16\x03\x01", "GET / HTTP/1.1\r\n X: a\r\n", "GET / HTTP/1.1\r\nX: a\n"}) {
    EXPECT_EQ(same_however_cut(input).error, kBad) << input;
  }
}

// Reading on from the start each time would look at 5 * 10^11 bytes here, and the test would run into its timeout.
TEST(RequestDecoder, ADrippingHeadIsNotReadAgainAndAgain) {
  constexpr std::size_t kSize = 1'000'000;
  const std::string lines = "GET / HTTP/1.1\r\nHost: a\r\n";
  std::string many = lines;
  while (many.size() < kSize) many += "X: 34567890\r\n";
  const http::HeadLimits limits{UINT64_MAX, UINT64_MAX, UINT64_MAX};
  for (const std::string& input : {"GET /" + std::string(kSize, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n",
                                   lines + "X: " + std::string(kSize, 'a') + "\r\n\r\n",
                                   lines + std::string(kSize, 'X') + "\r\n\r\n", many + "\r\n"}) {
    BufferPool pool;
    Arena arena(pool);
    http::RequestHead head(arena);
    http::FieldList trailers(arena);
    RequestDecoder decoder;
    Step step;
    std::size_t known = 0;
    while (step.event == Event::need_more && known < input.size()) {
      step = decoder.next(std::string_view(input).substr(0, ++known), head, trailers, limits);
    }
    EXPECT_GE(known + 2, input.size());
    EXPECT_NE(step.event, Event::need_more);
    EXPECT_LT(arena.used(), 8 * kSize);
  }
}

TEST(RequestDecoder, KnowsWhetherItIsBetweenMessages) {
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  http::FieldList trailers(arena);
  RequestDecoder decoder;
  const auto next = [&](std::string_view input) { return decoder.next(input, head, trailers, {}); };
  EXPECT_TRUE(decoder.between_messages());
  EXPECT_EQ(next("").event, Event::need_more);
  EXPECT_TRUE(decoder.between_messages());
  EXPECT_EQ(next("\r\n").consumed, 2u);
  EXPECT_TRUE(decoder.between_messages());
  next("\r");
  EXPECT_FALSE(decoder.between_messages());
  EXPECT_EQ(next("\r\n").consumed, 2u);
  EXPECT_TRUE(decoder.between_messages());
  next("G");
  EXPECT_FALSE(decoder.between_messages());
  const std::string_view whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\nG";
  EXPECT_EQ(next(whole).consumed, whole.size() - 1);
  EXPECT_FALSE(decoder.between_messages());
  EXPECT_EQ(next("G").event, Event::end);
  EXPECT_TRUE(decoder.between_messages());
}

TEST(RequestDecoder, AdoptedHeadOutlivesItsInput) {
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  http::FieldList trailers(arena);
  RequestDecoder decoder;
  std::string input = "GET http://b?q HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  ASSERT_EQ(decoder.next(input, head, trailers, {}).event, Event::head);
  const test::Message before = test::describe(head);
  head.adopt();
  input.assign(input.size(), '!');
  EXPECT_EQ(test::describe(head), before);
  EXPECT_EQ(head.target, "http://b?q");
  EXPECT_EQ(head.scheme, "http");
  head.clear();
  EXPECT_EQ(head.fields.size(), 0u);
}

}  // namespace
}  // namespace weir::http1
