#include "http/http1/encoder.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "http/http1/test_util.h"

namespace weir::http1 {
namespace {

std::string take(Buffer& buffer) {
  std::string text(buffer.size(), '\0');
  buffer.peek(text.data(), text.size());
  buffer.clear();
  return text;
}

// Decodes a request head, lets `change` at it, and gives what is written then.
template <typename Change>
std::string rewritten(std::string input, bool adopt, Change&& change) {
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  http::FieldList trailers(arena);
  RequestDecoder decoder;
  EXPECT_EQ(decoder.next(input, head, trailers, {UINT64_MAX, UINT64_MAX, UINT64_MAX}).event, Event::head) << input;
  if (adopt) {
    head.adopt();
    input.assign(input.size(), '!');
  }
  change(head);
  Buffer out(pool);
  write_request_head(out, head);
  return take(out);
}

TEST(Encoder, WritesARequestAsItCame) {
  const std::string input = "GET /a?b HTTP/1.1\r\nHost: a\r\nX: y\r\nEmpty: \r\nX: z\r\n\r\n";
  for (const bool adopt : {false, true}) EXPECT_EQ(rewritten(input, adopt, [](http::RequestHead&) {}), input);
}

TEST(Encoder, LeavesOutAddsAndBringsToOneForm) {
  const std::string input =
      "GET http://B/x HTTP/1.0\r\nhost: a\r\nA:1\r\nB: 2\r\nC:  3\r\nD: 4 \r\nE:\t5\r\nVia: 6\r\nF: 7\r\nG:\r\nH: "
      "8\r\n\r\n";
  for (const bool adopt : {false, true}) {
    const std::string output = rewritten(input, adopt, [](http::RequestHead& head) {
      head.fields.remove("b");
      head.fields.remove(http::FieldId::via);
      head.fields.add_copy("X-New", "9");
      head.fields.add("x-empty", "", http::FieldId::other);
    });
    EXPECT_EQ(output,
              "GET /x HTTP/1.1\r\nhost: B\r\nA: 1\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 7\r\nG: \r\nH: 8\r\nX-New: "
              "9\r\nx-empty: \r\n\r\n");
  }
}

TEST(Encoder, WritesHeadsLargerThanASlice) {
  std::string input = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 1000; ++i) input += "X-" + std::to_string(i) + ": " + std::string(60, 'v') + "\r\n";
  input += "Long: " + std::string(40000, 'w') + "\r\n\r\n";
  EXPECT_EQ(rewritten(input, true, [](http::RequestHead&) {}), input);
}

TEST(Encoder, WritesResponses) {
  BufferPool pool;
  Arena arena(pool);
  http::ResponseHead head(arena);
  Buffer out(pool);
  head.status = 404;
  head.fields.add_copy("Content-Length", "0");
  write_response_head(out, head);
  EXPECT_EQ(take(out), "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
  head.reason = "Gone Fishing";
  write_response_head(out, head);
  EXPECT_EQ(take(out), "HTTP/1.1 404 Gone Fishing\r\ncontent-length: 0\r\n\r\n");
  head.clear();
  head.status = 599;
  write_response_head(out, head);
  EXPECT_EQ(take(out), "HTTP/1.1 599 \r\n\r\n");
}

TEST(Encoder, WritesChunks) {
  BufferPool pool;
  Arena arena(pool);
  Buffer out(pool);
  write_chunk(out, "hello");
  write_last_chunk(out, nullptr);
  EXPECT_EQ(take(out), "5\r\nhello\r\n0\r\n\r\n");
  write_chunk(out, std::string(0x1a2b, 'x'));
  EXPECT_EQ(take(out).substr(0, 7), "1a2b\r\nx");
  http::FieldList trailers(arena);
  trailers.add_copy("X-Sum", "1");
  trailers.add_copy("Host", "a");
  trailers.remove(http::FieldId::host);
  write_last_chunk(out, &trailers);
  EXPECT_EQ(take(out), "0\r\nX-Sum: 1\r\n\r\n");
}

TEST(Encoder, ReasonPhrases) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(503), "Service Unavailable");
  EXPECT_EQ(reason_phrase(100), "Continue");
  EXPECT_EQ(reason_phrase(511), "Network Authentication Required");
  for (const int status : {0, 99, 299, 418, 512, 999})
    EXPECT_EQ(reason_phrase(static_cast<std::uint16_t>(status)), "") << status;
}

std::string gen_text(std::string_view alphabet, int size_max) {
  std::string text;
  const int size = *rc::gen::inRange(0, size_max);
  for (int i = 0; i < size; ++i) text += *rc::gen::elementOf(std::string(alphabet));
  return text;
}

RC_GTEST_PROP(Encoder, ParsingWhatWasWrittenGivesTheSame, ()) {
  constexpr std::string_view kBlank = " \t";
  std::string input = "PUT /" + gen_text("abc/%20?=&", 40) + " HTTP/1.1\r\nHost: a\r\n";
  const int fields = *rc::gen::inRange(0, 40);
  for (int i = 0; i < fields; ++i) {
    input += "x" + gen_text("abc-XYZ_1", 30) + ":" + gen_text(kBlank, 3);
    const std::string value = gen_text("abc ,;=\"\x80\t~", 60);
    input += value + gen_text(kBlank, 3) + "\r\n";
  }
  input += "Content-Length: 0\r\n\r\n";
  std::vector<std::string> removed;
  const std::string output = rewritten(input, *rc::gen::arbitrary<bool>(), [&](http::RequestHead& head) {
    for (http::Field& field : head.fields) {
      field.removed = field.id == http::FieldId::other && *rc::gen::inRange(0, 4) == 0;
    }
    head.fields.add_copy("x-added", "1");
  });
  const test::Outcome before = test::decode_requests(input);
  const test::Outcome after = test::decode_requests(output);
  RC_ASSERT(after.messages.size() == 1u);
  RC_ASSERT(after.messages[0].start == before.messages[0].start);
  RC_ASSERT(after.messages[0].facts == before.messages[0].facts);
  // What was not removed is there, in order.
  auto next = before.messages[0].fields.begin();
  for (const auto& field : after.messages[0].fields) {
    if (field.first == "x-added") continue;
    next = std::find(next, before.messages[0].fields.end(), field);
    RC_ASSERT(next != before.messages[0].fields.end());
    ++next;
  }
  // A second time changes nothing.
  RC_ASSERT(rewritten(output, true, [](http::RequestHead&) {}) == output);
}

}  // namespace
}  // namespace weir::http1
