#include "sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace weir::lab {

std::uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(t.tv_nsec);
}

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

int start_connect(std::uint16_t port, std::uint32_t number) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % 100);
  const auto* from = reinterpret_cast<const sockaddr*>(&address);
  bool started = ::bind(fd, from, sizeof address) == 0;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  started = started && (::connect(fd, from, sizeof address) == 0 || errno == EINPROGRESS);
  if (started) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

bool is_connected(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

Io write_some(int fd, std::string& output) {
  while (!output.empty()) {
    const ssize_t sent = ::send(fd, output.data(), output.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? Io::would_block : Io::closed;
    output.erase(0, static_cast<std::size_t>(sent));
  }
  return Io::ok;
}

Io read_some(int fd, std::string_view& bytes) {
  thread_local std::array<char, std::size_t{256} * 1024> scratch;
  const ssize_t got = ::recv(fd, scratch.data(), scratch.size(), 0);
  if (got < 0) return errno == EAGAIN ? Io::would_block : Io::closed;
  if (got == 0) return Io::closed;
  bytes = {scratch.data(), static_cast<std::size_t>(got)};
  return Io::ok;
}

}  // namespace weir::lab
