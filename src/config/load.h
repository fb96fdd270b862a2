#pragma once

#include <expected>
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
// to its directory. Pure but for `environment` and `files`, which it calls; the result keeps nothing of the arguments.
// Any thread. Certificates and keys are read by `files` and checked; without it they stay empty and unchecked.
Parsed parse(std::string_view text, std::string file_name, const EnvironmentLookup& environment,
             const FileReader& files = {});

// The same with the files that it names as they are now; nothing if none of them has changed. The error says which file
// can't be used, and why. Any thread.
std::expected<std::optional<Spec>, std::string> with_files_of_now(const Spec& spec, const FileReader& files);

// All errors as `weir check` prints them, each with its line end.
std::string render(const std::vector<Diagnostic>& diagnostics);

// Every key that is accepted and has a value of its own, such as "listeners[].limits.header_bytes".
std::vector<std::string> accepted_leaf_keys();

}  // namespace weir::config
