#include "config/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace weir::config {

namespace {

constexpr std::size_t kLineBytesShown = 240;

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

std::uint32_t count_characters(std::string_view text) {
  return static_cast<std::uint32_t>(std::ranges::count_if(text, [](char byte) { return !is_continuation(byte); }));
}

// Terminals must not be told what to do by a file.
char printable(char byte) {
  return static_cast<unsigned char>(byte) < 0x20U && byte != '\t' ? ' ' : byte;
}

}  // namespace

std::string Diagnostic::headline() const {
  return fmt::format("{}:{}:{}: error: {}{}{}", file, line, column, message, hint.empty() ? "" : ", ", hint);
}

std::string Diagnostic::render() const {
  std::string indent;
  std::uint32_t seen = 0;
  for (const char byte : source_line) {
    if (is_continuation(byte)) continue;
    if (seen++ == caret) break;
    indent += byte == '\t' ? '\t' : ' ';
  }
  return fmt::format("{}\n  {}\n  {}^", headline(), source_line, indent);
}

SourceText::SourceText(std::string_view text) : text_(text) {
  starts_.push_back(0);
  for (std::size_t i = text.find_first_of("\r\n"); i != std::string_view::npos; i = text.find_first_of("\r\n", i)) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
    ++i;
    starts_.push_back(static_cast<std::uint32_t>(i));
  }
}

Position SourceText::position(std::size_t offset) const {
  offset = std::min(offset, text_.size());
  const auto next = std::ranges::upper_bound(starts_, offset);
  Position result{static_cast<std::uint32_t>(next - starts_.begin()), 1};
  std::size_t start = *(next - 1);
  if (last_position_.line == result.line && last_offset_ <= offset) {
    start = last_offset_;
    result = last_position_;
  }
  result.column += count_characters(text_.substr(start, offset - start));
  last_offset_ = offset;
  last_position_ = result;
  return result;
}

std::size_t SourceText::offset(std::size_t line_number, std::size_t column) const {
  line_number = std::clamp<std::size_t>(line_number, 1, starts_.size());
  const std::string_view content = line(line_number);
  std::size_t at = 0;
  for (std::size_t seen = 1; seen < column && at < content.size(); ++seen) {
    ++at;
    while (at < content.size() && is_continuation(content[at])) ++at;
  }
  return starts_[line_number - 1] + at;
}

std::string_view SourceText::line(std::size_t number) const {
  if (number == 0 || number > starts_.size()) return {};
  const std::size_t start = starts_[number - 1];
  const std::size_t end = number < starts_.size() ? starts_[number] : text_.size();
  std::string_view content = text_.substr(start, end - start);
  while (!content.empty() && (content.back() == '\n' || content.back() == '\r')) content.remove_suffix(1);
  return content;
}

void Diagnostics::add(std::size_t offset, std::string message, std::string hint) {
  for (const Range& range : ignored_) {
    if (offset >= range.begin && offset < range.end) return;
  }
  if (entries_.size() >= kMaxErrors) {
    ++dropped_;
    return;
  }
  entries_.push_back({offset, std::move(message), std::move(hint)});
}

Diagnostic Diagnostics::render(const Entry& entry) const {
  const Position at = source_.position(entry.offset);
  Diagnostic result{file_, at.line, at.column, entry.message, entry.hint, {}, at.column - 1};
  std::string_view content = source_.line(at.line);
  if (content.size() > kLineBytesShown) {
    // The window starts and ends between characters.
    const auto in_line = static_cast<std::size_t>(entry.offset - source_.offset(at.line, 1));
    std::size_t begin = std::min(in_line, content.size()) - std::min<std::size_t>(in_line, kLineBytesShown / 2);
    while (begin > 0 && is_continuation(content[begin])) --begin;
    std::size_t end = std::min(begin + kLineBytesShown, content.size());
    while (end < content.size() && is_continuation(content[end])) ++end;
    result.caret -= count_characters(content.substr(0, begin));
    content = content.substr(begin, end - begin);
  }
  result.source_line.resize(content.size());
  std::ranges::transform(content, result.source_line.begin(), printable);
  return result;
}

std::vector<Diagnostic> Diagnostics::take() {
  const auto key = [](const Entry& entry) { return std::tie(entry.offset, entry.message); };
  std::ranges::sort(entries_, {}, key);
  const auto repeated = std::ranges::unique(entries_, {}, key);
  entries_.erase(repeated.begin(), repeated.end());
  std::vector<Diagnostic> result;
  result.reserve(entries_.size());
  for (const Entry& entry : entries_) result.push_back(render(entry));
  if (dropped_ > 0) {
    result.back().hint += fmt::format("{}and {} more errors", result.back().hint.empty() ? "" : "; ", dropped_);
  }
  entries_.clear();
  return result;
}

}  // namespace weir::config
