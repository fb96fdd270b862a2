#pragma once

#include <string>
#include <utility>
#include <vector>

#include "http/http2/hpack_test_util.h"
#include "http/http2/message.h"

// What the tests, fuzz targets and benchmarks of messages share.
namespace weir::http2::test {

using Fields = std::vector<std::pair<std::string, std::string>>;

inline Fields copy_fields(const http::FieldList& fields) {
  Fields result;
  for (const http::Field& field : fields) {
    if (!field.removed) result.emplace_back(field.name(), field.value());
  }
  return result;
}

// A decoded message as a value.
struct Message {
  BlockError error = BlockError::none;
  std::string detail;
  std::string start;  // what the pseudo-header fields were understood as
  std::string facts;
  Fields fields;

  bool operator==(const Message&) const = default;
};

inline std::string facts_of(http::BodyKind body, std::uint64_t length) {
  static constexpr const char* kKinds[] = {"none", "length", "chunked", "until_close", "stream_end"};
  std::string facts = kKinds[static_cast<int>(body)];
  if (body == http::BodyKind::length) facts += " " + std::to_string(length);
  return facts;
}

inline Message describe(const BlockResult& result, const http::RequestHead& head) {
  Message message{.error = result.error, .detail = std::string(result.detail), .start = {}, .facts = {}, .fields = {}};
  if (result.error != BlockError::none) return message;
  for (const std::string_view part : {head.method_text, head.scheme, head.authority, head.path}) {
    if (!message.start.empty()) message.start += ' ';
    message.start += part;
  }
  message.facts = facts_of(head.body, head.content_length);
  if (head.expect_continue) message.facts += " continue";
  if (head.upgrade_websocket) message.facts += " websocket";
  message.fields = copy_fields(head.fields);
  return message;
}

inline Message describe(const BlockResult& result, const http::ResponseHead& head) {
  Message message{.error = result.error, .detail = std::string(result.detail), .start = {}, .facts = {}, .fields = {}};
  if (result.error != BlockError::none) return message;
  message.start = std::to_string(head.status);
  message.facts = facts_of(head.body, head.content_length);
  message.fields = copy_fields(head.fields);
  return message;
}

struct Options {
  bool end_stream = false;
  bool extended_connect = true;
  bool answers_head = false;
  http::HeadLimits limits = {};
};

inline Message read_request(HpackDecoder& decoder, std::string_view block, const Options& options = {}) {
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  return describe(decode_request(decoder, block, options.end_stream, options.extended_connect, options.limits, head),
                  head);
}

inline Message read_response(HpackDecoder& decoder, std::string_view block, const Options& options = {}) {
  BufferPool pool;
  Arena arena(pool);
  http::ResponseHead head(arena);
  return describe(decode_response(decoder, block, options.end_stream, options.answers_head, options.limits, head),
                  head);
}

// The same from lines, encoded by themselves; the decoder must have got on to the block's end.
inline Message read_request(const Lines& lines, const Options& options = {}) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  const std::string block = encode(encoder, lines);
  Message message = read_request(decoder, block, options);
  if (decoder.table_bytes() != encoder.table_bytes()) message.detail += " (the block was not read to its end)";
  return message;
}

inline Message read_response(const Lines& lines, const Options& options = {}) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  const std::string block = encode(encoder, lines);
  Message message = read_response(decoder, block, options);
  if (decoder.table_bytes() != encoder.table_bytes()) message.detail += " (the block was not read to its end)";
  return message;
}

}  // namespace weir::http2::test
