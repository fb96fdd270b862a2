// Holds connections open that have had one answer each: prints how many there are, waits until its input ends, prints
// how many the server has left open.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <vector>

#include "options.h"
#include "sockets.h"
#include "tls.h"

namespace weir::lab {
namespace {

constexpr std::uint32_t kAtOnce = 100;
constexpr std::uint64_t kPatienceNs = 10'000'000'000;  // without any progress
constexpr int kEvents = 256;

struct Held {
  int fd = -1;
  bool connected = false;
  bool asked = false;
  bool answered = false;
  bool ready = false;  // connected and, with TLS, the handshake is through
  TlsConnection ssl;
  std::unique_ptr<ClientWire> wire;
};

class Holder {
 public:
  explicit Holder(const Options& options) : options_(options), held_(options.connections) {
    if (options.tls == Tls::none) return;
    context_ = make_tls_context();
    SSL_CTX_set_mode(context_.get(), SSL_MODE_RELEASE_BUFFERS);  // idle connections hold as little here as they can
  }
  ~Holder() {
    for (const Held& one : held_) {
      if (one.fd >= 0) ::close(one.fd);
    }
    ::close(epoll_);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  int run();

 private:
  bool open(Held& one, std::uint32_t number);
  void drop(Held& one);
  void on_event(Held& one, std::uint32_t events);
  Io connect(Held& one);
  void converse(Held& one);
  void turn();
  void wait_for_input_to_end();
  std::size_t count_open() const {
    return static_cast<std::size_t>(std::ranges::count_if(held_, [](const Held& one) { return one.fd >= 0; }));
  }

  const Options& options_;
  TlsContext context_;  // null: in the clear
  std::vector<Held> held_;
  std::vector<Done> done_;
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::uint32_t answered_ = 0, failed_ = 0;
};

bool Holder::open(Held& one, std::uint32_t number) {
  one.fd = start_connect(options_.port, number);
  if (one.fd < 0) return false;
  if (options_.http2) {
    one.wire = std::make_unique<Http2Wire>(options_.request, 1, context_ != nullptr);
  } else {
    one.wire = std::make_unique<Http1Wire>(options_.request);
  }
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &one}};
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event) == 0;
}

void Holder::drop(Held& one) {
  ::close(one.fd);
  one.fd = -1;
  one.ssl.reset();
  one.wire.reset();
  if (!one.answered) ++failed_;
}

// Until the connection is open and, if it is to be, secured. Once the socket is writable or broken.
Io Holder::connect(Held& one) {
  if (!one.connected) {
    if (!is_connected(one.fd)) return Io::closed;
    one.connected = true;
    if (context_) one.ssl = start_tls(context_.get(), one.fd, options_.request.host, options_.http2);
  }
  if (one.ssl) {
    const Io result = handshake_some(one.ssl.get());
    if (result != Io::ok) return result;
    if (speaks_http2(one.ssl.get()) != options_.http2) return Io::closed;
  }
  one.ready = true;
  one.wire->open();
  return Io::ok;
}

void Holder::on_event(Held& one, std::uint32_t events) {
  if (one.fd < 0) return;
  if (!one.ready) {
    if (!one.connected && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    const Io result = connect(one);
    if (result == Io::closed) return drop(one);
    if (result == Io::would_block) return;
  }
  converse(one);
}

// Asks once and reads whatever comes, as far as the socket goes.
void Holder::converse(Held& one) {
  for (;;) {
    if (!one.asked && one.wire->room() > 0) {
      one.wire->begin();
      one.asked = true;
    }
    std::string& output = one.wire->output();
    const Io written = one.ssl ? write_some(one.ssl.get(), output) : write_some(one.fd, output);
    if (written == Io::closed) return drop(one);
    std::string_view bytes;
    const Io result = one.ssl ? read_some(one.ssl.get(), bytes) : read_some(one.fd, bytes);
    if (result == Io::would_block) return;
    done_.clear();
    if (result == Io::closed || !one.wire->feed(bytes, done_)) return drop(one);
    if (!done_.empty() && done_[0].kind != Done::Kind::ok) return drop(one);
    if (!done_.empty()) {
      one.answered = true;
      ++answered_;
    }
  }
}

void Holder::turn() {
  std::array<epoll_event, kEvents> events;
  const int count = ::epoll_wait(epoll_, events.data(), kEvents, 10);
  for (int i = 0; i < count; ++i) on_event(*static_cast<Held*>(events[i].data.ptr), events[i].events);
}

void Holder::wait_for_input_to_end() {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &event);
  for (;;) {
    std::array<epoll_event, kEvents> events;
    const int count = ::epoll_wait(epoll_, events.data(), kEvents, -1);
    for (int i = 0; i < count; ++i) {
      char byte = 0;
      if (events[i].data.ptr != nullptr) {
        on_event(*static_cast<Held*>(events[i].data.ptr), events[i].events);
      } else if (::read(STDIN_FILENO, &byte, 1) <= 0) {
        return;
      }
    }
  }
}

int Holder::run() {
  std::uint32_t opened = 0;
  std::uint64_t progress = now_ns();
  std::uint32_t finished_before = 0;
  while (answered_ + failed_ < held_.size() && now_ns() - progress < kPatienceNs) {
    for (; opened < held_.size() && opened - answered_ - failed_ < kAtOnce; ++opened) {
      if (!open(held_[opened], opened)) ++failed_;
    }
    turn();
    if (answered_ + failed_ != finished_before) progress = now_ns();
    finished_before = answered_ + failed_;
  }
  fmt::print("{{\"open\": {}, \"failed\": {}}}\n", count_open(), held_.size() - answered_);
  std::fflush(stdout);
  wait_for_input_to_end();
  fmt::print("{{\"still_open\": {}}}\n", count_open());
  return 0;
}

}  // namespace

int run_hold(const Options& options) {
  return Holder(options).run();
}

}  // namespace weir::lab
