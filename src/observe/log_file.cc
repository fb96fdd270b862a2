#include "observe/log_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace weir::observe {
namespace {

constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

struct Opened {
  int fd;
  bool may_block;
};

bool is_standard(const std::string& path) {
  return path == "-" || path == LogFile::kStandardError;
}

Result<Opened> open_standard(int standard) {
  const std::string name = standard == STDOUT_FILENO ? "stdout" : "stderr";
  struct stat status{};
  if (::fstat(standard, &status) != 0) return fail(name + " is closed", errno);
  // Not to make it non-blocking itself, which would hit whoever shares it, it is opened a second time.
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    const int fd = ::open(("/proc/self/fd/" + std::to_string(standard)).c_str(), kFlags);
    if (fd >= 0) return Opened{fd, false};
  }
  const int fd = ::fcntl(standard, F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return fail("cannot use " + name + ": " + std::generic_category().message(errno), errno);
  return Opened{fd, !S_ISREG(status.st_mode)};
}

Result<Opened> open_log(const std::string& path) {
  if (is_standard(path)) return open_standard(path == "-" ? STDOUT_FILENO : STDERR_FILENO);
  const int fd = ::open(path.c_str(), kFlags | O_CREAT, 0640);
  if (fd >= 0) return Opened{fd, false};
  const int code = errno;
  return fail("cannot open the log " + path + ": " + std::generic_category().message(code), code);
}

}  // namespace

Result<std::unique_ptr<LogFile>> LogFile::open(std::string path) {
  const auto opened = open_log(path);
  if (!opened) return std::unexpected(opened.error());
  return std::unique_ptr<LogFile>(new LogFile(std::move(path), opened->fd, opened->may_block));
}

LogFile::~LogFile() {
  ::close(fd_);
}

ssize_t LogFile::write_some(std::string_view bytes) const {
  if (may_block_) {
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    const int count = ::poll(&ready, 1, 0);
    if (count == 0) errno = EAGAIN;
    if (count <= 0) return -1;
    bytes = bytes.substr(0, 4096);  // PIPE_BUF: what there is surely room for
  }
  return ::write(fd_, bytes.data(), bytes.size());
}

void LogFile::end_line(void* owner, const OnLost& on_lost) {
  const std::size_t begin = lines_.empty() ? 0 : lines_.back().end;
  if (buffer_.size() - written_ > kPendingBytesMax && begin > written_) {
    buffer_.resize(begin);
    on_lost(owner);
    return;
  }
  lines_.push_back({buffer_.size(), owner});
  if (!blocked_ && pending_bytes() >= kWriteBytes) flush(on_lost);
}

void LogFile::flush(const OnLost& on_lost) {
  blocked_ = false;
  while (pending_bytes() > 0) {
    const ssize_t size = write_some(std::string_view(buffer_).substr(written_));
    if (size > 0) {
      written_ += static_cast<std::size_t>(size);
    } else if (size < 0 && errno == EINTR) {
      continue;
    } else if (size < 0 && errno == EAGAIN) {
      blocked_ = true;
      break;
    } else {
      drop_lines(first_unbegun_line(), on_lost);
      break;
    }
  }
  compact();
}

void LogFile::discard(const OnLost& on_lost) {
  compact();
  drop_lines(0, on_lost);
  buffer_.clear();
  written_ = 0;
}

// Called with lines_ possibly holding finished ones.
std::size_t LogFile::first_unbegun_line() const {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    if (begin >= written_) return i;
    begin = lines_[i].end;
  }
  return lines_.size();
}

void LogFile::drop_lines(std::size_t first, const OnLost& on_lost) {
  for (std::size_t i = first; i < lines_.size(); ++i) on_lost(lines_[i].owner);
  lines_.resize(first);
  buffer_.resize(first == 0 ? 0 : lines_.back().end);
}

void LogFile::compact() {
  const auto unfinished = std::ranges::find_if(lines_, [&](const Line& line) { return line.end > written_; });
  if (unfinished == lines_.begin()) return;
  const std::size_t gone = std::prev(unfinished)->end;
  lines_.erase(lines_.begin(), unfinished);
  for (Line& line : lines_) line.end -= gone;
  buffer_.erase(0, gone);
  written_ -= gone;
}

Result<void> LogFile::reopen(const OnLost& on_lost) {
  if (is_standard(path_)) return {};
  flush(on_lost);
  const auto opened = open_log(path_);
  if (!opened) return std::unexpected(opened.error());
  ::close(fd_);
  fd_ = opened->fd;
  may_block_ = opened->may_block;
  if (written_ > 0) {  // the rest of a line would make no sense in the new file
    on_lost(lines_.front().owner);
    written_ = lines_.front().end;
    compact();
  }
  return {};
}

}  // namespace weir::observe
