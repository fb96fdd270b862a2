#include "config/json.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "config/schemas.h"

namespace weir::config {

std::string to_json(const Spec& spec) {
  JsonWriter writer(spec.unexpanded);
  write_section(writer, kRootSchema, spec);
  return writer.text();
}

std::string match_to_json(const Spec& spec, std::size_t route) {
  WEIR_CHECK(route < spec.routes.size());
  JsonWriter writer(spec.unexpanded, fmt::format("/routes/{}/match", route));
  write_section(writer, kMatchSchema, spec.routes[route].match);
  return writer.text();
}

}  // namespace weir::config
