#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/environment.h"
#include "config/spec.h"

namespace weir::config {

struct Parsed {
  std::optional<Spec> spec;             // there if and only if there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // in the order of the file
};

// Reads a configuration: YAML to a validated spec, or everything that is wrong with it. Never fails otherwise, whatever
// the text; the work is bounded by its size. `file_name` is what errors name; relative paths in the text are relative
// to its directory. Pure but for `environment`, which it calls; the result keeps nothing of the arguments. Any thread.
Parsed parse(std::string_view text, std::string file_name, const EnvironmentLookup& environment);

// All errors as `weir check` prints them, each with its line end.
std::string render(const std::vector<Diagnostic>& diagnostics);

// Every key that is accepted and has a value of its own, such as "listeners[].limits.header_bytes".
std::vector<std::string> accepted_leaf_keys();

}  // namespace weir::config
