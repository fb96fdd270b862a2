#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

// What names, hosts, paths and header fields may look like.
namespace weir::config {

// A token of RFC 9110 section 5.6.2: a method or the name of a header field.
bool is_token(std::string_view text);

// A field value of RFC 9110 section 5.5: no control characters but tabs, no white space around it.
bool is_field_value(std::string_view text);

// Fields that Weir itself writes or that belong to one connection; `name` is in lower case.
bool is_managed_field(std::string_view name);

// A host name: labels of letters, digits, '-' and '_', at most 253 bytes, the last one not all digits.
bool is_host_name(std::string_view text);

// An absolute path of RFC 3986 without query and fragment.
bool is_absolute_path(std::string_view text);

// No control characters.
bool is_printable(std::string_view text);

// Why nothing in the configuration may be called so; empty if it may.
std::string problem_of_name(std::string_view name);

std::string to_lower(std::string_view text);

// How many letters to insert, delete, replace or swap to make one of the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that is most like `word`, if it is like enough to be a slip of the finger; else empty.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// "did you mean 'x'?" for the nearest candidate, or an empty hint.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace weir::config
