#include "net/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "net/sockaddr.h"

namespace weir {
namespace {

void set_option(int socket, int level, int name, int value) {
  static_cast<void>(::setsockopt(socket, level, name, &value, sizeof value));
}

// Removes the file of a unix socket on which nobody accepts any more. True if it is gone.
bool remove_stale_socket(const SocketAddress& address, const Sockaddr& target) {
  struct stat status;
  if (::lstat(address.path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool stale = ::connect(probe, &target.any, target.size) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return stale && ::unlink(address.path.c_str()) == 0;
}

bool bind_and_listen(int socket, const SocketAddress& address, const ListenOptions& options) {
  const Sockaddr target = to_sockaddr(address);
  if (address.is_unix()) {
    if (::bind(socket, &target.any, target.size) != 0) {
      if (errno != EADDRINUSE) return false;
      if (!remove_stale_socket(address, target)) {
        errno = EADDRINUSE;
        return false;
      }
      if (::bind(socket, &target.any, target.size) != 0) return false;
    }
    return ::listen(socket, options.backlog) == 0;
  }
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.reuse_port) set_option(socket, SOL_SOCKET, SO_REUSEPORT, 1);
  if (address.ip.family == IpAddress::Family::ipv6) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  set_stream_options(socket);
  unpace_loopback(socket, address.ip);
  return ::bind(socket, &target.any, target.size) == 0 && ::listen(socket, options.backlog) == 0;
}

}  // namespace

void set_stream_options(int socket) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 6);
}

void unpace_loopback(int socket, const IpAddress& address) {
  if (!address.is_loopback()) return;
  std::array<char, 16> name{};
  socklen_t size = name.size();
  if (::getsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) != 0) return;
  if (!std::string_view(name.data()).starts_with("bbr")) return;
  // Cubic may not be allowed in a network namespace; reno is always there.
  for (const std::string_view other : {std::string_view("cubic"), std::string_view("reno")}) {
    if (::setsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, other.data(), static_cast<socklen_t>(other.size())) == 0)
      return;
  }
}

Result<int> open_listener(const SocketAddress& address, const ListenOptions& options) {
  const int family = address.is_unix() ? AF_UNIX : address.ip.family == IpAddress::Family::ipv6 ? AF_INET6 : AF_INET;
  const int socket = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return fail({}, errno);
  if (!bind_and_listen(socket, address, options)) {
    const int error = errno;
    ::close(socket);
    return fail({}, error);
  }
  return socket;
}

}  // namespace weir
