#include "config/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace weir::config {

namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_one_of(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || is_one_of(c, "!#$%&'*+-.^_`|~"); });
}

bool is_field_value(std::string_view text) {
  if (text.empty()) return true;
  if (is_one_of(text.front(), " \t") || is_one_of(text.back(), " \t")) return false;
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20U && byte != 0x7FU);
  });
}

bool is_managed_field(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kManaged{
      "connection", "content-length",    "expect",  "keep-alive",    "proxy-connection", "te",
      "trailer",    "transfer-encoding", "upgrade", "http2-settings"};
  return std::ranges::find(kManaged, name) != kManaged.end();
}

bool is_host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > 253) return false;
  bool all_digits = true;
  while (true) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || is_one_of(c, "-_"); })) return false;
    all_digits = std::ranges::all_of(label, is_digit);
    if (dot == std::string_view::npos) return !all_digits;
    text.remove_prefix(dot + 1);
  }
}

bool is_absolute_path(std::string_view text) {
  if (!text.starts_with('/')) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
    } else if (!is_alphanumeric(text[i]) && !is_one_of(text[i], "/-._~!$&'()*+,;=:@")) {
      return false;
    }
  }
  return true;
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x20U && c != 0x7F; });
}

std::string problem_of_name(std::string_view name) {
  constexpr std::size_t kNameBytes = 128;
  if (name.empty()) return "a name must not be empty";
  if (name.size() > kNameBytes) return fmt::format("a name has at most {} bytes", kNameBytes);
  return is_printable(name) ? "" : "a name must not contain control characters";
}

std::string to_lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  // Words beyond 64 letters are no slips of the finger, and comparing them would cost their square.
  if (word.size() > 64) return best;
  std::size_t best_distance = (word.size() <= 3 ? 1 : std::max<std::size_t>(2, word.size() / 3)) + 1;
  const std::string lower = to_lower(word);
  for (const std::string_view candidate : candidates) {
    const std::size_t longer = std::max(candidate.size(), lower.size());
    if (longer - std::min(candidate.size(), lower.size()) >= best_distance) continue;
    const std::size_t distance = edit_distance(lower, to_lower(candidate));
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  const std::string_view match = nearest(word, candidates);
  return match.empty() ? std::string() : fmt::format("did you mean '{}'?", match);
}

}  // namespace weir::config
