// Requests: how the bytes are cut changes nothing, and what was understood says the same when it is written and read
// again.
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
  http::RequestHead head(arena);
  http::FieldList trailers(arena);
  RequestDecoder decoder;
  const Step step = decoder.next(input, head, trailers, {});
  if (step.event != Event::head) return;
  const test::Message before = test::describe(head);
  head.adopt();
  WEIR_CHECK(test::describe(head) == before);
  Buffer out(pool);
  const bool modern = head.version == http::Version::http_1_1;
  write_request_head(out, head);
  std::string again(out.size(), '\0');
  out.peek(again.data(), again.size());
  again += input.substr(step.consumed);
  const test::Outcome outcome = test::decode_requests(again);
  // A 1.0 request is written as 1.1, and may then lack a Host.
  if (!modern) return;
  WEIR_CHECK(!outcome.messages.empty());
  WEIR_CHECK(outcome.messages[0].start == before.start);
  WEIR_CHECK(outcome.messages[0].facts == before.facts);
  WEIR_CHECK(outcome.messages[0].fields == before.fields);
  const test::Outcome whole = test::decode_requests(input);
  WEIR_CHECK(outcome.messages.size() == whole.messages.size());
  WEIR_CHECK(outcome.messages[0].body == whole.messages[0].body && outcome.error == whole.error);
}

}  // namespace
}  // namespace weir::http1

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::http1;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const http::HeadLimits limits{.header_bytes = 4096, .headers = 20, .uri_bytes = 512};
  const test::Outcome outcome = test::decode_requests(input, test::whole, limits);
  WEIR_CHECK(test::decode_requests(input, test::random_cut(size), limits) == outcome);
  if (size <= 2048) WEIR_CHECK(test::decode_requests(input, test::byte_by_byte, limits) == outcome);
  round_trip(input);
  return 0;
}
