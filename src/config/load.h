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

struct FilesOfNow {
  std::optional<Spec> next;  // the same with what is in its files now; nothing if none of them has changed
  std::string problem;       // the first file that can't be used, and why: what it held before stays. Empty: none
};
// Looks into the files that a spec names. Any thread.
FilesOfNow with_files_of_now(const Spec& spec, const FileReader& files);

// All errors as `weir check` prints them, each with its line end.
std::string render(const std::vector<Diagnostic>& diagnostics);

// Every key that is accepted and has a value of its own, such as "listeners[].limits.header_bytes".
std::vector<std::string> accepted_leaf_keys();

}  // namespace weir::config
