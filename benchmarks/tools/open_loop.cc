// Load at a fixed rate, whether or not the server keeps up. Requests fall due at the times of a Poisson process; one
// that finds every connection busy waits, and its time counts from when it was due. So a server that stalls for a
// second gets a second's worth of slow requests, not one per connection (coordinated omission).
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "histogram.h"
#include "options.h"
#include "sockets.h"

namespace weir::lab {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kConnectPatienceNs = 20 * kSecondNs;
constexpr std::uint64_t kGraceNs = 5 * kSecondNs;  // for answers that are still out when the time is over
constexpr int kEvents = 512;

struct Errors {
  std::uint64_t connect = 0, closed = 0, status = 0, body = 0, framing = 0, unanswered = 0;
  std::uint64_t total() const { return connect + closed + status + body + framing + unanswered; }
};

struct Running {
  std::uint32_t stream;
  std::uint64_t due_ns;
  std::uint64_t sent_ns;
};

struct Connection {
  int fd = -1;
  std::uint32_t number = 0;
  bool connected = false;
  bool waits_for_room = false;  // in no list of free ones
  bool dirty = false;
  bool wants_write = false;
  std::unique_ptr<ClientWire> wire;
  std::vector<Running> running;
};

// One thread's share of the load.
class Loop {
 public:
  Loop(const Options& options, std::uint32_t connections, std::uint32_t number)
      : options_(options), connections_(connections), random_(7 + number) {
    for (std::uint32_t i = 0; i < connections; ++i) connections_[i].number = i * options.threads + number;
  }
  ~Loop() {
    for (const Connection& one : connections_) {
      if (one.fd >= 0) ::close(one.fd);
    }
    ::close(epoll_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  bool connect_all();
  void run(std::uint64_t start_ns);

  Histogram latency, service, lateness;
  Errors errors;
  std::uint64_t counted = 0;      // answered 200 and due after the warm-up
  std::uint64_t completed = 0;    // all answers
  std::uint64_t reconnected = 0;  // closed by the server while idle

 private:
  void open(Connection& connection);
  void lost(Connection& connection);
  void assign(std::uint64_t now);
  void send_on(Connection& connection, std::uint64_t due, std::uint64_t now);
  void flush(Connection& connection);
  void on_event(Connection& connection, std::uint32_t events);
  void on_done(Connection& connection, const Done& done, std::uint64_t now);
  void offer(Connection& connection);
  void schedule(std::uint64_t now);
  int wait(std::uint64_t now, std::uint64_t until);

  const Options& options_;
  std::vector<Connection> connections_;
  std::deque<Connection*> free_;
  std::deque<std::uint64_t> waiting_;  // due times, oldest first
  std::vector<Connection*> dirty_;
  std::vector<Done> done_;
  std::mt19937_64 random_;
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::array<epoll_event, kEvents> events_;
  std::uint64_t start_ns_ = 0, counts_from_ns_ = 0, end_ns_ = 0;
  double next_due_ns_ = 0;
  std::uint64_t running_ = 0;
};

void Loop::open(Connection& connection) {
  connection.connected = connection.waits_for_room = connection.dirty = connection.wants_write = false;
  connection.running.clear();
  if (options_.http2) {
    connection.wire = std::make_unique<Http2Wire>(options_.request, options_.streams, false);
  } else {
    connection.wire = std::make_unique<Http1Wire>(options_.request);
  }
  connection.fd = start_connect(options_.port, connection.number);
  if (connection.fd < 0) {
    ++errors.connect;
    return;
  }
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &connection}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
}

// The connection is gone: what ran on it failed, and another one takes its place.
void Loop::lost(Connection& connection) {
  if (!connection.connected) {
    ++errors.connect;
  } else if (connection.running.empty()) {
    ++reconnected;
  }
  errors.closed += connection.running.size();
  running_ -= connection.running.size();
  ::close(connection.fd);
  connection.fd = -1;
  std::erase(free_, &connection);
  std::erase(dirty_, &connection);
  if (errors.total() < 1000) open(connection);  // a server that takes none is known by then
}

void Loop::offer(Connection& connection) {
  if (connection.fd >= 0 && connection.waits_for_room && connection.wire->room() > 0) {
    connection.waits_for_room = false;
    free_.push_back(&connection);
  }
}

void Loop::flush(Connection& connection) {
  connection.dirty = false;
  if (connection.fd < 0 || !connection.connected) return;
  const Io result = write_some(connection.fd, connection.wire->output());
  connection.wants_write = result == Io::would_block;
  if (result == Io::closed) lost(connection);
}

void Loop::send_on(Connection& connection, std::uint64_t due, std::uint64_t now) {
  connection.running.push_back({connection.wire->begin(), due, now});
  ++running_;
  if (connection.wire->room() > 0) {
    free_.push_back(&connection);
  } else {
    connection.waits_for_room = true;
  }
  if (!connection.dirty) {
    connection.dirty = true;
    dirty_.push_back(&connection);
  }
}

void Loop::on_done(Connection& connection, const Done& done, std::uint64_t now) {
  const auto found = std::ranges::find(connection.running, done.stream, &Running::stream);
  if (found == connection.running.end()) return;
  const Running finished = *found;
  *found = connection.running.back();
  connection.running.pop_back();
  --running_;
  ++completed;
  if (done.kind == Done::Kind::status) ++errors.status;
  if (done.kind == Done::Kind::body) ++errors.body;
  if (done.kind == Done::Kind::framing) ++errors.framing;
  if (done.kind != Done::Kind::ok || finished.due_ns < counts_from_ns_) return;
  if (options_.rate_per_s == 0 && now > end_ns_) return;
  ++counted;
  latency.record(now - finished.due_ns);
  service.record(now - finished.sent_ns);
}

void Loop::on_event(Connection& connection, std::uint32_t events) {
  if (connection.fd < 0) return;
  if (!connection.connected && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    if (!is_connected(connection.fd)) return lost(connection);
    connection.connected = connection.waits_for_room = true;
    connection.wire->open();
    flush(connection);
    if (connection.fd < 0) return;
    offer(connection);
  }
  if (connection.wants_write && (events & EPOLLOUT) != 0) flush(connection);
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
  for (;;) {
    std::string_view bytes;
    if (connection.fd < 0) return;
    const Io result = read_some(connection.fd, bytes);
    if (result == Io::would_block) break;
    done_.clear();
    const bool fine = result == Io::ok && connection.wire->feed(bytes, done_);
    const std::uint64_t now = now_ns();
    for (const Done& done : done_) on_done(connection, done, now);
    if (!fine) return lost(connection);
  }
  if (!connection.wire->output().empty()) flush(connection);
  offer(connection);
}

// What fell due since the last turn starts to wait.
void Loop::schedule(std::uint64_t now) {
  if (options_.rate_per_s == 0) return;
  std::exponential_distribution<double> gap(options_.rate_per_s / options_.threads / static_cast<double>(kSecondNs));
  while (next_due_ns_ <= static_cast<double>(now) && next_due_ns_ < static_cast<double>(end_ns_)) {
    const auto due = static_cast<std::uint64_t>(next_due_ns_);
    waiting_.push_back(due);
    if (due >= counts_from_ns_) lateness.record(now - due);
    next_due_ns_ += gap(random_);
  }
}

void Loop::assign(std::uint64_t now) {
  if (options_.rate_per_s == 0) {
    if (now >= end_ns_) return;
    while (!free_.empty()) {
      Connection* connection = free_.front();
      free_.pop_front();
      send_on(*connection, now, now);
    }
  }
  while (!waiting_.empty() && !free_.empty()) {
    Connection* connection = free_.front();
    free_.pop_front();
    send_on(*connection, waiting_.front(), now);
    waiting_.pop_front();
  }
}

int Loop::wait(std::uint64_t now, std::uint64_t until) {
  const std::uint64_t left = until > now ? until - now : 0;
  const timespec timeout{static_cast<time_t>(left / kSecondNs), static_cast<long>(left % kSecondNs)};
  return ::epoll_pwait2(epoll_, events_.data(), kEvents, &timeout, nullptr);
}

bool Loop::connect_all() {
  const std::uint64_t give_up = now_ns() + kConnectPatienceNs;
  std::size_t opened = 0;
  for (;;) {
    const std::uint64_t now = now_ns();
    const auto ready = static_cast<std::size_t>(std::ranges::count(connections_, true, &Connection::connected));
    if (opened == connections_.size() && free_.size() == opened) return true;
    if (now > give_up || errors.total() > 0) return false;
    for (; opened < connections_.size() && opened < ready + 200; ++opened) open(connections_[opened]);
    const int count = wait(now, now + kSecondNs / 100);
    for (int i = 0; i < count; ++i) on_event(*static_cast<Connection*>(events_[i].data.ptr), events_[i].events);
  }
}

void Loop::run(std::uint64_t start_ns) {
  start_ns_ = start_ns;
  counts_from_ns_ = start_ns + static_cast<std::uint64_t>(options_.warm_up_s * 1e9);
  end_ns_ = counts_from_ns_ + static_cast<std::uint64_t>(options_.duration_s * 1e9);
  next_due_ns_ = static_cast<double>(start_ns);
  for (;;) {
    const std::uint64_t now = now_ns();
    schedule(now);
    assign(now);
    for (std::size_t i = 0; i < dirty_.size();) {  // flush() may take a lost one out of the list
      Connection* connection = dirty_[i];
      flush(*connection);
      if (i < dirty_.size() && dirty_[i] == connection) ++i;
    }
    dirty_.clear();
    if (now >= end_ns_ && ((running_ == 0 && waiting_.empty()) || now > end_ns_ + kGraceNs)) break;
    const bool more_due = options_.rate_per_s > 0 && next_due_ns_ < static_cast<double>(end_ns_);
    const std::uint64_t until =
        more_due ? static_cast<std::uint64_t>(next_due_ns_) : std::max(end_ns_, now + 20'000'000);
    const int count = wait(now, std::min(until, now + kSecondNs));
    for (int i = 0; i < count; ++i) on_event(*static_cast<Connection*>(events_[i].data.ptr), events_[i].events);
    if (errors.total() >= 100'000) break;
  }
  errors.unanswered = running_ + waiting_.size();
}

std::string percentiles(const Histogram& times) {
  const auto us = [&](double share) { return static_cast<double>(times.quantile_ns(share)) / 1e3; };
  return fmt::format(R"({{"p50": {:.1f}, "p75": {:.1f}, "p90": {:.1f}, "p95": {:.1f}, "p99": {:.1f}, "p99.9": {:.1f}, )"
                     R"("p99.99": {:.1f}, "max": {:.1f}, "mean": {:.1f}}})",
                     us(0.5), us(0.75), us(0.9), us(0.95), us(0.99), us(0.999), us(0.9999),
                     static_cast<double>(times.max_ns()) / 1e3, times.mean_ns() / 1e3);
}

}  // namespace

int run_open_loop(const Options& options) {
  ::prctl(PR_SET_TIMERSLACK, 1);
  std::vector<std::unique_ptr<Loop>> loops;
  bool all_connected = true;
  for (std::uint32_t i = 0; i < options.threads; ++i) {
    const std::uint32_t share = options.connections / options.threads + (i < options.connections % options.threads);
    loops.push_back(std::make_unique<Loop>(options, share, i));
    all_connected = loops.back()->connect_all() && all_connected;
  }
  const double processor_before = processor_seconds();
  const std::uint64_t start = now_ns();
  if (all_connected) {
    std::vector<std::jthread> others;
    for (std::uint32_t i = 1; i < options.threads; ++i) others.emplace_back([&, i] { loops[i]->run(start); });
    loops[0]->run(start);
  }
  const double wall = static_cast<double>(now_ns() - start) / 1e9;
  const double processor = processor_seconds() - processor_before;
  const auto sum = std::make_unique<Loop>(options, 0, 0);
  for (const auto& loop : loops) {
    sum->latency.add(loop->latency);
    sum->service.add(loop->service);
    sum->lateness.add(loop->lateness);
    sum->counted += loop->counted;
    sum->completed += loop->completed;
    sum->reconnected += loop->reconnected;
    sum->errors.connect += loop->errors.connect;
    sum->errors.closed += loop->errors.closed;
    sum->errors.status += loop->errors.status;
    sum->errors.body += loop->errors.body;
    sum->errors.framing += loop->errors.framing;
    sum->errors.unanswered += loop->errors.unanswered;
  }
  const Errors& e = sum->errors;
  fmt::print(
      R"({{"requests": {}, "completed": {}, "seconds": {:.3f}, "rate": {:.1f}, "errors": {}, "connect_errors": {}, )"
      R"("closed_errors": {}, "status_errors": {}, "body_errors": {}, "framing_errors": {}, "unanswered": {}, )"
      R"("reconnected": {}, "wall_seconds": {:.3f}, "processor_seconds": {:.3f}, "late_us_p99": {:.1f}, )"
      R"("latency_us": {}, "service_us": {}}})"
      "\n",
      sum->counted, sum->completed, options.duration_s, static_cast<double>(sum->counted) / options.duration_s,
      e.total() + (all_connected ? 0 : 1), e.connect, e.closed, e.status, e.body, e.framing, e.unanswered,
      sum->reconnected, wall, processor, static_cast<double>(sum->lateness.quantile_ns(0.99)) / 1e3,
      percentiles(sum->latency), percentiles(sum->service));
  return 0;
}

}  // namespace weir::lab
