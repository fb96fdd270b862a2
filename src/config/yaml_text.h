#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "config/diagnostic.h"

// What is done to a text before libfyaml sees it, and where libfyaml needs help.
namespace weir::config {

// The offset of the first byte that is no UTF-8 or no character that YAML allows, npos if there is none.
std::size_t find_bad_character(std::string_view text);

// Reports and refuses what libfyaml must not see: bytes that are no text, at which it stops without an error, and lines
// for which it needs quadratic time (a long directive, many blank lines in a row; nobody writes such files). True if
// the text is refused.
bool refuse_text(const SourceText& source, Diagnostics& diagnostics);

// The text of a single-quoted scalar that begins behind its quote, nothing if there is no quote in it. libfyaml 0.7
// leaks memory over several quotes in a row, so they are read here; the parser has checked the rest.
std::optional<std::string> unquote_single(std::string_view text);

}  // namespace weir::config
