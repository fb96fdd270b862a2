// What must hold for any input at all: how it was cut changes nothing, and what we take another parser takes too, with
// the same meaning.
#include <gtest/gtest.h>
#include <http_parser.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "http/http1/test_util.h"

namespace weir::http1 {
namespace {

using test::Outcome;

// The good ones, then those with a fault, which are drawn rarely: else hardly a message has none.
struct Choice {
  std::vector<const char*> good;
  std::vector<const char*> faulty;
};

const char* pick(Rng& rng, const Choice& choice) {
  const auto& from = !choice.faulty.empty() && rng.chance(0.05) ? choice.faulty : choice.good;
  return from[rng.below(from.size())];
}

std::string draw_body(Rng& rng, bool chunked, std::string& fields) {
  static const Choice kExtensions = {{"", "", "", ";a=b", ";x=\"y z\""}, {" ;a", " ", ";a\x01"}};
  static const Choice kTrailers = {{"", "", "X-T: 1\r\n", "Set-Cookie: 3\r\n", "X-U:\r\n"}, {"bad\r\n", "A: b\n"}};
  const std::string text(rng.below(40), 'b');
  if (!chunked) {
    fields += "Content-Length: " + std::to_string(text.size()) + "\r\n";
    return text;
  }
  fields += "Transfer-Encoding: chunked\r\n";
  std::string body;
  for (std::uint64_t i = rng.below(4); i-- > 0;) {
    const std::size_t size = 1 + rng.below(20);
    body += (size < 16 ? std::string() : std::string("1")) + "0123456789abcdef"[size % 16];
    body += pick(rng, kExtensions);
    body += "\r\n" + std::string(size, 'c') + "\r\n";
  }
  return body + "0\r\n" + pick(rng, kTrailers) + "\r\n";
}

// Mostly good messages, with every fault that the codec knows about drawn now and then.
std::string draw_request(Rng& rng) {
  static const Choice kMethods = {{"GET", "GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"},
                                  {"get", "X-Y", "G T", ""}};
  static const Choice kTargets = {
      {"/", "/a/b?c=d", "/%20", "http://b/c", "http://b?c", "//", "https://[::1]:8/", "/{a}"},
      {"*", "/a#b", "/|^{}[]\"", "http://u@b/", "/a b", "/\x80", "a", ""}};
  static const Choice kVersions = {{"HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"},
                                   {"HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 "}};
  static const Choice kFields = {
      {"Accept: */*", "X:y", "X-Empty:", "A:  b \t", "Connection: close", "Connection: keep-alive", "Cookie: a=b",
       "Via: 1.1 c", "Expect: 100-continue", "X: \x80\xff", "X: a\tb"},
      {"Bad : x", " folded", "X: a\x01", "Content-Length: 3", "no colon", "Host: c", "Transfer-Encoding: gzip", ": a"}};
  static const Choice kEnds = {{"\r\n"}, {"\r\n", "\r\n", "\n", "\r"}};
  std::string input =
      std::string(pick(rng, kMethods)) + " " + pick(rng, kTargets) + " " + pick(rng, kVersions) + pick(rng, kEnds);
  std::string fields = rng.chance(0.95) ? "Host: a\r\n" : "";
  for (std::uint64_t i = rng.below(5); i-- > 0;) fields += std::string(pick(rng, kFields)) + pick(rng, kEnds);
  std::string body;
  if (rng.chance(0.6)) body = draw_body(rng, rng.chance(0.6), fields);
  input += fields + "\r\n" + body;
  if (rng.chance(0.05)) input[rng.below(input.size())] = static_cast<char>(rng.below(256));
  if (rng.chance(0.02)) input.erase(rng.below(input.size()), 1);
  return input;
}

TEST(CodecProperties, HowTheInputIsCutChangesNothing) {
  Rng rng(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string input = draw_request(rng);
    if (rng.chance(0.3)) input += draw_request(rng);
    const http::HeadLimits limits = {.header_bytes = rng.chance(0.2) ? rng.below(60) : 65536,
                                     .headers = rng.chance(0.2) ? rng.below(5) : 100,
                                     .uri_bytes = rng.chance(0.2) ? rng.below(10) : 16384};
    const Outcome outcome = test::decode_requests(input, test::whole, limits);
    ASSERT_EQ(test::decode_requests(input, test::random_cut(rng.next()), limits), outcome) << i << "\n" << input;
    ASSERT_EQ(test::decode_requests(input, test::byte_by_byte, limits), outcome) << i << "\n" << input;
  }
}

TEST(CodecProperties, HowAResponseIsCutChangesNothing) {
  Rng rng(2);
  static const Choice kStarts = {
      {"HTTP/1.1 200 OK", "HTTP/1.0 404 x", "HTTP/1.1 304 ", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK"},
      {"HTTP/1.1 204", "HTTP/1.1 600 a", "HTTP/2 200", "HTTP/1.1 101 S"}};
  for (int i = 0; i < 20'000; ++i) {
    const std::string request = draw_request(rng);
    const std::string input = pick(rng, kStarts) + request.substr(std::min(request.find('\r'), request.size()));
    const auto method = rng.chance(0.1) ? http::Method::head : http::Method::get;
    const bool closed = rng.chance(0.5);
    const Outcome outcome = test::decode_response(input, test::whole, method, closed);
    ASSERT_EQ(test::decode_response(input, test::random_cut(rng.next()), method, closed), outcome) << i << "\n"
                                                                                                   << input;
    ASSERT_EQ(test::decode_response(input, test::byte_by_byte, method, closed), outcome) << i << "\n" << input;
  }
}

RC_GTEST_PROP(CodecProperties, ArbitraryBytesAreSafeAndCutAlike, (const std::string& bytes, std::uint64_t seed)) {
  RC_ASSERT(test::decode_requests(bytes) == test::decode_requests(bytes, test::random_cut(seed)));
  RC_ASSERT(test::decode_response(bytes) == test::decode_response(bytes, test::random_cut(seed)));
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + bytes;
  RC_ASSERT(test::decode_response(chunked) == test::decode_response(chunked, test::random_cut(seed)));
}

// What http_parser makes of the first message.
struct Peer {
  std::string url;
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;
  bool in_value = false;
  bool complete = false;
  bool head_complete = false;
};

Peer& peer_of(http_parser* parser) {
  return *static_cast<Peer*>(parser->data);
}

http_parser_settings peer_settings() {
  http_parser_settings settings;
  http_parser_settings_init(&settings);
  settings.on_url = [](http_parser* p, const char* at, std::size_t size) { return peer_of(p).url.append(at, size), 0; };
  settings.on_body = [](http_parser* p, const char* at, std::size_t size) {
    return peer_of(p).body.append(at, size), 0;
  };
  settings.on_header_field = [](http_parser* p, const char* at, std::size_t size) {
    Peer& peer = peer_of(p);
    if (peer.in_value || peer.fields.empty()) peer.fields.emplace_back();
    peer.in_value = false;
    peer.fields.back().first.append(at, size);
    return 0;
  };
  settings.on_header_value = [](http_parser* p, const char* at, std::size_t size) {
    peer_of(p).in_value = true;
    peer_of(p).fields.back().second.append(at, size);
    return 0;
  };
  settings.on_headers_complete = [](http_parser* p) { return peer_of(p).head_complete = true, 0; };
  settings.on_message_complete = [](http_parser* p) {
    peer_of(p).complete = true;
    http_parser_pause(p, 1);
    return 0;
  };
  return settings;
}

// http_parser leaves blanks behind a value, and replaces nothing by an absolute-form target; trailers come with the
// fields.
std::vector<std::pair<std::string, std::string>> comparable(std::vector<std::pair<std::string, std::string>> fields) {
  for (auto& [name, value] : fields) {
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.pop_back();
    if (http::equals_ignoring_case(name, "host")) value = "-";
  }
  return fields;
}

TEST(CodecProperties, WhatWeTakeHttpParserTakesAlike) {
  const http_parser_settings settings = peer_settings();
  Rng rng(3);
  int taken = 0;
  int refused_by_us_alone = 0;
  for (int i = 0; i < 40'000; ++i) {
    const std::string input = draw_request(rng);
    Peer peer;
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &peer;
    http_parser_execute(&parser, &settings, input.data(), input.size());
    const bool peer_takes =
        peer.complete && (HTTP_PARSER_ERRNO(&parser) == HPE_OK || HTTP_PARSER_ERRNO(&parser) == HPE_PAUSED);

    const Outcome outcome = test::decode_requests(input);
    if (outcome.messages.empty() || !outcome.messages[0].complete) {
      refused_by_us_alone += peer_takes;
      continue;
    }
    const test::Message& message = outcome.messages[0];
    const std::string method = message.start.substr(0, message.start.find(' '));
    // Known differences: it has a fixed list of methods, and we take what browsers send in targets. (Framing fields in
    // trailers, which it reads and we drop unread, are not drawn.)
    if (http::parse_method(method) == http::Method::other) continue;
    if (HTTP_PARSER_ERRNO(&parser) == HPE_INVALID_URL && peer.url.find_first_of("|^{}[]") != std::string::npos)
      continue;
    ++taken;
    ASSERT_TRUE(peer_takes) << http_errno_name(HTTP_PARSER_ERRNO(&parser)) << "\n" << input;
    EXPECT_EQ(http_method_str(static_cast<http_method>(parser.method)), method) << input;
    EXPECT_EQ(peer.body, message.body) << input;
    EXPECT_NE(peer.url.find(message.start.substr(method.size() + 1, 1)), std::string::npos) << input;
    auto fields = comparable(peer.fields);
    ASSERT_GE(fields.size(), message.fields.size()) << input;
    fields.resize(message.fields.size());
    EXPECT_EQ(fields, comparable(message.fields)) << input;
  }
  EXPECT_GT(taken, 4'000);
  EXPECT_GT(refused_by_us_alone, 1'000) << "the draw has too few faults";
}

}  // namespace
}  // namespace weir::http1
