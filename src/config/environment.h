#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace weir::config {

// The value of an environment variable, nothing if it is not set. The caller decides what the environment is.
using EnvironmentLookup = std::function<std::optional<std::string>(std::string_view name)>;

// The text of a file, or why it can't be read. The caller decides what the files are; empty: none is looked at.
using FileReader = std::function<std::expected<std::string, std::string>(const std::string& path)>;

// Replaces `${NAME}`, `${NAME:-default}` (the default counts where NAME is not set or empty) and `$$` (a single `$`) in
// a text. Any other `$` stays. The error is a sentence: a name that is not set, or a `${` that is not closed.
std::expected<std::string, std::string> expand(std::string_view text, const EnvironmentLookup& environment);

}  // namespace weir::config
