// lab-copy: what stands for the least that a proxy can cost. It knows nothing of HTTP: for each client it opens a
// connection to the next backend and moves bytes both ways, by copying or by splicing.
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

namespace weir::lab {
namespace {

constexpr int kEvents = 256;
constexpr int kPipeBytes = 1 << 20;

struct Settings {
  std::uint16_t listen = 0;
  std::vector<std::uint16_t> to;
  unsigned threads = 1;
  bool splice = false;
};

struct Pair;

// One direction: what was read from a socket and is not yet written to the other.
struct Flow {
  std::string rest;
  std::array<int, 2> pipe{-1, -1};
  std::size_t in_pipe = 0;
  bool ended = false;   // no more comes
  bool passed = false;  // and the other side was told
};

struct Side {
  Pair* pair = nullptr;
  int fd = -1;
  Flow flow;  // of what comes from here
};

struct Pair {
  Side client, backend;
  Side& other(const Side& side) { return &side == &client ? backend : client; }
  ~Pair() {
    for (Side* side : {&client, &backend}) {
      for (const int fd : {side->fd, side->flow.pipe[0], side->flow.pipe[1]}) {
        if (fd >= 0) ::close(fd);
      }
    }
  }
};

int new_socket(std::uint16_t port, bool listens) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  bool fine = fd >= 0;
  if (listens) {
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    fine = fine && ::bind(fd, to, sizeof address) == 0 && ::listen(fd, 4096) == 0;
  } else {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fine = fine && (::connect(fd, to, sizeof address) == 0 || errno == EINPROGRESS);
  }
  if (fine) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

class Copier {
 public:
  Copier(const Settings& settings, int listener, unsigned number)
      : settings_(settings), listener_(listener), next_(number) {
    watch(listener_, EPOLLIN, nullptr);
  }
  void run();

 private:
  enum class Result : std::uint8_t { moved, waits, ended, broken };

