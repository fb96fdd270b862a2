// Responses: how the bytes are cut changes nothing, and a final head says the same when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "http/http1/encoder.h"
#include "http/http1/test_util.h"

namespace weir::http1 {
namespace {

void round_trip(std::string_view input) {
  BufferPool pool;
  Arena arena(pool);
  http::ResponseHead head(arena);
  http::FieldList trailers(arena);
  ResponseDecoder decoder;
  decoder.expect(http::Method::get);
  if (decoder.next(input, head, trailers, {}).event != Event::head) return;
  const test::Message before = test::describe(head);
  head.adopt();
  WEIR_CHECK(test::describe(head) == before);
  if (head.version != http::Version::http_1_1) return;  // it is written as 1.1
  Buffer out(pool);
  write_response_head(out, head);
  std::string again(out.size(), '\0');
  out.peek(again.data(), again.size());
  const test::Outcome outcome = test::decode_response(again);
  WEIR_CHECK(outcome.messages.size() == 1);
  WEIR_CHECK(outcome.messages[0].start.starts_with(before.start));  // an empty reason is replaced by the standard one
  WEIR_CHECK(outcome.messages[0].facts == before.facts);
  WEIR_CHECK(outcome.messages[0].fields == before.fields);
}

}  // namespace
}  // namespace weir::http1

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::http1;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const http::HeadLimits limits{.header_bytes = 4096, .headers = 20, .uri_bytes = 512};
  for (const http::Method method : {http::Method::get, http::Method::head}) {
    const test::Outcome outcome = test::decode_response(input, test::whole, method, true, limits);
    WEIR_CHECK(test::decode_response(input, test::random_cut(size), method, true, limits) == outcome);
    if (size <= 2048) WEIR_CHECK(test::decode_response(input, test::byte_by_byte, method, true, limits) == outcome);
    WEIR_CHECK(outcome.error == DecodeError::none || outcome.error == DecodeError::bad_response ||
               outcome.error == DecodeError::truncated);
  }
  round_trip(input);
  return 0;
}
