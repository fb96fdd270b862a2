#include "observe/logger.h"

#include <algorithm>
#include <array>

#include "observe/text.h"

namespace weir::observe {
namespace {

constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warn", "error"};

bool plain_word(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F && c != '"' && c != '\\' && c != '='; });
}

// As it is, but for controls and what is not UTF-8, which are shown as in a JSON string.
void append_message(std::string& out, std::string_view message) {
  while (!message.empty()) {
    const std::size_t special = std::min(message.find_first_of("\"\\"), message.size());
    std::string escaped;
    append_json_string(escaped, message.substr(0, special));
    out.append(escaped, 1, escaped.size() - 2);
    if (special < message.size()) out += message[special];
    message.remove_prefix(std::min(special + 1, message.size()));
  }
}

void append_value(std::string& out, const LogField& field, LogFormat format) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    if (format == LogFormat::kText && plain_word(*text)) {
      out += *text;
    } else {
      append_json_string(out, *text);
    }
  } else if (const auto* flag = std::get_if<bool>(&field.value)) {
    out += *flag ? "true" : "false";
  } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
    append_number(out, *number);
  } else {
    append_number(out, std::get<std::uint64_t>(field.value));
  }
}

}  // namespace

std::string_view name_of(LogLevel level) {
  return kLevels[static_cast<std::size_t>(level)];
}

std::optional<LogLevel> parse_log_level(std::string_view name) {
  const auto found = std::ranges::find(kLevels, name);
  if (found == kLevels.end()) return std::nullopt;
  return static_cast<LogLevel>(found - kLevels.begin());
}

void format_log_line(LogFormat format, WallTime now, LogLevel level, std::string_view message, LogFields fields,
                     std::string& out) {
  if (format == LogFormat::kText) {
    append_rfc3339(out, now);
    out += ' ';
    out += name_of(level);
    out += ' ';
    append_message(out, message);
    for (const LogField& field : fields) {
      out += ' ';
      out += field.key;
      out += '=';
      append_value(out, field, format);
    }
    out += '\n';
    return;
  }
  out += "{\"time\":\"";
  append_rfc3339(out, now);
  out += "\",\"level\":\"";
  out += name_of(level);
  out += "\",\"message\":";
  append_json_string(out, message);
  for (const LogField& field : fields) {
    out += ',';
    append_json_string(out, field.key);
    out += ':';
    append_value(out, field, format);
  }
  out += "}\n";
}

void Logger::log(WallTime now, LogLevel level, std::string_view message, LogFields fields) {
  if (!enabled(level)) return;
  std::string line;
  format_log_line(format_.load(std::memory_order_relaxed), now, level, message, fields, line);
  emit(std::move(line));
}

void RateLimited::log(Logger& logger, TimePoint now, WallTime wall_now, LogLevel level, std::string_view message,
                      LogFields fields) {
  if (!logger.enabled(level)) return;
  if (!began_ || now - second_began_ >= 1s) {
    began_ = true;
    second_began_ = now;
    lines_ = 0;
    if (suppressed_ > 0) {
      logger.log(wall_now, level, "suppressed similar lines", {{"count", suppressed_}, {"line", message}});
      suppressed_ = 0;
    }
  }
  if (lines_ < lines_per_second_) {
    ++lines_;
    logger.log(wall_now, level, message, fields);
  } else {
    ++suppressed_;
  }
}

}  // namespace weir::observe
