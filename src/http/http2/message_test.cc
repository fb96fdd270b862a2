#include "http/http2/message.h"

#include <gtest/gtest.h>

#include "http/http1/decoder.h"
#include "http/http2/message_test_util.h"

namespace weir::http2 {
namespace {

using test::bytes;
using test::Fields;
using test::Line;
using test::Lines;
using test::Message;
using test::Options;

// A good request with `more` behind it.
Lines with(Lines more) {
  Lines lines = {{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}};
  lines.insert(lines.end(), more.begin(), more.end());
  lines.push_back({"x-last", "enters the table, which shows that the block was read to its end"});
  return lines;
}

TEST(RequestBlock, IsFilledInLikeAnHttp1Head) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  std::string block = test::encode(encoder, {{":method", "POST"},
                                             {":scheme", "https"},
                                             {":path", "/a?b"},
                                             {":authority", "Example.com:8080"},
                                             {"content-length", "5"},
                                             {"user-agent", "agent"},
                                             {"expect", "100-continue"},
                                             {"x-secret", "s", true}});
  EXPECT_EQ(decode_request(decoder, block, false, true, {}, head).error, BlockError::none);
  block.assign(block.size(), '?');  // nothing points there
  EXPECT_EQ(head.method, http::Method::post);
  EXPECT_EQ(head.method_text, "POST");
  EXPECT_EQ(head.target, "/a?b");
  EXPECT_EQ(head.path, "/a?b");
  EXPECT_EQ(head.scheme, "https");
  EXPECT_EQ(head.authority, "Example.com:8080");
  EXPECT_EQ(head.version, http::Version::http_2);
  EXPECT_EQ(head.body, http::BodyKind::length);
  EXPECT_EQ(head.content_length, 5u);
  EXPECT_TRUE(head.keep_alive);
  EXPECT_TRUE(head.expect_continue);
  EXPECT_FALSE(head.upgrade_websocket);
  EXPECT_EQ(test::copy_fields(head.fields), (Fields{{"host", "Example.com:8080"},
                                                    {"content-length", "5"},
                                                    {"user-agent", "agent"},
                                                    {"expect", "100-continue"},
                                                    {"x-secret", "s"}}));
  EXPECT_TRUE(head.fields.has(http::FieldId::host));
  EXPECT_FALSE(head.fields.begin()[2].never_indexed);
  EXPECT_TRUE(head.fields.begin()[4].never_indexed);

