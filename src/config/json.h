#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

#include "config/spec.h"

namespace weir::config {

// The configuration in force as JSON, defaults filled in, in the form of the file. Values that came from the
// environment are shown as `${NAME}`; a token is "***" unless the file names just a variable.
std::string to_json(const Spec& spec);

// The match of one route of `spec` as JSON; {} matches everything. `route` is its index.
std::string match_to_json(const Spec& spec, std::size_t route);

// The name of a policy as the configuration has it.
std::string_view to_string(Balance balance);

// The policy of that name; the error is a sentence without a full stop.
std::expected<Balance, std::string> parse_balance(std::string_view name);

}  // namespace weir::config
