#include "observe/log_writer.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/assert.h"

namespace weir::observe {
namespace {

constexpr Duration kPause = 20ms;       // between two looks at the rings while there is something to log
constexpr Duration kDeepPause = 250ms;  // when there was nothing for a while; the first record wakes the writer
constexpr int kIdleTurnsToSleep = 50;

}  // namespace

// Released by the thread that drops the log, freed by the writer after one more look at all rings.
struct LogWriter::Target {
  LogFile* file = nullptr;
  AccessLogFormat format{};
  std::string listener;
  std::atomic<bool> released{false};
  CounterRef lost;  // made by the writer when the first line is lost
};

class LogWriter::Sink final : public AccessLogSink {
 public:
  Sink(LogWriter& writer, std::shared_ptr<AccessLog> log, Target* target, std::uint32_t worker, CounterRef lost)
      : writer_(writer), log_(std::move(log)), target_(target), worker_(worker), lost_(std::move(lost)) {}

  bool write(const AccessRecord& record) override {
    if (ring_ == nullptr) ring_ = writer_.ring_of(worker_);
    const bool taken = ring_ != nullptr && ring_->push(target_, record);
    if (!taken && lost_) lost_->add();
    const bool urgent = ring_ != nullptr && ring_->half_full();
    if (urgent || writer_.deep_sleep_.load(std::memory_order_relaxed)) writer_.nudge();
    return taken;
  }

 private:
  LogWriter& writer_;
  const std::shared_ptr<AccessLog> log_;
  Target* const target_;
  const std::uint32_t worker_;
  RecordRing* ring_ = nullptr;
  CounterRef lost_;
};

class LogWriter::Log final : public AccessLog, public std::enable_shared_from_this<Log> {
 public:
  Log(LogWriter& writer, Target* target) : writer_(writer), target_(target) {}
  ~Log() override { target_->released.store(true, std::memory_order_release); }

  std::unique_ptr<AccessLogSink> make_sink(std::uint32_t worker, CounterRef lost) override {
    return std::make_unique<Sink>(writer_, shared_from_this(), target_, worker, std::move(lost));
  }

