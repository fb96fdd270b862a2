#include "server/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir::server {
namespace {

constexpr std::size_t kBytesMax = 16UL * 1024 * 1024;

class Descriptor {
 public:
  // Not blocking: a pipe that nobody writes to is no file either.
  explicit Descriptor(const std::string& path) : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  const int number_;
};

}  // namespace

std::expected<std::string, std::string> read_text_file(const std::string& path) {
  const auto failed = [] { return std::unexpected(std::string(std::strerror(errno))); };
  const Descriptor file(path);
  if (file.number() < 0) return failed();
  struct stat status{};
  if (::fstat(file.number(), &status) != 0) return failed();
  if (!S_ISREG(status.st_mode)) return std::unexpected("not a file");
  std::string text;
  char piece[16 * 1024];
  for (;;) {
    const ssize_t size = ::read(file.number(), piece, sizeof(piece));  // tidy: allow(banned-call): a file, no socket
    if (size < 0) return failed();
    if (size == 0) return text;
    text.append(piece, static_cast<std::size_t>(size));
    if (text.size() > kBytesMax) return std::unexpected("too large");
  }
}

}  // namespace weir::server
