#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/time.h"

namespace weir::observe {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : std::uint8_t { kText, kJson };

std::string_view name_of(LogLevel level);
std::optional<LogLevel> parse_log_level(std::string_view name);

// A key with its value, for the length of one call.
struct LogField {
  LogField(std::string_view field_key, std::string_view text) : key(field_key), value(text) {}
  LogField(std::string_view field_key, const char* text) : key(field_key), value(std::string_view(text)) {}
  LogField(std::string_view field_key, const std::string& text) : key(field_key), value(std::string_view(text)) {}
  LogField(std::string_view field_key, bool flag) : key(field_key), value(flag) {}
  template <std::signed_integral Number>
  LogField(std::string_view field_key, Number number) : key(field_key), value(static_cast<std::int64_t>(number)) {}
  template <std::unsigned_integral Number>
    requires(!std::same_as<Number, bool>)
  LogField(std::string_view field_key, Number number) : key(field_key), value(static_cast<std::uint64_t>(number)) {}

  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, bool> value;
};

using LogFields = std::initializer_list<LogField>;

// The process log. log() may be called by any thread, makes one line and never waits for a file.
//   text: 2026-11-21T09:00:00.000000Z info backend is healthy cluster=app backend="b 1"
//   json: {"time":"2026-11-21T09:00:00.000000Z","level":"info","message":"backend is healthy","cluster":"app", ...}
class Logger {
 public:
  virtual ~Logger() = default;

  // Any thread.
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }
  void set_format(LogFormat format) { format_.store(format, std::memory_order_relaxed); }
  bool enabled(LogLevel level) const { return level >= level_.load(std::memory_order_relaxed); }

  void log(WallTime now, LogLevel level, std::string_view message, LogFields fields = {});
  void debug(WallTime now, std::string_view message, LogFields fields = {}) {
    log(now, LogLevel::kDebug, message, fields);
  }
  void info(WallTime now, std::string_view message, LogFields fields = {}) {
    log(now, LogLevel::kInfo, message, fields);
  }
  void warn(WallTime now, std::string_view message, LogFields fields = {}) {
    log(now, LogLevel::kWarn, message, fields);
  }
  void error(WallTime now, std::string_view message, LogFields fields = {}) {
    log(now, LogLevel::kError, message, fields);
  }

 private:
  // Takes one line with its line end.
  virtual void emit(std::string line) = 0;

  std::atomic<LogLevel> level_{LogLevel::kInfo};
  std::atomic<LogFormat> format_{LogFormat::kText};
};

// One line with its line end; pure. A value of the text format is quoted (as a JSON string) where it is empty or holds
// anything but visible ASCII without quote, backslash and '='. The message is written as it is, but for controls and
// what is not UTF-8.
void format_log_line(LogFormat format, WallTime now, LogLevel level, std::string_view message, LogFields fields,
                     std::string& out);

// Keeps hostile bytes from flooding the log: one object per place that logs, at most `lines_per_second` lines in a
// second, and with the next line after it one that says how many were left out. One thread.
class RateLimited {
 public:
  explicit RateLimited(std::uint32_t lines_per_second) : lines_per_second_(lines_per_second) {}

  void log(Logger& logger, TimePoint now, WallTime wall_now, LogLevel level, std::string_view message,
           LogFields fields = {});

 private:
  const std::uint32_t lines_per_second_;
  TimePoint second_began_{};
  bool began_ = false;
  std::uint32_t lines_ = 0;
  std::uint64_t suppressed_ = 0;
};

}  // namespace weir::observe
