// A client's bytes: how they are cut changes nothing, and nothing is kept that the limits do not allow. The first byte
// says whether a proper beginning stands before them.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "http/http2/session_test_util.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::http2;
  if (size == 0) return 0;
  std::string input = data[0] % 4 == 0 ? "" : test::kServerStart;
  input.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  SessionLimits limits;
  limits.concurrent_streams = 8;
  limits.head = {.header_bytes = 4096, .headers = 20, .uri_bytes = 512};
  limits.control_frames_per_window = 50;
  limits.resets_per_window = 10;
  const std::string whole = test::outcome(Role::server, input, {}, limits);
  WEIR_CHECK(test::outcome(Role::server, input, test::random_cut(size), limits) == whole);
  if (size <= 1024) WEIR_CHECK(test::outcome(Role::server, input, test::byte_by_byte, limits) == whole);
  return 0;
}
