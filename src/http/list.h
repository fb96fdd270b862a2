#pragma once

#include <string_view>

#include "http/field.h"

namespace weir::http {

// Calls visit(element) for each element of a comma-separated list (RFC 9110 5.6.1), without the blanks around it; empty
// elements are skipped. Quoted strings are not known: for lists of tokens. Stops, and returns false, when visit does.
template <typename Visit>
bool for_each_element(std::string_view list, Visit&& visit) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view element = list.substr(0, comma);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    while (!element.empty() && blank(element.front())) element.remove_prefix(1);
    while (!element.empty() && blank(element.back())) element.remove_suffix(1);
    if (!element.empty() && !visit(element)) return false;
  }
  return true;
}

// Whether the list has that element, whatever its case.
inline bool list_has(std::string_view list, std::string_view token) {
  return !for_each_element(list, [token](std::string_view element) { return !equals_ignoring_case(element, token); });
}

}  // namespace weir::http
