#include "config/environment.h"

#include <fmt/format.h>

namespace weir::config {

namespace {

bool is_name(std::string_view name) {
  const std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
  if (name.empty() || letters.find(name.front()) == std::string_view::npos) return false;
  return name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") ==
         std::string_view::npos;
}

}  // namespace

std::expected<std::string, std::string> expand(std::string_view text, const EnvironmentLookup& environment) {
  std::string result;
  while (!text.empty()) {
    const std::size_t dollar = text.find('$');
    result += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar);
    if (!text.starts_with("${")) {
      result += '$';
      text.remove_prefix(text.starts_with("$$") ? 2 : 1);
      continue;
    }
    const std::size_t end = text.find('}');
    if (end == std::string_view::npos) return std::unexpected("'${' without its '}'; write '$$' for a '$'");
    const std::string_view inside = text.substr(2, end - 2);
    const std::size_t separator = inside.find(":-");
    const std::string_view name = inside.substr(0, separator);
    if (!is_name(name)) return std::unexpected(fmt::format("'{}' is no name of an environment variable", name));
    const std::optional<std::string> value = environment ? environment(name) : std::nullopt;
    const bool has_default = separator != std::string_view::npos;
    if (value && !(has_default && value->empty())) {
      result += *value;
    } else if (has_default) {
      result += inside.substr(separator + 2);
    } else {
      return std::unexpected(fmt::format("environment variable '{}' is not set", name));
    }
    text.remove_prefix(end + 1);
  }
  return result;
}

}  // namespace weir::config
