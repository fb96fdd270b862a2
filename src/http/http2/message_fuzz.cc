// Messages of HTTP/2: what passes as one says the same when it is written and read again, and as HTTP/1 it is one
// message. The first byte says of which kind the block is.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/assert.h"
#include "http/http1/encoder.h"
#include "http/http1/test_util.h"
#include "http/http2/message_test_util.h"

namespace weir::http2 {
namespace {

constexpr http::HeadLimits kLimits{.header_bytes = 4096, .headers = 20, .uri_bytes = 512};
constexpr http::HeadLimits kRoomy{.header_bytes = 1 << 20, .headers = 10'000, .uri_bytes = 1 << 20};

std::string text_of(const Buffer& buffer) {
  std::string text(buffer.size(), '\0');
  buffer.peek(text.data(), text.size());
  return text;
}

// What another of our decoders makes of what was written.
template <typename Write>
std::string written(BufferPool& pool, Write&& write) {
  HpackEncoder encoder;
  Buffer out(pool);
  write(encoder, out);
  return text_of(out);
}

void check_http1_lines(const http::FieldList& fields, std::uint32_t length_count) {
  WEIR_CHECK(fields.count(http::FieldId::content_length) <= length_count);
  for (const http::Field& field : fields) {
    WEIR_CHECK(http::is_token(field.name()) && http::is_field_value(field.value()));
    WEIR_CHECK(field.id == http::field_id(field.name()));
  }
  for (const http::FieldId id : {http::FieldId::connection, http::FieldId::transfer_encoding, http::FieldId::upgrade,
                                 http::FieldId::keep_alive, http::FieldId::proxy_connection}) {
    WEIR_CHECK(!fields.has(id));
  }
}

// A host in the middle of the fields comes back as the first.
test::Fields sorted(test::Fields fields) {
  std::sort(fields.begin(), fields.end());
  return fields;
}

// What a head says must not lie in the block or the table, which are gone by now: also of one that was refused, since
// the log tells of it. An access that must not be is for the sanitizer to see.
void read_all(const std::vector<std::string_view>& texts, const http::FieldList& fields) {
  std::size_t sum = 0;
  const auto read = [&sum](std::string_view text) {
    for (const char c : text) sum += static_cast<unsigned char>(c);
  };
  for (const std::string_view text : texts) read(text);
  for (const http::Field& field : fields) {
    read(field.name());
    read(field.value());
  }
  WEIR_CHECK(sum < std::size_t{1} << 32);
}

// The decoder and its block are gone when it returns.
template <typename Decode>
BlockResult decode_once(std::string_view block, Decode&& decode) {
  HpackDecoder decoder;
  const auto copy = std::make_unique<std::string>(block);
  return decode(decoder, std::string_view(*copy));
}

void request(std::string_view block, bool end_stream) {
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  const BlockResult result = decode_once(block, [&](HpackDecoder& decoder, std::string_view copy) {
    return decode_request(decoder, copy, end_stream, true, kLimits, head);
  });
  read_all({head.method_text, head.scheme, head.authority, head.target, head.path}, head.fields);
  WEIR_CHECK((result.error == BlockError::none) == result.detail.empty());
  if (result.error != BlockError::none) return;
  check_http1_lines(head.fields, 1);
  WEIR_CHECK(head.fields.count(http::FieldId::host) == 1 && head.fields.count(http::FieldId::cookie) <= 1);
  if (head.method == http::Method::connect) return;

  const test::Message before = test::describe(result, head);
  const std::string again =
      written(pool, [&](HpackEncoder& encoder, Buffer& out) { encode_request(encoder, out, head, head.scheme); });
  HpackDecoder other;
  const test::Message after = test::read_request(other, again, {.end_stream = end_stream, .limits = kRoomy});
  WEIR_CHECK(after.error == BlockError::none && after.start == before.start && after.facts == before.facts);
  WEIR_CHECK(sorted(after.fields) == sorted(before.fields));

  Buffer out(pool);
  if (head.body == http::BodyKind::stream_end) {
    head.fields.add("transfer-encoding", "chunked", http::FieldId::transfer_encoding);
  }
  http1::write_request_head(out, head);
  const std::string text = text_of(out);
  const http1::test::Outcome outcome = http1::test::decode_requests(text, http1::test::whole, kRoomy);
  WEIR_CHECK(outcome.error == http1::DecodeError::none && outcome.messages.size() == 1);
  WEIR_CHECK(outcome.messages[0].start == std::string(head.method_text) + " " + std::string(head.path) + " " +
                                              std::string(head.authority) + " HTTP/1.1");
  WEIR_CHECK(outcome.consumed == text.size());
}

void response(std::string_view block, bool end_stream, bool answers_head) {
  BufferPool pool;
  Arena arena(pool);
  http::ResponseHead head(arena);
  const BlockResult result = decode_once(block, [&](HpackDecoder& decoder, std::string_view copy) {
    return decode_response(decoder, copy, end_stream, answers_head, kLimits, head);
  });
  read_all({head.reason}, head.fields);
  WEIR_CHECK((result.error == BlockError::none) == result.detail.empty());
  if (result.error != BlockError::none) return;
  check_http1_lines(head.fields, 1);
  WEIR_CHECK(head.status >= 100 && head.status <= 599 && head.status != 101);
  head.fields.remove(http::FieldId::host);  // means nothing there, and is left out
  const test::Message before = test::describe(result, head);
  const std::string again =
      written(pool, [&](HpackEncoder& encoder, Buffer& out) { encode_response(encoder, out, head); });
  HpackDecoder other;
  const test::Message after =
      test::read_response(other, again, {.end_stream = end_stream, .answers_head = answers_head, .limits = kRoomy});
  WEIR_CHECK(after.error == BlockError::none && after.start == before.start && after.facts == before.facts);
  WEIR_CHECK(after.fields == before.fields);
}

void trailers(std::string_view block) {
  BufferPool pool;
  Arena arena(pool);
  http::FieldList fields(arena);
  const BlockResult result = decode_once(block, [&](HpackDecoder& decoder, std::string_view copy) {
    return decode_trailers(decoder, copy, kLimits, fields);
  });
  read_all({}, fields);
  if (result.error != BlockError::none) return;
  check_http1_lines(fields, 0);
  const test::Fields before = test::copy_fields(fields);
  const std::string again =
      written(pool, [&](HpackEncoder& encoder, Buffer& out) { encode_trailers(encoder, out, fields); });
  HpackDecoder other;
  http::FieldList read(arena);
  WEIR_CHECK(decode_trailers(other, again, kRoomy, read).error == BlockError::none);
  WEIR_CHECK(test::copy_fields(read) == before);
}

}  // namespace
}  // namespace weir::http2

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::http2;
  if (size == 0) return 0;
  const std::string block(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool end_stream = (data[0] & 4) != 0;
  switch (data[0] % 4) {
    case 0:
    case 1:
      request(block, end_stream);
      break;
    case 2:
      response(block, end_stream, (data[0] & 8) != 0);
      break;
    default:
      trailers(block);
      break;
  }
  return 0;
}
