// PROXY headers: what is a header does not depend on what stands behind it, its beginnings are no errors, and what was
// understood says the same when it is written and read again.
#include "net/proxy_protocol.h"

#include "base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using Status = ProxyParsed::Status;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const ProxyParsed parsed = parse_proxy_header(input);
  if (parsed.status == Status::need_more) WEIR_CHECK(size < kProxyHeaderBytesMax);
  if (parsed.status != Status::done) return 0;
  WEIR_CHECK(parsed.consumed <= size && parsed.consumed <= kProxyHeaderBytesMax);
  WEIR_CHECK(parse_proxy_header(input.substr(0, parsed.consumed)).ends == parsed.ends);
  for (std::size_t cut = 0; cut < parsed.consumed; ++cut) {
    WEIR_CHECK(parse_proxy_header(input.substr(0, cut)).status == Status::need_more);
  }
  if (!parsed.ends.known || parsed.ends.source.family == IpAddress::Family::none) return 0;
  std::array<char, kProxyWrittenBytesMax> room;
  for (const ProxyVersion version : {ProxyVersion::v1, ProxyVersion::v2}) {
    WEIR_CHECK(parse_proxy_header(write_proxy_header(version, parsed.ends, room)).ends == parsed.ends);
  }
  return 0;
}
