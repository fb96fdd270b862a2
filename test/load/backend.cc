#include "load/backend.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <unordered_map>

namespace weir::load {
namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 64\r\nserver: load\r\n\r\n"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";

// One connection: what came, and what is to go.
struct Connection {
  std::string in, out;
  std::size_t body_left = 0;  // of a request's body with a length
  bool in_chunks = false;
  bool dead = false;
  bool served = false;
  long id = -1;
  // Waits for another request. One that is new may have its first on the way already.
  bool idle() const { return served && in.empty() && out.empty() && body_left == 0 && !in_chunks; }
};

std::size_t length_of(std::string_view head) {
  std::string lower(head);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  const auto at = lower.find("\r\ncontent-length:");
  return at == std::string::npos ? 0 : std::strtoull(lower.c_str() + at + 17, nullptr, 10);
}

class Server {
 public:
  Server(int listener, int commands, BackendCounts& counts)
      : listener_(listener), commands_(commands), counts_(counts), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    watch(listener_);
    watch(commands_);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 128> events;
    for (;;) {
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) on_ready(events[static_cast<std::size_t>(i)]);
    }
  }

 private:
  void watch(int descriptor) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  }

  void on_ready(const epoll_event& event) {
    if (event.data.fd == listener_) return accept_one();
    if (event.data.fd == commands_) return obey();
    const auto found = connections_.find(event.data.fd);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    if ((event.events & EPOLLIN) != 0) read(event.data.fd, connection);
    if (!connection.dead) flush(event.data.fd, connection);
    if (connection.dead || (event.events & (EPOLLERR | EPOLLHUP)) != 0) close(event.data.fd);
  }

  void accept_one() {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ++counts_.connections;
    connections_[socket];
    watch(socket);
  }

  void obey() {
    char letter = 0;
    if (::read(commands_, &letter, 1) != 1) ::_exit(0);
    if (letter == 'c') {
      for (auto at = connections_.begin(); at != connections_.end();) {
        const int socket = at->first;
        const bool idle = at->second.idle();
        ++at;
        if (idle) close(socket);
      }
    } else {
      mode_ = letter;
    }
    static_cast<void>(!::write(commands_, &letter, 1));
  }

  void close(int socket) {
    connections_.erase(socket);
    ::close(socket);
  }

  void reset(int socket, Connection& connection) {
    static_cast<void>(!::write(socket, kAnswer.data(), 40));
    const linger at_once{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ++counts_.resets;
    connection.dead = true;
  }

  void read(int socket, Connection& connection) {
    static std::array<char, 64 * 1024> piece;
    const ssize_t count = ::recv(socket, piece.data(), piece.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
      connection.dead = true;
      return;
    }
    connection.in.append(piece.data(), static_cast<std::size_t>(count));
    while (!connection.dead && step(socket, connection)) {
    }
  }

  // One head or one piece of a body; false if more is needed.
  bool step(int socket, Connection& connection) {
    std::string& in = connection.in;
    if (connection.in_chunks) {
      // What the tests send in chunks has no such line in its data.
      const auto end = in.find("\r\n0\r\n\r\n");
      if (end == std::string::npos) {
        if (in.size() > 6) in.erase(0, in.size() - 6);
        return false;
      }
      in.erase(0, end + 7);
      connection.in_chunks = false;
      answer(socket, connection);
      return true;
    }
    if (connection.body_left > 0) {
      const std::size_t taken = std::min(connection.body_left, in.size());
      in.erase(0, taken);
      connection.body_left -= taken;
      if (connection.body_left > 0) return false;
      answer(socket, connection);
      return true;
    }
    const auto end = in.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    const std::string_view head = std::string_view(in).substr(0, end + 2);
    const auto id = head.find(" /id/");
    connection.id = id < 16 ? std::strtol(in.c_str() + id + 5, nullptr, 10) : -1;
    connection.in_chunks = head.find("transfer-encoding: chunked") != std::string_view::npos;
    connection.body_left = connection.in_chunks ? 0 : length_of(head);
    // The line end before the first chunk stays: the last one may be the only one.
    in.erase(0, connection.in_chunks ? end + 2 : end + 4);
    if (!connection.in_chunks && connection.body_left == 0) answer(socket, connection);
    return true;
  }

  void answer(int socket, Connection& connection) {
    ++counts_.requests;
    if (connection.id >= 0 && static_cast<std::size_t>(connection.id) < BackendCounts::kIds)
      ++counts_.seen[connection.id];
    if (mode_ == 'r') return reset(socket, connection);
    connection.out += kAnswer;
    connection.served = true;
    ++counts_.answered;
    if (mode_ == 'e') {
      static_cast<void>(!::write(socket, connection.out.data(), connection.out.size()));
      connection.dead = true;
    }
  }

  void flush(int socket, Connection& connection) const {
    if (connection.out.empty()) return;
    const ssize_t count = ::send(socket, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (count > 0) connection.out.erase(0, static_cast<std::size_t>(count));
    if (count < 0 && errno != EAGAIN) connection.dead = true;
  }

  const int listener_;
  const int commands_;
  BackendCounts& counts_;
  const int epoll_;
  char mode_ = 'w';
  std::unordered_map<int, Connection> connections_;
};

}  // namespace

std::shared_ptr<BackendCounts> Backend::make_counts() {
  void* memory = ::mmap(nullptr, sizeof(BackendCounts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
  return {new (memory) BackendCounts, [](BackendCounts* counts) { ::munmap(counts, sizeof *counts); }};
}

Backend::Backend(std::shared_ptr<BackendCounts> counts) : counts_(std::move(counts)) {
  const Descriptor listener = listen_on_loopback(&port_);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
  commands_ = Descriptor(ends[0]);
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("fork");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(ends[0]);
    set_nonblocking(listener.get());
    Server(listener.get(), ends[1], *counts_).run();
  }
  ::close(ends[1]);
  child_ = Child(pid);
}

Backend::~Backend() = default;

void Backend::command(char letter) {
  send_all(commands_.get(), {&letter, 1});
  std::string answer;
  read_up_to(commands_.get(), answer, 1);
}

}  // namespace weir::load
