#include "client.h"

#include <gtest/gtest.h>

namespace weir::lab {
namespace {

using Kind = Done::Kind;

Request request_for(std::int64_t body_bytes) {
  Request request;
  request.path = "/bytes?size=5";
  request.fields = {{"Accept", "*/*"}};
  request.body_bytes = body_bytes;
  return request;
}

std::string frame(int type, int flags, int stream, const std::string& payload) {
  std::string out{
      '\0', '\0', static_cast<char>(payload.size()), static_cast<char>(type), static_cast<char>(flags), '\0',
      '\0', '\0', static_cast<char>(stream)};
  return out + payload;
}

// What a client that asked once makes of an answer that comes in pieces of `step` bytes.
std::vector<Kind> answers(ClientWire& wire, const std::string& bytes, std::size_t step, bool& fine) {
  std::vector<Done> done;
  fine = true;
  for (std::size_t at = 0; fine && at < bytes.size(); at += step) fine = wire.feed(bytes.substr(at, step), done);
  std::vector<Kind> kinds;
  for (const Done& one : done) kinds.push_back(one.kind);
  return kinds;
}

TEST(Http1Wire, RendersTheRequest) {
  const Request request = request_for(-1);
  Http1Wire wire(request);
  EXPECT_EQ(wire.room(), 1U);
  wire.begin();
  EXPECT_EQ(wire.room(), 0U);
  EXPECT_EQ(wire.output(), "GET /bytes?size=5 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n");
}

TEST(Http1Wire, TellsGoodAnswersFromBadOnesHoweverTheyAreCut) {
  const struct {
    std::string answer;
    std::vector<Kind> kinds;
    bool fine;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", {Kind::ok}, true},
      {"HTTP/1.1 500 No\r\ncontent-length:5\r\n\r\nhello", {Kind::status}, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell", {Kind::body}, true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", {Kind::body}, true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", {Kind::framing}, false},
      {"SSH-2.0-x, what is this\r\n\r\n", {Kind::framing}, false},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", {}, true},
  };
  const Request request = request_for(5);
  for (const auto& one : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, one.answer.size()}) {
      Http1Wire wire(request);
      wire.begin();
      bool fine = false;
      EXPECT_EQ(answers(wire, one.answer, step, fine), one.kinds) << one.answer << " by " << step;
      EXPECT_EQ(fine, one.fine) << one.answer << " by " << step;
    }
  }
}

TEST(Http1Wire, BytesThatNobodyAskedForEndTheConnection) {
  const Request request = request_for(5);
  Http1Wire wire(request);
  std::vector<Done> done;
  EXPECT_FALSE(wire.feed("HTTP/1.1 200 OK\r\n", done));
}

TEST(Http2Wire, WaitsForTheServersSettingsAndKeepsToItsLimit) {
  const Request request = request_for(-1);
  Http2Wire wire(request, 8, false);
  wire.open();
  EXPECT_TRUE(wire.output().starts_with("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  EXPECT_EQ(wire.room(), 0U);
  std::vector<Done> done;
  EXPECT_TRUE(wire.feed(frame(4, 0, 0, std::string("\0\3\0\0\0\2", 6)), done));
  EXPECT_EQ(wire.room(), 2U);
  EXPECT_EQ(wire.begin(), 1U);
  EXPECT_EQ(wire.begin(), 3U);
  EXPECT_EQ(wire.room(), 0U);
}

TEST(Http2Wire, SendsFieldsOnceAndTheirNumbersAfterThat) {
  const Request request = request_for(-1);
  Http2Wire wire(request, 8, true);
  wire.open();
  std::vector<Done> done;
  ASSERT_TRUE(wire.feed(frame(4, 0, 0, ""), done));
  wire.output().clear();
  wire.begin();
  EXPECT_EQ(wire.output(), frame(1, 5, 1,
                                 std::string("\x82\x87\x44\x0d") + "/bytes?size=5" + "\x41\x09" + "127.0.0.1" +
                                     std::string("\x40\x06") + "accept" + "\x03*/*"));
  wire.output().clear();
  wire.begin();
  EXPECT_EQ(wire.output(), frame(1, 5, 3, "\x82\x87\xc0\xbf\xbe"));
}

TEST(Http2Wire, UsesNoTableWhereThePeerHasNone) {
  const Request request = request_for(-1);
  Http2Wire wire(request, 8, false);
  std::vector<Done> done;
  ASSERT_TRUE(wire.feed(frame(4, 0, 0, std::string("\0\1\0\0\0\0", 6)), done));
  wire.output().clear();
  wire.begin();
  const std::string first = wire.output();
  wire.output().clear();
  wire.begin();
  EXPECT_EQ(wire.output().substr(9), first.substr(9));
}

TEST(Http2Wire, TellsGoodAnswersFromBadOnesHoweverTheyAreCut) {
  const struct {
    std::string answer;
    std::vector<Kind> kinds;
  } cases[] = {
      {frame(1, 4, 1, "\x88") + frame(0, 1, 1, "hello"), {Kind::ok}},
      {frame(1, 4, 1, "\x3f\xe1\x1f\x88") + frame(0, 0, 1, "hel") + frame(0, 1, 1, "lo"), {Kind::ok}},
      {frame(1, 0xc, 1, std::string("\1\x88\0", 3)) + frame(0, 9, 1, std::string("\2hello\0\0", 8)), {Kind::ok}},
      {frame(1, 4, 1, "\x88") + frame(0, 0, 1, "hello") + frame(1, 5, 1, "\x40\1a\1b"), {Kind::ok}},
      {frame(1, 4, 1, "\x8e") + frame(0, 1, 1, "hello"), {Kind::status}},
      {frame(1, 4, 1, "\x88") + frame(0, 1, 1, "hell"), {Kind::body}},
      {frame(1, 5, 1, "\x88"), {Kind::body}},
      {frame(1, 4, 1, "\x88") + frame(3, 0, 1, std::string("\0\0\0\2", 4)), {Kind::framing}},
      {frame(1, 4, 1, "\x88") + frame(0, 0, 1, "hello"), {}},
  };
  const Request request = request_for(5);
  for (const auto& one : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{4}, one.answer.size()}) {
      Http2Wire wire(request, 4, false);
      std::vector<Done> done;
      ASSERT_TRUE(wire.feed(frame(4, 0, 0, ""), done));
      wire.begin();
      bool fine = false;
      EXPECT_EQ(answers(wire, one.answer, step, fine), one.kinds) << &one - cases << " by " << step;
      EXPECT_TRUE(fine);
    }
  }
}

TEST(Http2Wire, AnswersPingAndStopsAfterGoaway) {
  const Request request = request_for(-1);
  Http2Wire wire(request, 4, false);
  std::vector<Done> done;
  ASSERT_TRUE(wire.feed(frame(4, 0, 0, ""), done));
  wire.output().clear();
  ASSERT_TRUE(wire.feed(frame(6, 0, 0, "12345678"), done));
  EXPECT_EQ(wire.output(), frame(6, 1, 0, "12345678"));
  wire.begin();
  EXPECT_TRUE(wire.feed(frame(7, 0, 0, std::string(8, '\0')), done));
  EXPECT_EQ(wire.room(), 0U);
  EXPECT_FALSE(wire.feed(frame(1, 5, 1, "\x88"), done));
  EXPECT_EQ(done.size(), 1U);
}

}  // namespace
}  // namespace weir::lab
