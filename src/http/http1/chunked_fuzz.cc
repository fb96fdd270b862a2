// Chunked bodies: how the bytes are cut changes nothing, and the body says the same when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "http/http1/encoder.h"
#include "http/http1/test_util.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::http1;
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string input = head + std::string(reinterpret_cast<const char*>(data), size);
  const http::HeadLimits limits{.header_bytes = 1024, .headers = 10};
  const test::Outcome outcome = test::decode_requests(input, test::whole, limits);
  WEIR_CHECK(test::decode_requests(input, test::random_cut(size), limits) == outcome);
  if (size <= 2048) WEIR_CHECK(test::decode_requests(input, test::byte_by_byte, limits) == outcome);
  WEIR_CHECK(!outcome.messages.empty());
  const test::Message& message = outcome.messages[0];
  if (!message.complete) return 0;

  BufferPool pool;
  Arena arena(pool);
  Buffer out(pool);
  http::FieldList trailers(arena);
  for (const auto& [name, value] : message.trailers) trailers.add_copy(name, value);
  out.append(head);
  if (!message.body.empty()) write_chunk(out, message.body);
  write_last_chunk(out, &trailers);
  std::string again(out.size(), '\0');
  out.peek(again.data(), again.size());
  const test::Outcome second = test::decode_requests(again);
  WEIR_CHECK(second.messages.size() == 1 && second.messages[0].complete);
  WEIR_CHECK(second.messages[0].body == message.body);
  WEIR_CHECK(second.messages[0].trailers.size() == message.trailers.size());
  return 0;
}
