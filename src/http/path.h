#pragma once

#include <span>
#include <string_view>

namespace weir::http {

struct NormalPath {
  std::string_view path;   // in normal form, without the query
  std::string_view query;  // as received, without its "?"
};

// The path of an origin-form target as it is matched (RFC 3986 6.2.2, 5.2.4), so that no spelling walks past a route:
// percent-encoded unreserved characters are decoded, other percent-encodings get capital hex digits (an encoded slash
// stays "%2F": it is data), then dot segments are removed, those that were encoded too. Empty segments ("//") stay. A
// "%" without two hex digits behind it is data and stays. "*" stays as it is. The views point into `target` where it is
// normal already, which costs one scan; else `path` is written to `scratch`, which must have room for as many bytes as
// `target`. No allocation.
NormalPath normalise_path(std::string_view target, std::span<char> scratch);

}  // namespace weir::http
