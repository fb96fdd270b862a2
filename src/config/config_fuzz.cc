#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "config/json.h"
#include "config/load.h"

// Any bytes give a spec or errors; the JSON of a spec reads back as the same spec.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto environment = [](std::string_view name) -> std::optional<std::string> {
    if (name == "PORT") return "8080";
    return std::nullopt;
  };
  const Parsed parsed = parse(text, "c.yaml", environment);
  WEIR_CHECK(parsed.spec.has_value() == parsed.diagnostics.empty());
  for (const Diagnostic& diagnostic : parsed.diagnostics) WEIR_CHECK(!diagnostic.render().empty());
  if (!parsed.spec) return 0;
  Spec spec = *parsed.spec;
  spec.unexpanded.by_pointer.clear();
  if (spec.admin) spec.admin->token.clear();
  const std::string json = to_json(spec);
  if (json.find('$') != std::string::npos) return 0;  // would be taken for environment variables
  const Parsed again = parse(json, "c.json", environment);
  WEIR_CHECK(again.spec.has_value() && *again.spec == spec);
  return 0;
}
