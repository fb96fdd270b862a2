// New connections: each connects, makes its TLS handshake if it is to, asks once, reads the answer and closes. Closed
// loop: as many at a time as there are connections.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <vector>

#include "histogram.h"
#include "options.h"
#include "sockets.h"
#include "tls.h"

namespace weir::lab {
namespace {

constexpr int kEvents = 256;

enum class State : std::uint8_t { connecting, handshake, sending, reading };

struct Slot {
  int fd = -1;
  State state = State::connecting;
  std::uint64_t start_ns = 0;
  TlsConnection ssl;
  TlsSession session;  // of the connection before, to be resumed
  std::unique_ptr<Http1Wire> wire;
};

class Connector {
 public:
  explicit Connector(const Options& options) : options_(options), slots_(options.connections) {
    if (options.tls == Tls::none) return;
    context_ = make_tls_context();
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_.get(), [](SSL* ssl, SSL_SESSION* session) {
      static_cast<Slot*>(SSL_get_app_data(ssl))->session.reset(session);
      return 1;
    });
  }
  ~Connector() {
    for (const Slot& slot : slots_) {
      if (slot.fd >= 0) ::close(slot.fd);
    }
    ::close(epoll_);
  }
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  int run();

 private:
  enum class Step : std::uint8_t { wait, next, failed };

  void open(Slot& slot);
  void close(Slot& slot);
  void drive(Slot& slot);
  static Step step_of(Io result);
  Step step(Slot& slot);
  Step handshake(Slot& slot);
  Step send(Slot& slot);
  Step read(Slot& slot);

  const Options& options_;
  std::vector<Slot> slots_;
  TlsContext context_;
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  Histogram latency_;
  std::uint64_t counts_from_ns_ = 0, end_ns_ = 0;
  std::uint64_t counted_ = 0, completed_ = 0, resumed_ = 0, errors_ = 0;
  std::uint32_t number_ = 0;
  std::vector<Done> done_;
};

void Connector::open(Slot& slot) {
  slot.start_ns = now_ns();
  slot.state = State::connecting;
  slot.fd = start_connect(options_.port, number_++);
  if (slot.fd < 0) {
    ++errors_;
    return;
  }
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &slot}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, slot.fd, &event);
  slot.wire = std::make_unique<Http1Wire>(options_.request);
  slot.wire->begin();
}

void Connector::close(Slot& slot) {
  if (slot.ssl) SSL_shutdown(slot.ssl.get());  // says good-bye; without it the session could not be resumed
  slot.ssl.reset();
  ::close(slot.fd);
  slot.fd = -1;
}

Connector::Step Connector::step_of(Io result) {
  return result == Io::ok ? Step::next : result == Io::would_block ? Step::wait : Step::failed;
}

Connector::Step Connector::handshake(Slot& slot) {
  if (!slot.ssl) {
    slot.ssl = start_tls(context_.get(), slot.fd, options_.request.host, false);
    SSL_set_app_data(slot.ssl.get(), &slot);
    if (options_.tls == Tls::resumed && slot.session) SSL_set_session(slot.ssl.get(), slot.session.get());
  }
  return step_of(handshake_some(slot.ssl.get()));
}

Connector::Step Connector::send(Slot& slot) {
  std::string& output = slot.wire->output();
  return step_of(slot.ssl ? write_some(slot.ssl.get(), output) : write_some(slot.fd, output));
}

Connector::Step Connector::read(Slot& slot) {
  for (;;) {
    std::string_view bytes;
    const Io result = slot.ssl ? read_some(slot.ssl.get(), bytes) : read_some(slot.fd, bytes);
    if (result != Io::ok) return step_of(result);
    done_.clear();
    if (!slot.wire->feed(bytes, done_)) return Step::failed;
    if (!done_.empty()) return done_[0].kind == Done::Kind::ok ? Step::next : Step::failed;
  }
}

Connector::Step Connector::step(Slot& slot) {
  switch (slot.state) {
    case State::connecting:
      return is_connected(slot.fd) ? Step::next : Step::failed;
    case State::handshake:
      return handshake(slot);
    case State::sending:
      return send(slot);
    case State::reading:
      return read(slot);
  }
  return Step::failed;
}

// Takes the slot as far as its socket allows.
void Connector::drive(Slot& slot) {
  for (;;) {
    const Step result = step(slot);
    if (result == Step::wait) return;
    if (result == Step::failed) {
      ++errors_;
      break;
    }
    if (slot.state == State::reading) {
      const std::uint64_t now = now_ns();
      ++completed_;
      if (slot.ssl && SSL_session_reused(slot.ssl.get()) == 1) ++resumed_;
      if (slot.start_ns >= counts_from_ns_ && now <= end_ns_) {
        ++counted_;
        latency_.record(now - slot.start_ns);
      }
      break;
    }
    const bool tls = options_.tls != Tls::none;
    slot.state = slot.state == State::connecting  ? (tls ? State::handshake : State::sending)
                 : slot.state == State::handshake ? State::sending
                                                  : State::reading;
  }
  close(slot);
  if (now_ns() < end_ns_ && errors_ < 1000) open(slot);
}

int Connector::run() {
  const std::uint64_t start = now_ns();
  counts_from_ns_ = start + static_cast<std::uint64_t>(options_.warm_up_s * 1e9);
  end_ns_ = counts_from_ns_ + static_cast<std::uint64_t>(options_.duration_s * 1e9);
  const double processor_before = processor_seconds();
  for (Slot& slot : slots_) open(slot);
  std::array<epoll_event, kEvents> events;
  while (now_ns() < end_ns_ && errors_ < 1000) {
    const int count = ::epoll_wait(epoll_, events.data(), kEvents, 20);
    for (int i = 0; i < count; ++i) {
      Slot& slot = *static_cast<Slot*>(events[i].data.ptr);
      const bool only_started = slot.state == State::connecting && (events[i].events & ~EPOLLIN) == 0;
      if (slot.fd >= 0 && !only_started) drive(slot);
    }
  }
  const double wall = static_cast<double>(now_ns() - start) / 1e9;
  fmt::print(R"({{"connections": {}, "completed": {}, "seconds": {:.3f}, "rate": {:.1f}, "errors": {}, "resumed": {}, )"
             R"("wall_seconds": {:.3f}, "processor_seconds": {:.3f}, )"
             R"("latency_us": {{"p50": {:.1f}, "p99": {:.1f}, "max": {:.1f}, "mean": {:.1f}}}}})"
             "\n",
             counted_, completed_, options_.duration_s, static_cast<double>(counted_) / options_.duration_s, errors_,
             resumed_, wall, processor_seconds() - processor_before,
             static_cast<double>(latency_.quantile_ns(0.5)) / 1e3,
             static_cast<double>(latency_.quantile_ns(0.99)) / 1e3, static_cast<double>(latency_.max_ns()) / 1e3,
             latency_.mean_ns() / 1e3);
  return 0;
}

}  // namespace

int run_connect(const Options& options) {
  return Connector(options).run();
}

}  // namespace weir::lab
