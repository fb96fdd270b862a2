#include "observe/memory_log.h"

#include <cerrno>

namespace weir::observe {

class MemoryAccessLog final : public AccessLog, public std::enable_shared_from_this<MemoryAccessLog> {
 public:
  MemoryAccessLog(MemoryLogs& logs, AccessLogSpec spec) : logs_(logs), spec_(std::move(spec)) {}

  std::unique_ptr<AccessLogSink> make_sink(std::uint32_t, CounterRef lost) override {
    return std::make_unique<Sink>(shared_from_this(), std::move(lost));
  }

 private:
  class Sink final : public AccessLogSink {
   public:
    Sink(std::shared_ptr<MemoryAccessLog> log, CounterRef lost) : log_(std::move(log)), lost_(std::move(lost)) {}

    bool write(const AccessRecord& record) override {
      if (log_->logs_.full_) {
        if (lost_) lost_->add();
        return false;
      }
      std::string line;
      format_access(log_->spec_.format, record, line);
      line.pop_back();
      log_->logs_.lines_[log_->spec_.path].push_back(std::move(line));
      return true;
    }

   private:
    std::shared_ptr<MemoryAccessLog> log_;
    CounterRef lost_;
  };

  MemoryLogs& logs_;
  const AccessLogSpec spec_;
};

Result<std::shared_ptr<AccessLog>> MemoryLogs::open(const AccessLogSpec& spec) {
  if (refused_.contains(spec.path)) return fail("cannot open " + spec.path, EACCES);
  return std::make_shared<MemoryAccessLog>(*this, spec);
}

const std::vector<std::string>& MemoryLogs::lines(const std::string& path) const {
  const auto found = lines_.find(path);
  return found == lines_.end() ? none_ : found->second;
}

}  // namespace weir::observe
