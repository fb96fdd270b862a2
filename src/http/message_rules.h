#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/head.h"

// What a message may say, whatever the version that it is said in.
namespace weir::http {

inline constexpr std::size_t kMethodBytesMax = 32;
// Of a field's name: what fits its member.
inline constexpr std::size_t kFieldNameMax = 65'535;

// Whether a request target has only characters that may stand in one: RFC 3986 plus what browsers send unencoded:
// "|^{}[]" anywhere (in kTargetChars), backslash and backtick in the query. A backslash in a path would be a slash for
// some servers, and is refused.
bool is_target(std::string_view text);

// RFC 9110 8.6, without the lists that it would allow to be folded into one: one decimal number of at most 20 digits
// and at most 2^63-1. `length` is only good if it returns true.
bool parse_content_length(std::string_view text, std::uint64_t& length);

// RFC 9110 6.5.1: what frames, routes, authenticates or controls must not come behind a body.
bool may_be_trailer(const Field& field);

}  // namespace weir::http