  void watch(int fd, std::uint32_t events, Side* side) {
    epoll_event event{.events = events, .data = {.ptr = side}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  void accept_all();
  bool pump(Side& from);
  Result copy(Side& from, Side& to);
  Result splice(Side& from, Side& to);

  const Settings& settings_;
  int listener_;
  unsigned next_;
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::array<char, std::size_t{64} * 1024> buffer_;
  std::unordered_set<Pair*> gone_;
};

void Copier::accept_all() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    auto pair = std::make_unique<Pair>();
    pair->client = {pair.get(), fd, {}};
    pair->backend = {pair.get(), new_socket(settings_.to[next_++ % settings_.to.size()], false), {}};
    if (pair->backend.fd < 0) continue;
    if (settings_.splice) {
      for (Side* side : {&pair->client, &pair->backend}) {
        if (::pipe2(side->flow.pipe.data(), O_NONBLOCK | O_CLOEXEC) == 0) {
          ::fcntl(side->flow.pipe[1], F_SETPIPE_SZ, kPipeBytes);
        }
      }
    }
    for (Side* side : {&pair->client, &pair->backend}) {
      watch(side->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, side);
    }
    pair.release();  // NOLINT: pump() deletes it once it is over
  }
}

Copier::Result Copier::copy(Side& from, Side& to) {
  Flow& flow = from.flow;
  if (!flow.rest.empty()) {
    const ssize_t sent = ::send(to.fd, flow.rest.data(), flow.rest.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == ENOTCONN ? Result::waits : Result::broken;
    flow.rest.erase(0, static_cast<std::size_t>(sent));
    return flow.rest.empty() ? Result::moved : Result::waits;
  }
  if (flow.ended) return Result::ended;
  const ssize_t got = ::recv(from.fd, buffer_.data(), buffer_.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == ENOTCONN ? Result::waits : Result::broken;
  if (got == 0) {
    flow.ended = true;
    return Result::ended;
  }
  ssize_t sent = ::send(to.fd, buffer_.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) return Result::broken;
  if (sent < 0) sent = 0;
  flow.rest.assign(buffer_.data() + sent, static_cast<std::size_t>(got - sent));
  if (!flow.rest.empty()) return Result::waits;
  return static_cast<std::size_t>(got) < buffer_.size() ? Result::waits : Result::moved;
}

Copier::Result Copier::splice(Side& from, Side& to) {
  Flow& flow = from.flow;
  constexpr unsigned kFlags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE;
  if (flow.in_pipe == 0 && !flow.ended) {
    const ssize_t got = ::splice(from.fd, nullptr, flow.pipe[1], nullptr, kPipeBytes, kFlags);
    if (got < 0) return errno == EAGAIN || errno == ENOTCONN ? Result::waits : Result::broken;
    flow.ended = got == 0;
    flow.in_pipe += static_cast<std::size_t>(got);
  }
  if (flow.in_pipe == 0) return Result::ended;
  const ssize_t sent = ::splice(flow.pipe[0], nullptr, to.fd, nullptr, flow.in_pipe, kFlags);
  if (sent < 0) return errno == EAGAIN || errno == ENOTCONN ? Result::waits : Result::broken;
  flow.in_pipe -= static_cast<std::size_t>(sent);
  return Result::moved;
}

// Moves what can be moved from this side to the other. False once the pair is over.
bool Copier::pump(Side& from) {
  Side& to = from.pair->other(from);
  for (;;) {
    const Result result = settings_.splice ? splice(from, to) : copy(from, to);
    if (result == Result::broken) return false;
    if (result == Result::waits) return true;
    if (result == Result::ended) {
      if (!from.flow.passed) ::shutdown(to.fd, SHUT_WR);
      from.flow.passed = true;
      return !to.flow.passed;
    }
  }
}

void Copier::run() {
  std::array<epoll_event, kEvents> events;
  for (;;) {
    const int count = ::epoll_wait(epoll_, events.data(), kEvents, -1);
    gone_.clear();
    for (int i = 0; i < count; ++i) {
      auto* side = static_cast<Side*>(events[i].data.ptr);
      if (side == nullptr) {
        accept_all();
        continue;
      }
      Pair* pair = side->pair;
      if (gone_.contains(pair)) continue;
      const std::uint32_t what = events[i].events;
      bool lives = (what & (EPOLLERR | EPOLLHUP)) == 0 || (what & EPOLLIN) != 0;
      if (lives && (what & (EPOLLIN | EPOLLRDHUP)) != 0) lives = pump(*side);
      if (lives && (what & EPOLLOUT) != 0) lives = pump(pair->other(*side));
      if (!lives) gone_.insert(pair);
    }
    for (Pair* pair : gone_) delete pair;
  }
}

int run(int argc, char** argv) {
  CLI::App app{"Moves bytes between clients and backends on 127.0.0.1.", "lab-copy"};
  Settings settings;
  app.add_option("--listen", settings.listen, "port")->required();
  app.add_option("--to", settings.to, "the backends' ports, taken in turn")->required()->delimiter(',');
  app.add_option("--threads", settings.threads)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_flag("--splice", settings.splice, "through pipes, without copying");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<std::unique_ptr<Copier>> copiers;
  for (unsigned i = 0; i < settings.threads; ++i) {
    const int listener = new_socket(settings.listen, true);
    if (listener < 0) {
      fmt::print(stderr, "lab-copy: can't listen on port {}\n", settings.listen);
      return 1;
    }
    copiers.push_back(std::make_unique<Copier>(settings, listener, i));
  }
  std::vector<std::jthread> threads;
  for (unsigned i = 1; i < settings.threads; ++i) threads.emplace_back([&, i] { copiers[i]->run(); });
  copiers[0]->run();
  return 0;
}

}  // namespace
}  // namespace weir::lab

int main(int argc, char** argv) {
  return weir::lab::run(argc, argv);
}
