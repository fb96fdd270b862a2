// Every rule whose breach ends a stream or the connection (RFC 9113, RFC 9218, RFC 8441), one row each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/http2/session_test_util.h"

namespace weir::http2 {
namespace {

using test::data;
using test::frame;
using test::headers;
using test::kGet;
using test::kOk;
using test::kPost;
using test::Owner;
using test::rst_stream;
using test::setting;
using test::settings;
using test::u32;
using test::window_update;

constexpr FrameType kHeaders = FrameType::headers;
constexpr std::uint8_t kEndHeaders = kFlagEndHeaders;

struct Case {
  const char* name;
  std::string bytes;
  std::string expected;  // frames that answer them, but for SETTINGS and their acknowledgements
};

// Streams 1 (open), 3 (half closed by the client), 5 (over), 7 (reset by us), 9 (reset by the peer) exist.
const std::string kServerSetting = headers(1, kPost, false) + headers(3, kGet) + headers(5, kGet) +
                                   headers(7, kPost, false) + headers(9, kPost, false) + rst_stream(9);

std::string goaway(const char* code, std::uint32_t last = 9) {
  return "GOAWAY 0 last=" + std::to_string(last) + " " + code;
}

// What a session says to `bytes`.
std::string answer_of(Owner& owner, const std::string& bytes) {
  owner.take();
  owner.feed(bytes);
  std::string text;
  for (const std::string& line : owner.take_frames()) {
    if (!line.starts_with("SETTINGS")) text += (text.empty() ? "" : "; ") + line;
  }
  return text;
}

void check_server(const Case& row) {
  Owner owner(Role::server);
  owner.feed(test::kServerStart + kServerSetting);
  owner.respond(5, "x");
  owner.session.reset(owner.stream(7), ErrorCode::cancel);
  ASSERT_FALSE(owner.session.broken());
  const std::string answer = answer_of(owner, row.bytes);
  EXPECT_EQ(answer, row.expected) << row.name;
  EXPECT_EQ(owner.session.broken(), answer.starts_with("GOAWAY")) << row.name;
}

TEST(SessionErrors, WhatCantBeOnAStream) {
  const Case cases[] = {
      {"DATA on 0", data(0, "x"), goaway("PROTOCOL_ERROR")},
      {"DATA on an idle stream", data(11, "x"), goaway("PROTOCOL_ERROR")},
      {"DATA on a stream of ours", data(2, "x"), goaway("PROTOCOL_ERROR")},
      {"DATA after END_STREAM", data(3, "x"), "RST_STREAM 3 STREAM_CLOSED"},
      {"DATA on a closed stream", data(5, "x"), goaway("STREAM_CLOSED")},
      {"DATA on a stream that we reset", data(7, "x"), ""},
      {"DATA on a stream that the peer reset", data(9, "x"), "RST_STREAM 9 STREAM_CLOSED"},
      {"HEADERS on 0", headers(0, kGet), goaway("PROTOCOL_ERROR")},
      {"HEADERS on an even stream", headers(2, kGet), goaway("PROTOCOL_ERROR")},
      {"HEADERS after END_STREAM", headers(3, kGet), "RST_STREAM 3 STREAM_CLOSED"},
      {"HEADERS on a closed stream", headers(5, kGet), goaway("STREAM_CLOSED")},
      {"HEADERS on a stream that we reset", headers(7, kGet), ""},
      {"HEADERS on a stream that the peer reset", headers(9, kGet), "RST_STREAM 9 STREAM_CLOSED"},
      {"HEADERS on a stream that was passed over", headers(21, kGet) + headers(19, kGet), goaway("PROTOCOL_ERROR", 21)},
      {"RST_STREAM on 0", rst_stream(0), goaway("PROTOCOL_ERROR")},
      {"RST_STREAM on an idle stream", rst_stream(11), goaway("PROTOCOL_ERROR")},
      {"RST_STREAM on a closed stream", rst_stream(5), ""},
      {"WINDOW_UPDATE on an idle stream", window_update(11, 1), goaway("PROTOCOL_ERROR")},
      {"WINDOW_UPDATE on a closed stream", window_update(5, 1) + window_update(7, 1) + window_update(9, 1), ""},
      {"WINDOW_UPDATE after END_STREAM", window_update(3, 1), ""},
      {"PRIORITY on 0", frame(FrameType::priority, 0, 0, u32(0) + "x"), goaway("PROTOCOL_ERROR")},
      {"PRIORITY on an idle stream", frame(FrameType::priority, 0, 11, u32(0) + "x"), ""},
      {"PUSH_PROMISE", frame(FrameType::push_promise, kEndHeaders, 1, u32(2) + kGet), goaway("PROTOCOL_ERROR")},
      {"SETTINGS on a stream", frame(FrameType::settings, 0, 1, ""), goaway("PROTOCOL_ERROR")},
      {"PING on a stream", frame(FrameType::ping, 0, 1, "12345678"), goaway("PROTOCOL_ERROR")},
      {"GOAWAY on a stream", frame(FrameType::goaway, 0, 1, u32(0) + u32(0)), goaway("PROTOCOL_ERROR")},
      {"an unknown frame", frame(static_cast<FrameType>(0x42), 0xff, 11, "whatever"), ""},
  };
  for (const Case& row : cases) check_server(row);
}

TEST(SessionErrors, SizesAndValues) {
  const std::string prefix = "x";
  const Case cases[] = {
      {"a frame too large", frame(FrameType::data, 0, 1, std::string(16'385, 'x')), goaway("FRAME_SIZE_ERROR")},
      {"an unknown frame too large", frame(static_cast<FrameType>(0x42), 0, 1, std::string(16'385, 'x')),
       goaway("FRAME_SIZE_ERROR")},
      {"RST_STREAM of 3", frame(FrameType::rst_stream, 0, 1, "123"), goaway("FRAME_SIZE_ERROR")},
      {"PING of 7", frame(FrameType::ping, 0, 0, "1234567"), goaway("FRAME_SIZE_ERROR")},
      {"GOAWAY of 7", frame(FrameType::goaway, 0, 0, "1234567"), goaway("FRAME_SIZE_ERROR")},
      {"WINDOW_UPDATE of 5", frame(FrameType::window_update, 0, 0, "12345"), goaway("FRAME_SIZE_ERROR")},
      {"SETTINGS of 7", frame(FrameType::settings, 0, 0, "1234567"), goaway("FRAME_SIZE_ERROR")},
      {"SETTINGS ACK of 6", frame(FrameType::settings, kFlagAck, 0, "123456"), goaway("FRAME_SIZE_ERROR")},
      {"PRIORITY of 4 on a stream", frame(FrameType::priority, 0, 1, "1234"), "RST_STREAM 1 FRAME_SIZE_ERROR"},
      {"PRIORITY of 4 elsewhere", frame(FrameType::priority, 0, 11, "1234"), goaway("FRAME_SIZE_ERROR")},
      {"PRIORITY_UPDATE of 3", frame(FrameType::priority_update, 0, 0, "123"), goaway("FRAME_SIZE_ERROR")},
      {"PRIORITY_UPDATE of a stream of ours", frame(FrameType::priority_update, 0, 0, u32(2)),
       goaway("PROTOCOL_ERROR")},
      {"PRIORITY_UPDATE on a stream", frame(FrameType::priority_update, 0, 1, u32(1)), goaway("PROTOCOL_ERROR")},
      {"a stream that depends on itself", frame(FrameType::priority, 0, 1, u32(1) + "x"), goaway("PROTOCOL_ERROR")},
      {"HEADERS that depend on themselves", frame(kHeaders, kEndHeaders | kFlagPriority, 11, u32(11) + "x" + kGet),
       goaway("PROTOCOL_ERROR")},
      {"HEADERS without room for their priority", frame(kHeaders, kEndHeaders | kFlagPriority, 11, "1234"),
       goaway("FRAME_SIZE_ERROR")},
      {"padded HEADERS of 0", frame(kHeaders, kEndHeaders | kFlagPadded, 11, ""), goaway("FRAME_SIZE_ERROR")},
      {"HEADERS of more padding than payload", frame(kHeaders, kEndHeaders | kFlagPadded, 11, "\x05" + prefix),
       goaway("PROTOCOL_ERROR")},
      {"padded DATA of 0", frame(FrameType::data, kFlagPadded, 1, ""), goaway("FRAME_SIZE_ERROR")},
      {"DATA of more padding than payload", frame(FrameType::data, kFlagPadded, 1, "\x02" + prefix),
       goaway("PROTOCOL_ERROR")},
      {"ENABLE_PUSH of 2", settings(setting(Setting::enable_push, 2)), goaway("PROTOCOL_ERROR")},
      {"INITIAL_WINDOW_SIZE of 2^31", settings(setting(Setting::initial_window_size, 1u << 31)),
       goaway("FLOW_CONTROL_ERROR")},
      {"MAX_FRAME_SIZE of 16383", settings(setting(Setting::max_frame_size, 16'383)), goaway("PROTOCOL_ERROR")},
      {"MAX_FRAME_SIZE of 2^24", settings(setting(Setting::max_frame_size, 1u << 24)), goaway("PROTOCOL_ERROR")},
      {"ENABLE_CONNECT_PROTOCOL of 2", settings(setting(Setting::enable_connect_protocol, 2)),
       goaway("PROTOCOL_ERROR")},
      {"NO_RFC7540_PRIORITIES of 2", settings(setting(Setting::no_rfc7540_priorities, 2)), goaway("PROTOCOL_ERROR")},
      {"an unknown setting", settings(setting(static_cast<Setting>(0x99), 7)), ""},
  };
  for (const Case& row : cases) check_server(row);
}

TEST(SessionErrors, BlocksAndMessages) {
  const std::string length_3 = kPost + test::field("content-length", "3");
  const Case cases[] = {
      {"CONTINUATION without HEADERS", frame(FrameType::continuation, kEndHeaders, 1, kGet), goaway("PROTOCOL_ERROR")},
      {"another frame within a block", frame(kHeaders, 0, 11, kGet) + frame(FrameType::ping, 0, 0, "12345678"),
       goaway("PROTOCOL_ERROR")},
      {"an unknown frame within a block", frame(kHeaders, 0, 11, kGet) + frame(static_cast<FrameType>(0x42), 0, 11, ""),
       goaway("PROTOCOL_ERROR")},
      {"CONTINUATION of another stream", frame(kHeaders, 0, 11, kGet) + frame(FrameType::continuation, 4, 13, ""),
       goaway("PROTOCOL_ERROR")},
      {"a block that can't be decoded", headers(11, "\xff\xff\xff\xff\xff\xff"), goaway("COMPRESSION_ERROR", 11)},
      {"such a block on a stream that we reset", headers(7, "\xff\xff\xff\xff\xff\xff"), goaway("COMPRESSION_ERROR")},
      {"trailers without END_STREAM", headers(1, test::field("t", "1"), false), "RST_STREAM 1 PROTOCOL_ERROR"},
      {"trailers with a pseudo field", headers(1, kOk), "RST_STREAM 1 PROTOCOL_ERROR"},
      {"more than Content-Length", headers(11, length_3, false) + data(11, "abcd"), "RST_STREAM 11 PROTOCOL_ERROR"},
      {"less than Content-Length", headers(11, length_3, false) + data(11, "ab", true), "RST_STREAM 11 PROTOCOL_ERROR"},
      {"trailers too early for Content-Length", headers(11, length_3, false) + headers(11, test::field("t", "1")),
       "RST_STREAM 11 PROTOCOL_ERROR"},
      {"just Content-Length", headers(11, length_3, false) + data(11, "ab") + data(11, "c", true), ""},
      {"DATA beyond the stream's window",
       data(1, std::string(16'384, 'x')) + data(1, std::string(16'384, 'x')) + data(1, std::string(16'384, 'x')) +
           data(1, std::string(16'384, 'x')) + data(1, "x"),
       "RST_STREAM 1 FLOW_CONTROL_ERROR"},
      {"WINDOW_UPDATE of 0 on a stream", window_update(1, 0), "RST_STREAM 1 PROTOCOL_ERROR"},
      {"WINDOW_UPDATE of 0", window_update(0, 0), goaway("PROTOCOL_ERROR")},
      {"a stream's window overflows", window_update(1, kWindowMax), "RST_STREAM 1 FLOW_CONTROL_ERROR"},
      {"the connection's window overflows", window_update(0, kWindowMax), goaway("FLOW_CONTROL_ERROR")},
      {"SETTINGS overflow a window",
       window_update(1, kWindowMax - 65'535) + settings(setting(Setting::initial_window_size, 65'536)),
       goaway("FLOW_CONTROL_ERROR")},
  };
  for (Case row : cases) {
    Owner owner(Role::server);
    owner.consumes = false;
    owner.feed(test::kServerStart + kServerSetting);
    owner.respond(5, "x");
    owner.session.reset(owner.stream(7), ErrorCode::cancel);
    EXPECT_EQ(answer_of(owner, row.bytes), row.expected) << row.name;
  }
}

TEST(SessionErrors, TheBeginning) {
  const Case cases[] = {
      {"not a preface", "GET / HTTP/1.1\r\n", goaway("PROTOCOL_ERROR", 0)},
      {"a preface with a fault", std::string(Session::kPreface.substr(0, 20)) + "x", goaway("PROTOCOL_ERROR", 0)},
      {"no SETTINGS", std::string(Session::kPreface) + frame(FrameType::ping, 0, 0, "12345678"),
       goaway("PROTOCOL_ERROR", 0)},
      {"an acknowledgement first", std::string(Session::kPreface) + frame(FrameType::settings, kFlagAck, 0, ""),
       goaway("PROTOCOL_ERROR", 0)},
      {"half a preface", std::string(Session::kPreface.substr(0, 20)), ""},
  };
  for (const Case& row : cases) {
    Owner owner(Role::server);
    EXPECT_EQ(answer_of(owner, row.bytes), row.expected) << row.name;
  }
  Owner client(Role::client);
  EXPECT_EQ(answer_of(client, "H"), goaway("PROTOCOL_ERROR", 0));
}

// SETTINGS of a size that none has: the answer depended on how much of the frame came at once.
TEST(Bugs, Case030HowTheFirstFrameIsCut) {
  const std::string start(Session::kPreface);
  for (const std::string& bytes : {start + "\x02", start + std::string("\x02\0\0\4\0\0\0\0\0", 9)}) {
    Owner owner(Role::server);
    EXPECT_EQ(answer_of(owner, bytes), goaway("PROTOCOL_ERROR", 0));
  }
}

TEST(SessionErrors, OfAServerToItsClient) {
  const Case cases[] = {
      {"a stream of the server's", headers(2, kOk), goaway("PROTOCOL_ERROR", 0)},
      {"a stream that was not opened", headers(5, kOk), goaway("PROTOCOL_ERROR", 0)},
      {"PUSH_PROMISE", frame(FrameType::push_promise, kEndHeaders, 1, u32(2) + kGet), goaway("PROTOCOL_ERROR", 0)},
      {"ENABLE_PUSH of 1", settings(setting(Setting::enable_push, 1)), goaway("PROTOCOL_ERROR", 0)},
      {"ENABLE_CONNECT_PROTOCOL taken back",
       settings(setting(Setting::enable_connect_protocol, 1) + setting(Setting::enable_connect_protocol, 0)),
       goaway("PROTOCOL_ERROR", 0)},
      {"PRIORITY_UPDATE", frame(FrameType::priority_update, 0, 0, u32(1)), goaway("PROTOCOL_ERROR", 0)},
      {"DATA before the head", data(1, "x"), "RST_STREAM 1 PROTOCOL_ERROR"},
      {"DATA after 100", headers(1, test::field(":status", "100"), false) + data(1, "x"),
       "RST_STREAM 1 PROTOCOL_ERROR"},
      {"100 with END_STREAM", headers(1, test::field(":status", "100"), true), "RST_STREAM 1 PROTOCOL_ERROR"},
      {"101", headers(1, test::field(":status", "101"), false), "RST_STREAM 1 PROTOCOL_ERROR"},
      {"a second head", headers(1, kOk, false) + headers(1, kOk, false), "RST_STREAM 1 PROTOCOL_ERROR"},
      {"a body behind 304", headers(1, "\x8b", false) + data(1, "x", true), "RST_STREAM 1 PROTOCOL_ERROR"},
      {"DATA behind the end", headers(1, kOk) + data(1, "x"), goaway("STREAM_CLOSED", 0)},
  };
  for (const Case& row : cases) {
    Owner owner(Role::client);
    owner.feed(settings());
    owner.open();
    owner.open();
    EXPECT_EQ(answer_of(owner, row.bytes), row.expected) << row.name;
  }
}

TEST(SessionErrors, TooMany1xxAreAFault) {
  Owner owner(Role::client);
  owner.feed(settings());
  owner.open();
  std::string bytes;
  for (int i = 0; i < 101; ++i) bytes += headers(1, test::field(":status", "103"), false);
  EXPECT_EQ(answer_of(owner, bytes), "RST_STREAM 1 PROTOCOL_ERROR");
}

}  // namespace
}  // namespace weir::http2
