#include "load/client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace weir::load {
namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  Descriptor socket;
  std::string in;
  std::string out;
  bool waiting = false;
  std::uint64_t sent = 0;
  Clock::time_point began;
};

// Of the answer at the start of `in`; 0 if it is not complete.
std::size_t answer_size(const std::string& in) {
  const auto end = in.find("\r\n\r\n");
  if (end == std::string::npos) return 0;
  const auto field = in.find("\r\ncontent-length: ");
  if (field < end) {
    const std::size_t size = end + 4 + std::strtoull(in.c_str() + field + 18, nullptr, 10);
    return in.size() >= size ? size : 0;
  }
  if (in.find("\r\ntransfer-encoding: chunked") < end) {
    const auto last = in.find("\r\n0\r\n\r\n", end + 2);
    return last == std::string::npos ? 0 : last + 7;
  }
  return end + 4;
}

class Load {
 public:
  explicit Load(const LoadOptions& options) : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  LoadResult run() {
    connections_.resize(options_.connections);
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      open(i);
      send_next(i);
    }
    std::array<epoll_event, 128> events;
    while (running_ > 0) {
      const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                     static_cast<int>(2 * kPatience.count()));
      if (count == 0) throw std::runtime_error(fmt::format("{} requests wait for ever", running_));
      for (int i = 0; i < count; ++i) on_ready(events[static_cast<std::size_t>(i)]);
      if (!stopping_ && options_.go_on && !options_.go_on(result_.answered)) stopping_ = true;
    }
    return result_;
  }

 private:
  void open(std::size_t index) {
    Connection& connection = connections_[index];
    connection.socket = connect_to(options_.port);
    set_nonblocking(connection.socket.get());
    connection.in.clear();
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection.socket.get(), &event);
  }

  void send_next(std::size_t index) {
    Connection& connection = connections_[index];
    if (stopping_ || next_ >= options_.requests) return;
    if (options_.even && connection.sent >= (options_.requests + connections_.size() - 1) / connections_.size()) return;
    connection.out.clear();
    if (options_.make) {
      options_.make(next_, connection.out);
    } else {
      append_get(connection.out, "/");
    }
    ++next_;
    ++connection.sent;
    connection.waiting = true;
    connection.began = Clock::now();
    ++running_;
    // Requests are far smaller than a socket's buffer. A broken connection is found when its answer is read.
    static_cast<void>(::send(connection.socket.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL));
  }

  void on_ready(const epoll_event& event) {
    const std::size_t index = event.data.u64;
    Connection& connection = connections_[index];
    static std::array<char, 64 * 1024> piece;
    const ssize_t count = ::recv(connection.socket.get(), piece.data(), piece.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return on_close(index);
    connection.in.append(piece.data(), static_cast<std::size_t>(count));
    const std::size_t size = answer_size(connection.in);
    if (size == 0 || !connection.waiting) return;
    on_answer(connection, size);
    send_next(index);
  }

  void on_answer(Connection& connection, std::size_t size) {
    ++result_.answered;
    ++result_.statuses[std::atoi(connection.in.c_str() + 9)];
    connection.in.erase(0, size);
    finish(connection);
  }

  void finish(Connection& connection) {
    connection.waiting = false;
    --running_;
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection.began);
    result_.longest = std::max(result_.longest, took);
  }

  void on_close(std::size_t index) {
    Connection& connection = connections_[index];
    if (connection.waiting) {
      ++result_.broken;
      finish(connection);
    }
    open(index);
    send_next(index);
  }

  const LoadOptions& options_;
  const Descriptor epoll_;
  std::vector<Connection> connections_;
  LoadResult result_;
  std::uint64_t next_ = 0;
  std::uint64_t running_ = 0;
  bool stopping_ = false;
};

}  // namespace

LoadResult run_load(const LoadOptions& options) {
  return Load(options).run();
}

void append_get(std::string& out, std::string_view path, std::string_view host) {
  fmt::format_to(
      std::back_inserter(out),
      "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Firefox/128.0\r\n"
      "Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-GB,en;q=0.7\r\n"
      "Accept-Encoding: gzip, deflate, br\r\nReferer: https://www.example.com/a/b?c=d\r\n"
      "Cookie: session=8f14e45fceea167a5a36dedd4bea2543\r\nCache-Control: max-age=0\r\n"
      "Sec-Fetch-Mode: navigate\r\nUpgrade-Insecure-Requests: 1\r\n\r\n",
      path, host);
}

void append_chunked_post(std::string& out, std::string_view path, std::string_view host) {
  fmt::format_to(std::back_inserter(out),
                 "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: load\r\nContent-Type: application/octet-stream\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n",
                 path, host);
  for (int i = 0; i < 8; ++i) fmt::format_to(std::back_inserter(out), "200\r\n{:x<512}\r\n", i);
  out += "0\r\n\r\n";
}

}  // namespace weir::load
