#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "observe/access_log.h"
#include "observe/logger.h"

namespace weir::observe {

// The simulated kind of AccessLogs: keeps the formatted lines by path. One thread, as everything in a simulation.
class MemoryLogs final : public AccessLogs {
 public:
  Result<std::shared_ptr<AccessLog>> open(const AccessLogSpec& spec) override;
  void reopen(WallTime) override { ++reopen_count_; }

  // Lines without line ends, in the order written; empty if nothing was.
  const std::vector<std::string>& lines(const std::string& path) const;
  void clear() { lines_.clear(); }
  int reopen_count() const { return reopen_count_; }

  // Faults: a path that cannot be opened, and a log that takes nothing.
  void refuse_open(const std::string& path) { refused_.insert(path); }
  void set_full(bool full) { full_ = full; }

 private:
  friend class MemoryAccessLog;
  std::map<std::string, std::vector<std::string>> lines_;
  const std::vector<std::string> none_;
  std::set<std::string> refused_;
  bool full_ = false;
  int reopen_count_ = 0;
};

// The simulated kind of Logger.
class MemoryLogger final : public Logger {
 public:
  explicit MemoryLogger(LogLevel level = LogLevel::kDebug, LogFormat format = LogFormat::kText) {
    set_level(level);
    set_format(format);
  }
  const std::vector<std::string>& lines() const { return lines_; }
  void clear() { lines_.clear(); }

 private:
  void emit(std::string line) override {
    line.pop_back();
    lines_.push_back(std::move(line));
  }
  std::vector<std::string> lines_;
};

}  // namespace weir::observe