 private:
  LogWriter& writer_;
  Target* const target_;
};

LogWriter::LogWriter(const LogWriterOptions& options) : options_(options), rings_(options.workers) {
  logger_.set_level(options.log_level);
  logger_.set_format(options.log_format);
}

Result<std::unique_ptr<LogWriter>> LogWriter::start(const LogWriterOptions& options) {
  std::unique_ptr<LogWriter> writer(new LogWriter(options));
  const auto file = writer->find_or_open(options.log_path);
  if (!file) return std::unexpected(file.error());
  writer->process_file_ = *file;
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // the new thread inherits it; a SIGPIPE stays pending there
  Result<std::unique_ptr<LogWriter>> result = fail("cannot start the log writer's thread");
  try {
    writer->thread_ = std::thread([self = writer.get()] { self->run(); });
    result = std::move(writer);
  } catch (const std::system_error& error) {
    result.error().code = error.code().value();
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return result;
}

LogWriter::~LogWriter() {
  if (thread_.joinable()) stop(1s);
  for (const auto& target : targets_) {
    WEIR_ASSERT(target->released.load(std::memory_order_acquire));
    target->lost.reset();
  }
  log_lost_.reset();
  for (auto& ring : rings_) delete ring.load(std::memory_order_acquire);
  for (Line* line = lines_.load(std::memory_order_acquire); line != nullptr;) delete std::exchange(line, line->next);
}

// With mutex_ held until something names the file, or the writer might close it.
Result<LogFile*> LogWriter::find_or_open(const std::string& path) {
  for (const auto& file : files_) {
    if (file->path() == path) return file.get();
  }
  auto opened = LogFile::open(path);
  if (!opened) return std::unexpected(opened.error());
  files_.push_back(std::move(*opened));
  return files_.back().get();
}

Result<void> LogWriter::set_process_log(const std::string& path, LogLevel level, LogFormat format) {
  const std::lock_guard lock(mutex_);
  const auto file = find_or_open(path);
  if (!file) return std::unexpected(file.error());
  process_file_ = *file;
  logger_.set_level(level);
  logger_.set_format(format);
  return {};
}

Result<std::shared_ptr<AccessLog>> LogWriter::open(const AccessLogSpec& spec) {
  const std::lock_guard lock(mutex_);
  const auto file = find_or_open(spec.path);
  if (!file) return std::unexpected(file.error());
  auto target = std::make_unique<Target>();
  target->file = *file;
  target->format = spec.format;
  target->listener = spec.listener;
  auto log = std::make_shared<Log>(*this, target.get());
  targets_.push_back(std::move(target));
  return log;
}

void LogWriter::reopen(WallTime now) {
  {
    const std::lock_guard lock(mutex_);
    reopen_ = true;
    reopen_now_ = now;
  }
  wake();
}

bool LogWriter::flush(Duration timeout) {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++flush_requested_;
  wake();
  return flushed_.wait_for(lock, timeout, [&] { return flush_done_ >= mine || stopped_; }) && flush_done_ >= mine;
}

void LogWriter::stop(Duration timeout) {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    stop_timeout_ = timeout;
  }
  wake();
  if (thread_.joinable()) thread_.join();
}

void LogWriter::enqueue(std::string text) {
  if (line_count_.fetch_add(1, std::memory_order_relaxed) >= options_.log_lines_max) {
    line_count_.fetch_sub(1, std::memory_order_relaxed);
    lines_refused_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  auto* line = new Line{std::move(text)};
  line->next = lines_.load(std::memory_order_relaxed);
  while (!lines_.compare_exchange_weak(line->next, line, std::memory_order_release, std::memory_order_relaxed)) {
  }
  wake();
}

void LogWriter::wake() {
  if (signal_.exchange(1, std::memory_order_acq_rel) == 0) {
    ::syscall(SYS_futex, &signal_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
}

void LogWriter::nudge() {
  if (signal_.load(std::memory_order_relaxed) == 0) wake();
}

void LogWriter::wait(Duration timeout) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
  const timespec span{.tv_sec = seconds.count(), .tv_nsec = (timeout - seconds).count()};
  ::syscall(SYS_futex, &signal_, FUTEX_WAIT_PRIVATE, 0, &span, nullptr, 0);
}

RecordRing* LogWriter::ring_of(std::uint32_t worker) {
  WEIR_ASSERT(worker < rings_.size());
  RecordRing* ring = rings_[worker].load(std::memory_order_relaxed);
  if (ring != nullptr) return ring;
  auto made = RecordRing::create(options_.ring_bytes);
  if (!made) return nullptr;
  ring = made->release();
  rings_[worker].store(ring, std::memory_order_release);
  return ring;
}

void LogWriter::run() {
  int idle_turns = 0;
  Request request;  // kept, so that a turn does not allocate
  while (true) {
    signal_.store(0, std::memory_order_seq_cst);
    take_requests(request);
    const std::size_t count = turn(request);
    if (request.stop) {
      finish(request);
      return;
    }
    idle_turns = count > 0 ? 0 : std::min(idle_turns + 1, kIdleTurnsToSleep);
    const bool deep = idle_turns == kIdleTurnsToSleep;
    deep_sleep_.store(deep, std::memory_order_relaxed);
    // Not asleep yet, only about to: a record that slips through in between waits for kDeepPause at worst.
    wait(deep ? kDeepPause : kPause);
    deep_sleep_.store(false, std::memory_order_relaxed);
  }
}

void LogWriter::take_requests(Request& request) {
  request.files.clear();
  request.released.clear();
  const std::lock_guard lock(mutex_);
  request.stop = stop_;
  request.stop_timeout = stop_timeout_;
  request.reopen = std::exchange(reopen_, false);
  request.reopen_now = reopen_now_;
  request.flush = flush_requested_;
  request.process_file = process_file_;
  for (const auto& file : files_) request.files.push_back(file.get());
  for (const auto& target : targets_) {
    if (target->released.load(std::memory_order_acquire)) request.released.push_back(target.get());
  }
}

// One look at everything; returns how many lines there were.
std::size_t LogWriter::turn(const Request& request) {
  std::size_t count = drain_rings();
  if (request.reopen) reopen_files(request);
  count += write_process_lines(*request.process_file);
  bool pending = false;
  for (LogFile* file : request.files) {
    file->flush(on_lost_);
    pending |= file->pending_bytes() > 0;
  }
  if (!request.released.empty() || request.files.size() > 1) close_unused(request);
  if (!pending) {
    const std::lock_guard lock(mutex_);
    flush_done_ = request.flush;
    flushed_.notify_all();
  }
  return count;
}

std::size_t LogWriter::write_process_lines(LogFile& file) {
  if (const std::uint64_t refused = lines_refused_.exchange(0, std::memory_order_relaxed)) {
    if (!log_lost_) log_lost_ = store_.counter(Family::kLogLost);
    log_lost_->add(refused);
  }
  Line* latest = lines_.exchange(nullptr, std::memory_order_acquire);
  Line* oldest = nullptr;
  while (latest != nullptr) {
    Line* next = latest->next;
    latest->next = std::exchange(oldest, latest);
    latest = next;
  }
  std::size_t count = 0;
  while (oldest != nullptr) {
    const std::unique_ptr<Line> line(std::exchange(oldest, oldest->next));
    file.begin_line() += line->text;
    file.end_line(nullptr, on_lost_);
    ++count;
  }
  line_count_.fetch_sub(count, std::memory_order_relaxed);
  return count;
}

std::size_t LogWriter::drain_rings() {
  std::size_t count = 0;
  for (auto& slot : rings_) {
    RecordRing* ring = slot.load(std::memory_order_acquire);
    if (ring == nullptr) continue;
    count += ring->drain([&](void* tag, const AccessRecord& record) {
      auto* target = static_cast<Target*>(tag);
      format_access(target->format, record, target->file->begin_line());
      target->file->end_line(target, on_lost_);
    });
  }
  return count;
}

void LogWriter::reopen_files(const Request& request) {
  for (LogFile* file : request.files) {
    const auto reopened = file->reopen(on_lost_);
    if (reopened) continue;
    logger_.error(request.reopen_now, "a log was not reopened and goes on in the old file",
                  {{"path", file->path()}, {"error", reopened.error().message}});
  }
}

void LogWriter::count_lost(void* owner) {
  if (owner == nullptr) {
    if (!log_lost_) log_lost_ = store_.counter(Family::kLogLost);
    log_lost_->add();
    return;
  }
  auto& target = *static_cast<Target*>(owner);
  if (!target.lost) target.lost = store_.counter(Family::kAccessLogLost, {target.listener});
  target.lost->add();
}

// Frees the logs that nobody could write to any more before the rings were drained, unless lines of theirs still wait
// for room in the file, and closes the files that nobody names.
void LogWriter::close_unused(const Request& request) {
  const std::lock_guard lock(mutex_);
  for (Target* released : request.released) {
    if (released->file->pending_bytes() > 0) continue;
    const std::string listener = released->listener;
    std::erase_if(targets_, [&](const auto& target) { return target.get() == released; });
    if (std::ranges::any_of(targets_, [&](const auto& target) { return target->listener == listener; })) continue;
    store_.remove_if([&](const Series& series) { return series.value_of(Label::kListener) == listener; });
  }
  std::erase_if(files_, [&](const auto& file) {
    if (file.get() == process_file_ || file.get() == request.process_file || file->pending_bytes() > 0) return false;
    return std::ranges::none_of(targets_, [&](const auto& target) { return target->file == file.get(); });
  });
}

// The last turn took everything; only what a pipe did not take is left. The control thread waits in stop(), so the
// files are the writer's alone.
void LogWriter::finish(const Request& request) {
  Duration left = request.stop_timeout;
  const auto pending = [](const auto& file) { return file->pending_bytes() > 0; };
  for (; left > 0s && std::ranges::any_of(files_, pending); left -= kPause) {
    signal_.store(0, std::memory_order_seq_cst);
    wait(std::min(kPause, left));
    for (const auto& file : files_) file->flush(on_lost_);
  }
  const std::lock_guard lock(mutex_);
  for (const auto& file : files_) file->discard(on_lost_);
  flush_done_ = request.flush;
  stopped_ = true;
  flushed_.notify_all();
}

}  // namespace weir::observe
