#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "observe/access_log.h"
#include "observe/log_file.h"
#include "observe/logger.h"
#include "observe/record_ring.h"

namespace weir::observe {

struct LogWriterOptions {
  std::uint32_t workers = 1;
  std::size_t ring_bytes = 1024 * 1024;  // per worker, for all of its access logs; a power of two
  std::size_t log_lines_max = 4096;      // of the process log, waiting to be written
  std::string log_path = "-";
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
};

// The thread that writes all logs of the process. Workers put raw access records into a ring of their own, which costs
// a copy: no formatting, no allocation, and a system call only when a ring is half full or the writer sleeps deeply.
// Nothing that happens to a file reaches them: lines that cannot be kept are lost and counted.
//
// Order of the end: the workers' sinks go, then stop() or the destructor.
class LogWriter final : public AccessLogs {
 public:
  // Opens the process log and starts the thread, in which all signals are blocked.
  static Result<std::unique_ptr<LogWriter>> start(const LogWriterOptions& options);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  // stop() within a second. No AccessLog or sink may be left.
  ~LogWriter() override;

  // Any thread, from start() until stop(); later lines are lost.
  Logger& logger() { return logger_; }

  // Control thread. On an error the old log stays.
  Result<void> set_process_log(const std::string& path, LogLevel level, LogFormat format);
  Result<std::shared_ptr<AccessLog>> open(const AccessLogSpec& spec) override;
  void reopen(WallTime now) override;

  // Control thread. Waits until everything that was logged before is written, or counted as lost; false after
  // `timeout`.
  bool flush(Duration timeout);
  // Control thread. Writes what is there and ends the thread; what a full pipe does not take within `timeout` is lost.
  void stop(Duration timeout);

  // The writer's own counters of lost lines, to be rendered with the workers'.
  const MetricStore& metrics() const { return store_; }

 private:
  class Log;
  class Sink;
  friend class Sink;
  struct Target;  // one opened access log
  struct Line {   // one of the process log
    std::string text;
    Line* next = nullptr;
  };
  struct Request {  // what the control thread wants, taken once per turn
    bool stop = false;
    Duration stop_timeout{};
    bool reopen = false;
    WallTime reopen_now{};
    std::uint64_t flush = 0;
    LogFile* process_file = nullptr;
    std::vector<LogFile*> files;
    std::vector<Target*> released;
  };

  class ProcessLogger final : public Logger {
   public:
    explicit ProcessLogger(LogWriter& writer) : writer_(writer) {}

   private:
    void emit(std::string line) override { writer_.enqueue(std::move(line)); }
    LogWriter& writer_;
  };

  explicit LogWriter(const LogWriterOptions& options);
  Result<LogFile*> find_or_open(const std::string& path);

  // Any thread.
  void enqueue(std::string line);
  void wake();
  void nudge();  // wakes it unless that was done already

  // The worker's thread.
  RecordRing* ring_of(std::uint32_t worker);

  // The writer's thread.
  void run();
  void take_requests(Request& request);
  std::size_t turn(const Request& request);
  std::size_t write_process_lines(LogFile& file);
  std::size_t drain_rings();
  void reopen_files(const Request& request);
  void finish(const Request& request);
  void close_unused(const Request& request);
  void count_lost(void* owner);
  void wait(Duration timeout);

  const LogWriterOptions options_;
  ProcessLogger logger_{*this};
  MetricStore store_;  // written by the writer's thread
  CounterRef log_lost_;
  const LogFile::OnLost on_lost_ = [this](void* owner) { count_lost(owner); };

  std::vector<std::atomic<RecordRing*>> rings_;  // by worker; made by it on first use
  std::atomic<Line*> lines_{nullptr};            // the latest first
  std::atomic<std::size_t> line_count_{0};
  std::atomic<std::uint64_t> lines_refused_{0};

  alignas(64) std::atomic<std::uint32_t> signal_{0};  // 1: do not sleep; a futex
  std::atomic<bool> deep_sleep_{false};

  std::mutex mutex_;  // between the control thread and the writer; no worker takes it
  std::condition_variable flushed_;
  bool stop_ = false;
  bool stopped_ = false;
  Duration stop_timeout_{};
  bool reopen_ = false;
  WallTime reopen_now_{};
  std::uint64_t flush_requested_ = 0;
  std::uint64_t flush_done_ = 0;
  std::vector<std::unique_ptr<LogFile>> files_;
  std::vector<std::unique_ptr<Target>> targets_;
  LogFile* process_file_ = nullptr;

  std::thread thread_;
};

}  // namespace weir::observe