  http::RequestHead other(arena);
  http::FieldList trailers(arena);
  http1::RequestDecoder http1;
  const auto step = http1.next(
      "POST /a?b HTTP/1.1\r\nhost: Example.com:8080\r\ncontent-length: 5\r\nuser-agent: agent\r\n"
      "expect: 100-continue\r\nx-secret: s\r\n\r\n",
      other, trailers, {});
  ASSERT_EQ(step.event, http1::Event::head);
  EXPECT_EQ(test::copy_fields(other.fields), test::copy_fields(head.fields));
  EXPECT_EQ(other.authority, head.authority);
  EXPECT_EQ(other.path, head.path);
  EXPECT_EQ(other.target, head.target);
  EXPECT_EQ(other.fields.present(), head.fields.present());
}

TEST(RequestBlock, AdoptAndClearLeaveItWhole) {
  BufferPool pool;
  Arena arena(pool);
  HpackEncoder encoder;
  HpackDecoder decoder;
  http::RequestHead head(arena);
  ASSERT_EQ(decode_request(decoder, test::encode(encoder, with({})), true, true, {}, head).error, BlockError::none);
  const Fields fields = test::copy_fields(head.fields);
  head.adopt();
  EXPECT_EQ(head.path, "/");
  EXPECT_EQ(test::copy_fields(head.fields), fields);
}

TEST(RequestBlock, Taken) {
  struct Case {
    Lines lines;
    Options options;
    const char* start;
    const char* facts;
  };
  const Lines connect = {{":method", "CONNECT"}, {":authority", "a:443"}};
  const Lines websocket = {{":method", "CONNECT"},
                           {":protocol", "websocket"},
                           {":scheme", "https"},
                           {":path", "/chat"},
                           {":authority", "a"}};
  const Case cases[] = {
      {with({}), {}, "GET https a /", "stream_end"},
      {with({}), {.end_stream = true}, "GET https a /", "none"},
      {with({{"content-length", "0"}}), {}, "GET https a /", "length 0"},
      {with({{"content-length", "0"}}), {.end_stream = true}, "GET https a /", "none"},
      {with({{"te", "trailers"}}), {}, "GET https a /", "stream_end"},
      {with({{"host", "A"}}), {}, "GET https a /", "stream_end"},
      {with({{"x", "\x80\xff\t-"}, {"y", ""}}), {}, "GET https a /", "stream_end"},
      {{{":path", "/a|b?\\`"}, {":scheme", "http"}, {":method", "a-b"}, {"host", "c"}},
       {},
       "a-b http c /a|b?\\`",
       "stream_end"},
      {{{":method", "OPTIONS"}, {":scheme", "http"}, {":path", "*"}, {":authority", "[::1]:80"}},
       {},
       "OPTIONS http [::1]:80 *",
       "stream_end"},
      {connect, {}, "CONNECT  a:443 a:443", "stream_end"},
      {websocket, {}, "CONNECT https a /chat", "stream_end websocket"},
  };
  for (const Case& c : cases) {
    const Message message = test::read_request(c.lines, c.options);
    EXPECT_EQ(message.detail, "");
    EXPECT_EQ(message.error, BlockError::none) << c.start;
    EXPECT_EQ(message.start, c.start);
    EXPECT_EQ(message.facts, c.facts) << c.start;
  }
}

// tidy: table one row a rule
TEST(RequestBlock, Malformed) {
  struct Case {
    Lines lines;
    const char* detail;
    Options options = {};
  };
  const Line method{":method", "GET"};
  const Line scheme{":scheme", "https"};
  const Line authority{":authority", "a"};
  const Line path{":path", "/"};
  const Line connect{":method", "CONNECT"};
  const Line websocket{":protocol", "websocket"};
  const auto path_is = [&](const char* text) { return Lines{method, scheme, authority, {":path", text}}; };
  const auto authority_is = [&](const char* text) { return Lines{method, scheme, {":authority", text}, path}; };
  const Case cases[] = {
      {{}, "no :method"},
      {{scheme, authority, path}, "no :method"},
      {{method, authority, path}, "no :scheme"},
      {{method, scheme, authority}, "no :path"},
      {{method, scheme, path}, "no :authority and no Host"},
      {{method, scheme, path, {"x", "y"}}, "no :authority and no Host"},
      {{method, method, scheme, authority, path}, "pseudo-header field twice"},
      {{method, scheme, scheme, authority, path}, "pseudo-header field twice"},
      {{method, scheme, authority, path, path}, "pseudo-header field twice"},
      {{method, scheme, authority, authority, path}, "pseudo-header field twice"},
      {{method, scheme, authority, {"x", "y"}, path}, "pseudo-header field behind other fields"},
      {{{"cookie", "a=b"}, method, scheme, authority, path}, "pseudo-header field behind other fields"},
      {{method, scheme, authority, path, {":status", "200"}}, "unknown pseudo-header field"},
      {{method, scheme, authority, path, {":version", "2"}}, "unknown pseudo-header field"},
      {{method, scheme, authority, path, {":Path", "/"}}, "unknown pseudo-header field"},
      {{method, scheme, authority, path, {":", "/"}}, "unknown pseudo-header field"},
      {{{":method", ""}, scheme, authority, path}, "bad :method"},
      {{{":method", "G T"}, scheme, authority, path}, "bad :method"},
      {{{":method", std::string(33, 'M')}, scheme, authority, path}, "method too long"},
      {{method, {":scheme", "ftp"}, authority, path}, "bad :scheme"},
      {{method, {":scheme", ""}, authority, path}, "bad :scheme"},
      {path_is(""), "empty :path"},
      {path_is("a"), "bad :path"},
      {path_is("*"), "bad :path"},
      {path_is("http://a/"), "bad :path"},
      {path_is("/ "), "bad character in :path"},
      {path_is("/#a"), "bad character in :path"},
      {path_is("/\\"), "bad character in :path"},
      {path_is("/\x80"), "bad character in :path"},
      {path_is("/\r\nx: y"), "bad character in :path"},
      {authority_is(""), "bad :authority"},
      {authority_is("user@a"), "bad :authority"},
      {authority_is("a b"), "bad :authority"},
      {authority_is("a:99999"), "bad :authority"},
      {authority_is("a,b"), "bad :authority"},
      {with({{"host", "b"}}), "Host differs from :authority"},
      {with({{"host", "a:443"}}), "Host differs from :authority"},
      {with({{"host", "a"}, {"host", "a"}}), "several Host"},
      {{method, scheme, path, {"host", "a"}, {"host", "a"}}, "several Host"},
      {{method, scheme, path, {"host", "u@a"}}, "bad Host"},
      {{method, scheme, path, {"host", ""}}, "bad Host"},
      {with({{"X-Capital", "a"}}), "capital in a field name"},
      {with({{"x y", "a"}}), "bad character in a field name"},
      {with({{"x:y", "a"}}), "colon in a field name"},
      {with({{"x\x80", "a"}}), "bad character in a field name"},
      {with({{"", "a"}}), "empty field name"},
      {with({{"x", "a\rb"}}), "control character in a field value"},
      {with({{"x", "a\nb"}}), "control character in a field value"},
      {with({{"x", std::string("a\0b", 3)}}), "control character in a field value"},
      {with({{"x", "a\x7f"}}), "control character in a field value"},
      {with({{"x", " a"}}), "blank at an end of a field value"},
      {with({{"x", "a\t"}}), "blank at an end of a field value"},
      {with({{"connection", "close"}}), "connection-specific field"},
      {with({{"keep-alive", "timeout=5"}}), "connection-specific field"},
      {with({{"proxy-connection", "close"}}), "connection-specific field"},
      {with({{"transfer-encoding", "chunked"}}), "connection-specific field"},
      {with({{"upgrade", "websocket"}}), "connection-specific field"},
      {with({{"te", "gzip"}}), "TE other than trailers"},
      {with({{"te", "trailers, gzip"}}), "TE other than trailers"},
      {with({{"te", ""}}), "TE other than trailers"},
      {with({{"content-length", "5"}, {"content-length", "5"}}), "several Content-Length"},
      {with({{"content-length", "5"}, {"content-length", "6"}}), "several Content-Length"},
      {with({{"content-length", ""}}), "bad Content-Length"},
      {with({{"content-length", "+5"}}), "bad Content-Length"},
      {with({{"content-length", "5, 5"}}), "bad Content-Length"},
      {with({{"content-length", "0x5"}}), "bad Content-Length"},
      {with({{"content-length", "9223372036854775808"}}), "bad Content-Length"},
      {with({{"content-length", "5"}}), "Content-Length differs from the body", {.end_stream = true}},
      {{connect, {":authority", "a:1"}, path}, ":scheme or :path in CONNECT"},
      {{connect, {":authority", "a:1"}, scheme}, ":scheme or :path in CONNECT"},
      {{connect, authority}, "bad target of CONNECT"},
      {{connect}, "no :authority and no Host"},
      {{connect, {"host", "a:1"}}, "bad target of CONNECT"},
      {{connect, websocket, scheme, authority, path}, ":protocol was not offered", {.extended_connect = false}},
      {{connect, {":protocol", "connect-udp"}, scheme, authority, path}, "unknown :protocol"},
      {{connect, websocket, authority, path}, "no :scheme"},
      {{connect, websocket, scheme, authority}, "no :path"},
      {{connect, websocket, scheme, path}, "no :authority and no Host"},
      {{method, websocket, scheme, authority, path}, ":protocol without CONNECT"},
      {{connect, websocket, scheme, authority, path, {"content-length", "0"}}, "Content-Length in CONNECT"},
  };
  for (const Case& c : cases) {
    const Message message = test::read_request(c.lines, c.options);
    EXPECT_EQ(message.error, BlockError::malformed) << c.detail;
    EXPECT_EQ(message.detail, c.detail);
  }
}

TEST(RequestBlock, LimitsCountWhatWouldBeHttp1Lines) {
  const auto error = [](const Lines& lines, http::HeadLimits limits) {
    return test::read_request(lines, {.limits = limits}).error;
  };
  const Lines lines = {
      {":method", "GET"}, {":scheme", "https"}, {":authority", "host"}, {":path", "/path"}, {"x", "y"}};
  const std::uint64_t bytes = 4 + 2 + 4 + 2 + 1 + 2 + 1 + 2;  // "host: host", "x: y"
  EXPECT_EQ(error(lines, {.header_bytes = bytes, .headers = 2, .uri_bytes = 5}), BlockError::none);
  EXPECT_EQ(error(lines, {.header_bytes = bytes - 1}), BlockError::too_large);
  EXPECT_EQ(error(lines, {.headers = 1}), BlockError::too_large);
  EXPECT_EQ(error(lines, {.uri_bytes = 4}), BlockError::uri_too_long);
  EXPECT_EQ(error({{":method", "CONNECT"}, {":authority", "host:1"}}, {.uri_bytes = 5}), BlockError::uri_too_long);
  // Host counts once, wherever it comes from.
  Lines twice = lines;
  twice.push_back({"host", "host"});
  EXPECT_EQ(error(twice, {.header_bytes = bytes, .headers = 2}), BlockError::none);
  // A cookie is one line, however many crumbs it came in.
  Lines crumbs = lines;
  for (int i = 0; i < 5; ++i) crumbs.push_back({"cookie", "a=b"});
  const std::uint64_t cookie_bytes = 6 + 2 + 5 * 3 + 4 * 2 + 2;
  EXPECT_EQ(error(crumbs, {.header_bytes = bytes + cookie_bytes, .headers = 3}), BlockError::none);
  EXPECT_EQ(error(crumbs, {.header_bytes = bytes + cookie_bytes - 1, .headers = 3}), BlockError::too_large);
  // Trailers of a request have the same.
}

TEST(RequestBlock, AReferenceRepeatedWithoutEndCostsNoMemory) {
  HpackDecoder decoder;
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  std::string block = "\x40\x01x\x7f" + test::bytes("811e") + std::string(3968, 'v');  // 127 + 1 + 30 * 128
  block.append(100'000, '\xbe');
  const BlockResult result = decode_request(decoder, block, true, true, {}, head);
  EXPECT_EQ(result.error, BlockError::too_large);
  EXPECT_LT(arena.used(), 100'000u);
  http::HeadLimits limits;
  limits.headers = UINT64_MAX;
  EXPECT_EQ(decode_request(decoder, std::string(100'000, '\xbe'), true, true, limits, head).error,
            BlockError::too_large);
  EXPECT_LT(arena.used(), 200'000u);
  EXPECT_EQ(discard_block(decoder, std::string(100'000, '\xbe'), arena).error, BlockError::none);
  EXPECT_LT(arena.used(), 200'000u);
}

TEST(RequestBlock, CrumbsOfCookieAreJoined) {
  const auto cookie = [](const Lines& more) {
    const Message message = test::read_request(with(more));
    EXPECT_EQ(message.error, BlockError::none);
    std::string cookies;
    for (const auto& [name, value] : message.fields) {
      if (name == "cookie") cookies += "[" + value + "]";
    }
    return cookies;
  };
  EXPECT_EQ(cookie({{"cookie", "a=b"}}), "[a=b]");
  EXPECT_EQ(cookie({{"cookie", "a=b"}, {"x", "y"}, {"cookie", "c=d"}, {"cookie", "e=f; g=h"}}), "[a=b; c=d; e=f; g=h]");
  EXPECT_EQ(cookie({{"cookie", ""}, {"cookie", "a=b"}, {"cookie", ""}, {"cookie", "c=d"}}), "[a=b; c=d]");
  Lines many;
  std::string joined;
  for (int i = 0; i < 500; ++i) {
    const std::string crumb = "name" + std::to_string(i) + "=value";
    many.push_back({"cookie", crumb});
    joined += (i == 0 ? "" : "; ") + crumb;
  }
  EXPECT_EQ(cookie(many), "[" + joined + "]");
}

TEST(RequestBlock, ACrumbThatMustNotBeIndexedKeepsTheCookieOutOfTables) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  const std::string block = test::encode(encoder, with({{"cookie", "a=b"}, {"cookie", "c=d", true}}));
  ASSERT_EQ(decode_request(decoder, block, true, true, {}, head).error, BlockError::none);
  ASSERT_NE(head.fields.find(http::FieldId::cookie), nullptr);
  EXPECT_TRUE(head.fields.find(http::FieldId::cookie)->never_indexed);
}

TEST(ResponseBlock, Taken) {
  struct Case {
    Lines lines;
    Options options;
    const char* start;
    const char* facts;
    Fields fields;
  };
  const Case cases[] = {
      {{{":status", "200"}}, {}, "200", "stream_end", {}},
      {{{":status", "200"}}, {.end_stream = true}, "200", "none", {}},
      {{{":status", "599"}, {"content-length", "7"}}, {}, "599", "length 7", {{"content-length", "7"}}},
      {{{":status", "200"}, {"content-length", "7"}},
       {.end_stream = true, .answers_head = true},
       "200",
       "none",
       {{"content-length", "7"}}},
      {{{":status", "304"}, {"content-length", "7"}}, {.end_stream = true}, "304", "none", {{"content-length", "7"}}},
      {{{":status", "204"}, {"content-length", "0"}, {"a", "b"}}, {}, "204", "none", {{"a", "b"}}},
      {{{":status", "100"}}, {}, "100", "none", {}},
      {{{":status", "103"}, {"link", "x"}}, {}, "103", "none", {{"link", "x"}}},
      {{{":status", "200"}, {"set-cookie", "a"}, {"set-cookie", "b"}},
       {},
       "200",
       "stream_end",
       {{"set-cookie", "a"}, {"set-cookie", "b"}}},
  };
  for (const Case& c : cases) {
    const Message message = test::read_response(c.lines, c.options);
    EXPECT_EQ(message.error, BlockError::none) << message.detail;
    EXPECT_EQ(message.detail, "");
    EXPECT_EQ(message.start, c.start);
    EXPECT_EQ(message.facts, c.facts) << c.start;
    EXPECT_EQ(message.fields, c.fields) << c.start;
  }
}

TEST(ResponseBlock, Malformed) {
  struct Case {
    Lines lines;
    const char* detail;
    Options options = {};
  };
  const Line ok{":status", "200"};
  const Case cases[] = {
      {{}, "no :status"},
      {{{"a", "b"}}, "no :status"},
      {{ok, ok}, "pseudo-header field twice"},
      {{{"a", "b"}, ok}, "pseudo-header field behind other fields"},
      {{ok, {":path", "/"}}, "unknown pseudo-header field"},
      {{ok, {":protocol", "websocket"}}, "unknown pseudo-header field"},
      {{{":status", "101"}}, "101 in HTTP/2"},
      {{{":status", "99"}}, "bad :status"},
      {{{":status", "600"}}, "bad :status"},
      {{{":status", "0200"}}, "bad :status"},
      {{{":status", "2x0"}}, "bad :status"},
      {{{":status", ""}}, "bad :status"},
      {{ok, {"connection", "close"}}, "connection-specific field"},
      {{ok, {"transfer-encoding", "chunked"}}, "connection-specific field"},
      {{ok, {"te", "trailers"}}, "TE in a response"},
      {{ok, {"X", "a"}}, "capital in a field name"},
      {{ok, {"x", "a\r\nb"}}, "control character in a field value"},
      {{ok, {"content-length", "1"}, {"content-length", "1"}}, "several Content-Length"},
      {{ok, {"content-length", "-1"}}, "bad Content-Length"},
      {{ok, {"content-length", "1"}}, "Content-Length differs from the body", {.end_stream = true}},
      {{{":status", "204"}, {"content-length", "1"}}, "Content-Length where there is no body"},
      {{{":status", "100"}, {"content-length", "0"}}, "Content-Length where there is no body"},
      {{{":status", "100"}}, "1xx that ends the stream", {.end_stream = true}},
  };
  for (const Case& c : cases) {
    const Message message = test::read_response(c.lines, c.options);
    EXPECT_EQ(message.error, BlockError::malformed) << c.detail;
    EXPECT_EQ(message.detail, c.detail);
  }
  EXPECT_EQ(test::read_response({ok, {"x", "y"}}, {.limits = {.header_bytes = 6}}).error, BlockError::none);
  EXPECT_EQ(test::read_response({ok, {"x", "y"}}, {.limits = {.header_bytes = 5}}).error, BlockError::too_large);
  EXPECT_EQ(test::read_response({ok, {"x", "y"}}, {.limits = {.headers = 0}}).error, BlockError::too_large);
}

TEST(TrailerBlock, TakesAndDropsWhatHttp1Does) {
  struct Case {
    Lines lines;
    BlockError error;
    Fields fields;
  };
  const Case cases[] = {
      {{{"grpc-status", "0"}, {"grpc-message", "ok"}},
       BlockError::none,
       {{"grpc-status", "0"}, {"grpc-message", "ok"}}},
      {{{"content-length", "5"}, {"host", "a"}, {"set-cookie", "a"}, {"x-real-ip", "1"}, {"x", "y"}},
       BlockError::none,
       {{"x", "y"}}},
      {{{":status", "200"}}, BlockError::malformed, {}},
      {{{"x", "y"}, {":path", "/"}}, BlockError::malformed, {{"x", "y"}}},
      {{{"connection", "close"}}, BlockError::malformed, {}},
      {{{"X", "y"}}, BlockError::malformed, {}},
      {{{"x", "yyyyyyyyyyyyyyyyyyyyyyyyy"}}, BlockError::too_large, {}},
      {{{"content-length", "5555555555555"}}, BlockError::too_large, {}},
  };
  for (const Case& c : cases) {
    BufferPool pool;
    Arena arena(pool);
    HpackEncoder encoder;
    HpackDecoder decoder;
    http::FieldList trailers(arena);
    const http::HeadLimits limits{.header_bytes = c.error == BlockError::too_large ? 28u : 1000u};
    const std::string block = test::encode(encoder, c.lines);
    EXPECT_EQ(decode_trailers(decoder, block, limits, trailers).error, c.error);
    EXPECT_EQ(test::copy_fields(trailers), c.fields);
  }
}

TEST(Blocks, BrokenCompressionIsTheConnectionsEnd) {
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead request(arena);
  http::ResponseHead response(arena);
  http::FieldList trailers(arena);
  for (const char* hex : {"80", "82ff", "00", "4141"}) {
    const std::string block = test::bytes(hex);
    HpackDecoder decoder;
    EXPECT_EQ(decode_request(decoder, block, true, true, {}, request).error, BlockError::compression) << hex;
    EXPECT_EQ(decode_response(decoder, block, true, false, {}, response).error, BlockError::compression) << hex;
    EXPECT_EQ(decode_trailers(decoder, block, {}, trailers).error, BlockError::compression) << hex;
    EXPECT_EQ(discard_block(decoder, block, arena).error, BlockError::compression) << hex;
  }
}

// What an encoder writes, as lines.
struct Encoding {
  BufferPool pool;
  Arena arena{pool};
  HpackEncoder encoder;
  HpackDecoder decoder;
  Buffer out{pool};

  Lines lines() {
    std::string block(out.size(), '\0');
    out.peek(block.data(), block.size());
    out.clear();
    const test::Decoded decoded = test::decode(decoder, block);
    EXPECT_FALSE(decoded.error);
    EXPECT_EQ(decoder.table_bytes(), encoder.table_bytes());
    return decoded.lines;
  }
};

TEST(EncodedRequest, SaysWhatMayBeSaidInHttp2) {
  Encoding encoding;
  http::RequestHead head(encoding.arena);
  http::FieldList trailers(encoding.arena);
  http1::RequestDecoder http1;
  const auto step = http1.next(
      "GET /a HTTP/1.1\r\nHost: b:1\r\nConnection: close, X\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\n"
      "Upgrade: h2c\r\nTE: gzip\r\nHTTP2-Settings: a\r\nX-Mixed-Case: Value\r\nAuthorization: Basic 1\r\n"
      "Proxy-Authorization: 2\r\nCookie: a=b\r\nCookie: long=0123456789abcdef\r\nAccept: */*\r\nX-Gone: 1\r\n\r\n",
      head, trailers, {});
  ASSERT_EQ(step.event, http1::Event::head);
  head.fields.remove("x-gone");
  const Lines expected = {{":method", "GET"},
                          {":scheme", "http"},
                          {":path", "/a"},
                          {":authority", "b:1"},
                          {"x-mixed-case", "Value"},
                          {"authorization", "Basic 1", true},
                          {"proxy-authorization", "2", true},
                          {"cookie", "a=b", true},
                          {"cookie", "long=0123456789abcdef"},
                          {"accept", "*/*"}};
  for (int i = 0; i < 3; ++i) {
    encode_request(encoding.encoder, encoding.out, head, "http");
    EXPECT_EQ(encoding.lines(), expected);
  }
  head.fields.remove(http::FieldId::host);
  head.fields.add("te", "trailers", http::FieldId::te);
  head.fields.add("host", "replaced", http::FieldId::host);
  encode_request(encoding.encoder, encoding.out, head, "https");
  const Lines lines = encoding.lines();
  EXPECT_EQ(lines[1], (Line{":scheme", "https"}));
  EXPECT_EQ(lines[3], (Line{":authority", "replaced"}));
  EXPECT_EQ(lines.back(), (Line{"te", "trailers"}));
}

// RFC 7541 6.2.3: a field that came so must go on so, over each hop.
TEST(Bugs, Case162AHostAndAPathThatMustNotBeIndexedStayOutOfTables) {
  for (const bool said_by_host : {false, true}) {
    const Line authority{said_by_host ? "host" : ":authority", "tenant.example", true};
    HpackEncoder client;
    HpackDecoder decoder;
    const std::string block = test::encode(
        client, {{":method", "GET"}, {":scheme", "https"}, {":path", "/?token=s", true}, authority, {"x", "y", true}});
    Encoding encoding;
    http::RequestHead head(encoding.arena);
    ASSERT_EQ(decode_request(decoder, block, true, true, {}, head).error, BlockError::none);
    encode_request(encoding.encoder, encoding.out, head, "https");
    EXPECT_EQ(encoding.lines(), (Lines{{":method", "GET"},
                                       {":scheme", "https"},
                                       {":path", "/?token=s", true},
                                       {":authority", "tenant.example", true},
                                       {"x", "y", true}}));
    // The next one's may.
    head.clear();
    ASSERT_EQ(decode_request(decoder, test::encode(client, with({})), true, true, {}, head).error, BlockError::none);
    encode_request(encoding.encoder, encoding.out, head, "https");
    for (const Line& line : encoding.lines()) EXPECT_FALSE(line.never_indexed) << line.name;
  }
}

TEST(EncodedRequest, AnUpgradeBecomesAnExtendedConnect) {
  Encoding encoding;
  http::RequestHead head(encoding.arena);
  http::FieldList trailers(encoding.arena);
  http1::RequestDecoder http1;
  const auto step = http1.next(
      "GET /chat HTTP/1.1\r\nHost: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
      "Sec-WebSocket-Version: 13\r\n\r\n",
      head, trailers, {});
  ASSERT_EQ(step.event, http1::Event::head);
  ASSERT_TRUE(head.upgrade_websocket);
  encode_request(encoding.encoder, encoding.out, head, "https");
  EXPECT_EQ(encoding.lines(), (Lines{{":method", "CONNECT"},
                                     {":protocol", "websocket"},
                                     {":scheme", "https"},
                                     {":path", "/chat"},
                                     {":authority", "b"},
                                     {"sec-websocket-version", "13"}}));
}

TEST(EncodedRequest, PlainConnectHasOnlyAnAuthority) {
  Encoding encoding;
  http::RequestHead head(encoding.arena);
  head.method = http::Method::connect;
  head.method_text = "CONNECT";
  head.authority = head.path = head.target = "a:1";
  encode_request(encoding.encoder, encoding.out, head, "https");
  EXPECT_EQ(encoding.lines(), (Lines{{":method", "CONNECT"}, {":authority", "a:1"}}));
}

TEST(EncodedResponse, SaysWhatMayBeSaidInHttp2) {
  Encoding encoding;
  http::ResponseHead head(encoding.arena);
  for (const unsigned status : {200u, 204u, 206u, 304u, 400u, 404u, 500u, 302u, 503u, 103u}) {
    head.status = static_cast<std::uint16_t>(status);
    encode_response(encoding.encoder, encoding.out, head);
    EXPECT_EQ(encoding.lines(), (Lines{{":status", std::to_string(status)}}));
  }
  head.status = 200;
  head.fields.add("Connection", "close", http::FieldId::connection);
  head.fields.add("Transfer-Encoding", "chunked", http::FieldId::transfer_encoding);
  head.fields.add("Content-Type", "text/plain", http::FieldId::content_type);
  head.fields.add("Sec-WebSocket-Accept", "x", http::FieldId::other);
  head.fields.add("X-Secret", "s", http::FieldId::other, true);
  encode_response(encoding.encoder, encoding.out, head);
  EXPECT_EQ(
      encoding.lines(),
      (Lines{
          {":status", "200"}, {"content-type", "text/plain"}, {"sec-websocket-accept", "x"}, {"x-secret", "s", true}}));
  head.status = 101;
  encode_response(encoding.encoder, encoding.out, head);
  EXPECT_EQ(encoding.lines(), (Lines{{":status", "200"}, {"content-type", "text/plain"}, {"x-secret", "s", true}}));
}

// With nothing in the table yet, each block began as if none had been before it: nothing ever entered.
TEST(Bugs, Case032WhatWasSeenBeforeTheFirstEntryIsForgotten) {
  Encoding encoding;
  http::ResponseHead head(encoding.arena);
  head.status = 200;
  head.fields.add("server", "backend", http::FieldId::server);
  head.fields.add("date", "Sat, 21 Nov 2026 09:09:01 GMT", http::FieldId::date);
  for (int i = 0; i < 2; ++i) {
    encode_response(encoding.encoder, encoding.out, head);
    encoding.lines();
  }
  encode_response(encoding.encoder, encoding.out, head);
  EXPECT_EQ(encoding.out.size(), 3U);
}

// A literal that takes its name from the table cost a copy of that name each time, whatever became of the field: two
// bytes of a block took four thousand of memory. They still cost as much work, and so not without end.
TEST(Bugs, Case070ANameThatReplacesItselfInTheTableIsNotKeptEachTime) {
  for (const int times : {60, 40'000}) {
    std::string block = "\x82\x86\x84" + bytes("407f a11e") + std::string(4000, 'n') + '\0';
    for (int i = 0; i < times; ++i) block.append("\x7e\0", 2);
    for (int kind = 0; kind < 4; ++kind) {
      BufferPool pool;
      Arena arena(pool);
      HpackDecoder decoder;
      http::RequestHead request(arena);
      http::ResponseHead response(arena);
      BlockResult result;
      if (kind == 0) result = decode_request(decoder, block, true, true, {}, request);
      if (kind == 1) result = decode_response(decoder, block, true, false, {}, response);
      if (kind == 2) result = decode_trailers(decoder, block, {}, request.fields);
      if (kind == 3) result = discard_block(decoder, block, arena);
      EXPECT_EQ(result.error == BlockError::compression, times == 40'000) << result.detail;
      EXPECT_EQ(decoder.table_bytes(), 4032U);
      EXPECT_LE(pool.outstanding_bytes(), 96U * 1024) << kind;
      EXPECT_LE(arena.used(), 64U * 1024) << kind;
    }
  }
}

// What is kept of a field that entered the table is not what the next one overwrites there.
TEST(RequestBlock, WhatIsKeptOutlivesItsPlaceInTheTable) {
  std::string block = "\x82\x86\x84" + bytes("4101 61") + '\x40' + '\x03' + "x-a" + '\x01' + '0';
  Fields expected = {{"host", "a"}, {"x-a", "0"}};
  for (int i = 0; i < 90; ++i) {
    const std::string value(std::size_t{30} + i % 30, static_cast<char>('a' + i % 26));
    block += std::string("\x7e") + static_cast<char>(value.size()) + value;
    expected.emplace_back("x-a", value);
  }
  HpackDecoder decoder;
  decoder.set_table_bytes_max(100);
  const Message message = test::read_request(decoder, bytes("3f45") + block, {.end_stream = true});
  EXPECT_EQ(message.detail, "");
  EXPECT_EQ(message.fields, expected);
}

// A Host that was one field too many was pointed to after its block was gone.
TEST(Bugs, Case071AHostThatIsNotKeptIsNotPointedTo) {
  for (const http::HeadLimits& limits : {http::HeadLimits{.header_bytes = 4096, .headers = 0, .uri_bytes = 100},
                                         http::HeadLimits{.header_bytes = 5, .headers = 100, .uri_bytes = 100}}) {
    BufferPool pool;
    Arena arena(pool);
    HpackDecoder decoder;
    http::RequestHead head(arena);
    const std::string block = "\x82\x86\x84" + bytes("0f17 01") + 'a';
    EXPECT_EQ(decode_request(decoder, block, true, true, limits, head).error, BlockError::too_large);
    EXPECT_TRUE(head.authority.empty());
  }
}

TEST(EncodedTrailers, AreFieldsAlone) {
  Encoding encoding;
  http::FieldList trailers(encoding.arena);
  trailers.add("Grpc-Status", "0", http::FieldId::other);
  trailers.add("x-gone", "0", http::FieldId::other);
  trailers.remove("x-gone");
  encode_trailers(encoding.encoder, encoding.out, trailers);
  EXPECT_EQ(encoding.lines(), (Lines{{"grpc-status", "0"}}));
}

TEST(EncodedRequest, OneThatFillsManySlicesGoesThrough) {
  Encoding encoding;
  http::RequestHead head(encoding.arena);
  head.method_text = "GET";
  const std::string path = "/" + std::string(15'000, 'p');
  const std::string cookie(30'000, 'c');
  head.path = path;
  head.authority = "a";
  head.fields.add("cookie", cookie, http::FieldId::cookie);
  head.fields.add("x-a", "b", http::FieldId::other);
  encode_request(encoding.encoder, encoding.out, head, "https");
  EXPECT_EQ(encoding.lines(), (Lines{{":method", "GET"},
                                     {":scheme", "https"},
                                     {":path", path},
                                     {":authority", "a"},
                                     {"cookie", cookie},
                                     {"x-a", "b"}}));
}

}  // namespace
}  // namespace weir::http2
