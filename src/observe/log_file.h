#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weir::observe {

// A file of lines that is written in large pieces and never waits for a reader: what a full pipe does not take stays
// pending up to a bound. An error loses the lines at hand, never part of one: the rest of a line that was begun is
// written before anything else. One thread (the log writer) after open().
class LogFile {
 public:
  static constexpr const char* kStandardError = "/dev/stderr";
  static constexpr std::size_t kWriteBytes = 64 * 1024;
  static constexpr std::size_t kPendingBytesMax = 1024 * 1024;

  // Told once for each line that was lost, with the owner given to end_line().
  using OnLost = std::function<void(void* owner)>;

  // "-" is stdout, kStandardError the stderr of the process, whatever it is. Creates the file with mode 0640. A FIFO
  // that nobody reads is an error.
  static Result<std::unique_ptr<LogFile>> open(std::string path);
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile();

  const std::string& path() const { return path_; }

  // Append the text of one line with its line end to begin_line(), then call end_line(). Every kWriteBytes are written.
  std::string& begin_line() { return buffer_; }
  void end_line(void* owner, const OnLost& on_lost);

  // Writes what is there.
  void flush(const OnLost& on_lost);
  // Gives up what is still pending.
  void discard(const OnLost& on_lost);
  std::size_t pending_bytes() const { return buffer_.size() - written_; }

  // Opens the path anew, after a last attempt to write what is pending. On an error everything stays as it was.
  Result<void> reopen(const OnLost& on_lost);

 private:
  struct Line {
    std::size_t end;  // in buffer_
    void* owner;
  };

  LogFile(std::string path, int fd, bool may_block) : path_(std::move(path)), fd_(fd), may_block_(may_block) {}
  ssize_t write_some(std::string_view bytes) const;
  void drop_lines(std::size_t first, const OnLost& on_lost);
  std::size_t first_unbegun_line() const;
  void compact();

  const std::string path_;
  int fd_;
  bool may_block_;        // a pipe, terminal or socket that others share: only written while it says that it has room
  bool blocked_ = false;  // there was no room at the last attempt: end_line() makes none of its own
  std::string buffer_;
  std::size_t written_ = 0;  // of buffer_
  std::vector<Line> lines_;  // of buffer_
};

}  // namespace weir::observe
