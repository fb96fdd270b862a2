#include "observe/exposition.h"

#include <algorithm>

namespace weir::observe {
namespace {

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// Takes the part before the first `separator` outside of quotes off the front of `text`.
std::string_view take_until(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == separator) {
      break;
    }
  }
  const std::string_view taken = text.substr(0, i);
  text.remove_prefix(std::min(text.size(), i + 1));
  return trim(taken);
}

// A qvalue in thousandths; what is not one counts as 0, so that it asks for nothing.
int parse_quality(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  int quality = (text[0] - '0') * 1000;
  if (text.size() > 1 && text[1] != '.') return 0;
  for (std::size_t i = 2, weight = 100; i < text.size(); ++i, weight /= 10) {
    if (text[i] < '0' || text[i] > '9') return 0;
    quality += (text[i] - '0') * static_cast<int>(weight);
  }
  return quality > 1000 ? 0 : quality;
}

struct MediaRange {
  std::string_view type;
  std::string_view version;  // empty if none is given
  int quality = 1000;
};

MediaRange parse_range(std::string_view text) {
  MediaRange range{.type = take_until(text, ';'), .version = {}};
  while (!text.empty()) {
    std::string_view parameter = take_until(text, ';');
    const std::size_t equals = parameter.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = trim(parameter.substr(0, equals));
    std::string_view value = trim(parameter.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (equal_ignoring_case(name, "q")) range.quality = parse_quality(value);
    if (equal_ignoring_case(name, "version")) range.version = value;
  }
  return range;
}

}  // namespace

ExpositionFormat choose_format(std::string_view accept) {
  int open_metrics = 0;
  int text = 0;
  int text_precision = 0;  // how precisely text/plain was named: the most precise range decides
  while (!accept.empty()) {
    std::string_view part = take_until(accept, ',');
    const MediaRange range = parse_range(part);
    if (equal_ignoring_case(range.type, "application/openmetrics-text") &&
        (range.version.empty() || range.version == "1.0.0")) {
      open_metrics = std::max(open_metrics, range.quality);
    }
    int precision = 0;
    if (range.type == "*/*") precision = 1;
    if (equal_ignoring_case(range.type, "text/*")) precision = 2;
    if (equal_ignoring_case(range.type, "text/plain")) {
      if (range.version.empty()) precision = 3;
      if (range.version == "0.0.4") precision = 4;
    }
    if (precision > text_precision) {
      text_precision = precision;
      text = range.quality;
    } else if (precision == text_precision && precision > 0) {
      text = std::max(text, range.quality);
    }
  }
  return open_metrics > 0 && open_metrics >= text ? ExpositionFormat::kOpenMetrics100
                                                  : ExpositionFormat::kPrometheusText004;
}

}  // namespace weir::observe
