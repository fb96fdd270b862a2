#include "config/yaml_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::config {

namespace {

std::uint32_t decode_utf8(std::string_view text, std::size_t at, std::size_t& length) {
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const auto more = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  constexpr std::uint32_t kBad = 0xffffffffU;
  const std::uint32_t lead = byte(0);
  length = 1;
  if (lead < 0x80U) return lead;
  if (lead >= 0xC2U && lead < 0xE0U && more(1)) {
    length = 2;
    return ((lead & 0x1FU) << 6U) | (byte(1) & 0x3FU);
  }
  if (lead >= 0xE0U && lead < 0xF0U && more(1) && more(2)) {
    length = 3;
    const std::uint32_t code = ((lead & 0x0FU) << 12U) | ((byte(1) & 0x3FU) << 6U) | (byte(2) & 0x3FU);
    return code < 0x800U || (code >= 0xD800U && code < 0xE000U) ? kBad : code;
  }
  if (lead >= 0xF0U && lead < 0xF5U && more(1) && more(2) && more(3)) {
    length = 4;
    const std::uint32_t code =
        ((lead & 0x07U) << 18U) | ((byte(1) & 0x3FU) << 12U) | ((byte(2) & 0x3FU) << 6U) | (byte(3) & 0x3FU);
    return code < 0x10000U || code > 0x10FFFFU ? kBad : code;
  }
  return kBad;
}

bool is_allowed(std::uint32_t code) {
  if (code < 0x20U) return code == '\t' || code == '\n' || code == '\r';
  if (code < 0x7FU) return true;
  return code == 0x85U || (code >= 0xA0U && code < 0xFFFEU) || (code >= 0x10000U && code <= 0x10FFFFU);
}

}  // namespace

std::size_t find_bad_character(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = 1;
    if (!is_allowed(decode_utf8(text, i, length))) return i;
    i += length;
  }
  return std::string_view::npos;
}

std::optional<std::string> unquote_single(std::string_view text) {
  std::string result;
  bool has_quote = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'') {
      if (!text.substr(i + 1).starts_with('\'')) return has_quote ? std::optional(std::move(result)) : std::nullopt;
      has_quote = true;
      result += text[i++];
    } else if (text[i] == '\n' || text[i] == '\r') {
      // A line break is a space, each empty line after it a line break; white space around it does not count.
      const std::size_t next = std::min(text.find_first_not_of(" \t\r\n", i), text.size());
      const std::string_view breaks = text.substr(i, next - i);
      const auto lines = breaks.find('\n') == std::string_view::npos ? std::ranges::count(breaks, '\r')
                                                                     : std::ranges::count(breaks, '\n');
      while (result.ends_with(' ') || result.ends_with('\t')) result.pop_back();
      result.append(lines > 1 ? static_cast<std::size_t>(lines - 1) : 1, lines > 1 ? '\n' : ' ');
      i = next - 1;
    } else {
      result += text[i];
    }
  }
  return std::nullopt;
}

bool refuse_text(const SourceText& source, Diagnostics& diagnostics) {
  if (const std::size_t bad = find_bad_character(source.text()); bad != std::string_view::npos) {
    diagnostics.add(bad, "a byte that is no UTF-8 text");
    return true;
  }
  constexpr std::size_t kBlankLines = 10'000;
  constexpr std::size_t kDirectiveBytes = 1000;
  std::size_t blank = 0;
  for (std::size_t number = 1; number <= source.lines(); ++number) {
    const std::string_view line = source.line(number);
    blank = line.find_first_not_of(" \t") == std::string_view::npos ? blank + 1 : 0;
    if (blank > kBlankLines) {
      diagnostics.add(source.offset(number, 1), fmt::format("more than {} blank lines in a row", kBlankLines));
      return true;
    }
    if (line.starts_with('%') && line.size() > kDirectiveBytes) {
      diagnostics.add(source.offset(number, 1), "a YAML directive that is too long");
      return true;
    }
  }
  return false;
}

}  // namespace weir::config
