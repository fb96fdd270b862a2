#pragma once

#include <expected>
#include <string>

namespace weir::server {

// The text of a regular file of at most 16 MiB, or why it can't be read.
std::expected<std::string, std::string> read_text_file(const std::string& path);

}  // namespace weir::server
