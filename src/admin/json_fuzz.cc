#include <cstddef>
#include <cstdint>
#include <string>

#include "admin/json.h"
#include "base/assert.h"

namespace weir::admin {
namespace {

template <typename T>
void check(Parsed<T> (*parse)(std::string_view), const std::string& body) {
  const Parsed<T> parsed = parse(body);
  if (!parsed) {
    WEIR_CHECK(parsed.error().status == 400 || parsed.error().status == 422);
    WEIR_CHECK(!parsed.error().message.empty() && error_json(parsed.error().message).starts_with("{\"error\":\""));
    return;
  }
  // Space behind an object means nothing, anything else does, and no part of an object is an object.
  if (body.empty()) return;
  const std::size_t last = body.find_last_of('}');
  WEIR_CHECK(last != std::string::npos);
  for (const std::string& broken : {body + "{", body.substr(0, last)}) {
    const Parsed<T> again = parse(broken);
    WEIR_CHECK(!again && again.error().status == 400);
  }
  WEIR_CHECK(parse(body + " \n").has_value());
}

}  // namespace
}  // namespace weir::admin

// Any bytes as the body of a change: a change or an error that says why.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::admin;
  const std::string body(reinterpret_cast<const char*>(data), size);
  check(parse_new_backend, body);
  check(parse_backend_patch, body);
  check(parse_nothing, body);
  return 0;
}
