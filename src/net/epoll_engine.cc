#include "net/epoll_engine.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "base/assert.h"
#include "net/sockaddr.h"
#include "net/socket_options.h"

namespace weir {
namespace {

// libc's recv() and send() are points where a thread can be cancelled, and pay for it with two locked instructions each
// time in a process with threads. Nobody cancels threads here.
ssize_t raw_recv(int socket, void* into, std::size_t size) {
  return ::syscall(SYS_recvfrom, socket, into, size, 0, nullptr, nullptr);
}

ssize_t raw_send(int socket, const void* from, std::size_t size, int flags) {
  return ::syscall(SYS_sendto, socket, from, size, flags, nullptr, 0);
}

constexpr std::uint64_t kWakeEvent = UINT64_MAX;
constexpr std::uint64_t kAlarmEvent = UINT64_MAX - 1;

template <typename Call>
auto retry(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

TimePoint read_clock() {
  return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

std::unexpected<Error> fail_errno(std::string what, int error) {
  return fail(what + ": " + std::generic_category().message(error), error);
}

IoResult failed(int error) {
  if (error == EAGAIN || error == EWOULDBLOCK) return {IoStatus::would_block};
  return {IoStatus::failed, error};
}

IoResult read_result(ssize_t count) {
  if (count > 0) return {IoStatus::ok, 0, static_cast<std::size_t>(count)};
  return count == 0 ? IoResult{IoStatus::end} : failed(errno);
}

IoResult write_result(ssize_t count) {
  return count >= 0 ? IoResult{IoStatus::ok, 0, static_cast<std::size_t>(count)} : failed(errno);
}

Readiness to_readiness(std::uint32_t events) {
  unsigned bits = 0;
  if ((events & EPOLLIN) != 0) bits |= Readiness::readable;
  if ((events & EPOLLOUT) != 0) bits |= Readiness::writable;
  // Hang-up alone means that both directions have ended, in good order or not.
  if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) bits |= Readiness::peer_closed;
  if ((events & EPOLLERR) != 0) bits |= Readiness::failed;
  return Readiness{static_cast<std::uint8_t>(bits)};
}

bool out_of_descriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// Errors of one connection that came and went before it was accepted; the next one may be fine. See accept(2).
bool concerns_one_connection(int error) {
  switch (error) {
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<std::unique_ptr<EpollEngine>> EpollEngine::open(DescriptorBudget& budget) {
  std::unique_ptr<EpollEngine> engine(new EpollEngine(budget));
  if (!engine->announces(engine->wake_, kWakeEvent) || !engine->announces(engine->alarm_, kAlarmEvent)) {
    return fail_errno("cannot open an event descriptor", errno);
  }
  return engine;
}

EpollEngine::EpollEngine(DescriptorBudget& budget)
    : budget_(budget),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      alarm_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      now_(read_clock()) {
  budget_.opened(kOwnDescriptors);
}

EpollEngine::~EpollEngine() {
  for (const int descriptor : {alarm_, wake_, epoll_}) {
    if (descriptor >= 0) ::close(descriptor);
  }
  budget_.closed(kOwnDescriptors);
}

bool EpollEngine::announces(int descriptor, std::uint64_t event) {
  epoll_event edge{};
  edge.events = EPOLLIN | EPOLLET;
  edge.data.u64 = event;
  return epoll_ >= 0 && descriptor >= 0 && ::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &edge) == 0;
}

WallTime EpollEngine::wall_now() const {
  if (!wall_known_) {
    wall_now_ = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    wall_known_ = true;
  }
  return wall_now_;
}

Result<SocketId> EpollEngine::listen(const SocketAddress& address, const ListenOptions& options) {
  Result<int> socket = open_listener(address, options);
  if (!socket) return fail_errno("cannot listen on " + address.to_string(), socket.error().code);
  budget_.opened();
  return *socket;
}

Result<SocketAddress> EpollEngine::local_address(SocketId socket) {
  Sockaddr address;
  address.size = sizeof(sockaddr_un);
  if (::getsockname(socket, &address.any, &address.size) != 0) return fail_errno("no local address", errno);
  return from_sockaddr(address);
}

Accepted EpollEngine::accept(SocketId listener) {
  for (;;) {
    Sockaddr address;
    address.size = sizeof(sockaddr_un);
    const int socket = ::accept4(listener, &address.any, &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      budget_.opened();
      // Its options are the listener's.
      Accepted accepted{Accepted::Status::ok, socket, {}, 0, 0};
      if (address.any.sa_family != AF_UNIX) {
        const SocketAddress peer = from_sockaddr(address);
        accepted.peer = peer.ip;
        accepted.peer_port = peer.port;
      }
      return accepted;
    }
    if (errno == EINTR || concerns_one_connection(errno)) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Accepted::Status::would_block, kNoSocket, {}, 0, 0};
    const auto status = out_of_descriptors(errno) ? Accepted::Status::out_of_descriptors : Accepted::Status::failed;
    return {status, kNoSocket, {}, 0, errno};
  }
}

Result<SocketId> EpollEngine::connect(const SocketAddress& address) {
  const Sockaddr target = to_sockaddr(address);
  const int socket = ::socket(target.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return fail_errno("cannot connect to " + address.to_string(), errno);
  if (!address.is_unix()) {
    set_stream_options(socket);
    unpace_loopback(socket, address.ip);
  }
  // Interrupted, a non-blocking connect goes on all the same.
  if (::connect(socket, &target.any, target.size) != 0 && errno != EINPROGRESS && errno != EINTR) {
    const int error = errno;
    ::close(socket);
    return fail_errno("cannot connect to " + address.to_string(), error);
  }
  budget_.opened();
  return socket;
}

int EpollEngine::connect_error(SocketId socket) {
  Sockaddr peer;
  peer.size = sizeof(sockaddr_un);
  if (::getpeername(socket, &peer.any, &peer.size) == 0) return 0;
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error != 0 ? error : EINPROGRESS;
}

IoResult EpollEngine::read(SocketId socket, std::span<char> into) {
  return read_result(retry([&] { return raw_recv(socket, into.data(), into.size()); }));
}

IoResult EpollEngine::write(SocketId socket, std::span<const iovec> from, bool more) {
  const int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
  if (from.size() == 1) {
    return write_result(retry([&] { return raw_send(socket, from[0].iov_base, from[0].iov_len, flags); }));
  }
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(from.data());
  message.msg_iovlen = std::min<std::size_t>(from.size(), IOV_MAX);
  return write_result(retry([&] { return ::sendmsg(socket, &message, flags); }));
}

bool EpollEngine::quiet(SocketId socket) {
  char byte;
  const ssize_t count = retry([&] { return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT); });
  return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

std::size_t EpollEngine::unread(SocketId socket) {
  int count = 0;
  return ::ioctl(socket, FIONREAD, &count) == 0 && count > 0 ? static_cast<std::size_t>(count) : 0;
}

Result<Pipe> EpollEngine::open_pipe() {
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return fail_errno("cannot open a pipe", errno);
  // Unprivileged processes may be over their share of pipe memory; the default size serves too.
  static_cast<void>(::fcntl(ends[0], F_SETPIPE_SZ, static_cast<int>(kPipeBytes)));
  budget_.opened(2);
  return Pipe{ends[0], ends[1], 0};
}

void EpollEngine::close_pipe(Pipe& pipe) {
  ::close(pipe.read_end);
  ::close(pipe.write_end);
  budget_.closed(2);
  pipe = Pipe{};
}

IoResult EpollEngine::splice_in(SocketId from, Pipe& pipe, std::size_t at_most) {
  const IoResult result = read_result(retry(
      [&] { return ::splice(from, nullptr, pipe.write_end, nullptr, at_most, SPLICE_F_NONBLOCK | SPLICE_F_MOVE); }));
  pipe.buffered += result.bytes;
  return result;
}

IoResult EpollEngine::splice_out(Pipe& pipe, SocketId to, bool more) {
  const unsigned flags = SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0u);
  const IoResult result =
      write_result(retry([&] { return ::splice(pipe.read_end, nullptr, to, nullptr, pipe.buffered, flags); }));
  pipe.buffered -= result.bytes;
  return result;
}

void EpollEngine::shutdown_write(SocketId socket) {
  static_cast<void>(::shutdown(socket, SHUT_WR));
}

void EpollEngine::close(SocketId socket) {
  forget(socket);
  ::close(socket);
  budget_.closed();
}

void EpollEngine::reset(SocketId socket) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  static_cast<void>(::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now));
  close(socket);
}

SocketId EpollEngine::release(SocketId socket) {
  if (slot(socket).registered) static_cast<void>(::epoll_ctl(epoll_, EPOLL_CTL_DEL, socket, nullptr));
  forget(socket);
  return socket;
}

void EpollEngine::adopt(SocketId socket) {
  forget(socket);
}

Result<void> EpollEngine::inherit(int descriptor) {
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) {
    return fail_errno("cannot use inherited descriptor " + std::to_string(descriptor), errno);
  }
  // What it accepts inherits them.
  if (const auto address = local_address(descriptor); address && !address->is_unix()) {
    set_stream_options(descriptor);
    unpace_loopback(descriptor, address->ip);
  }
  budget_.opened();
  return {};
}

EpollEngine::Slot& EpollEngine::slot(SocketId socket) {
  WEIR_ASSERT(socket >= 0);
  const auto index = static_cast<std::size_t>(socket);
  if (index >= slots_.size()) slots_.resize(std::max(index + 1, slots_.size() * 2));
  return slots_[index];
}

void EpollEngine::forget(SocketId socket) {
  Slot& forgotten = slot(socket);
  forgotten.handler = nullptr;
  forgotten.registered = false;
  ++forgotten.generation;
}

Result<void> EpollEngine::watch(SocketId socket, ReadinessHandler& handler, Trigger trigger) {
  Slot& watched = slot(socket);
  ++watched.generation;
  epoll_event event{};
  event.data.u64 = static_cast<std::uint64_t>(watched.generation) << 32 | static_cast<std::uint32_t>(socket);
  switch (trigger) {
    case Trigger::edge:
      event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
      break;
    case Trigger::level:
      event.events = EPOLLIN | EPOLLRDHUP;
      break;
    case Trigger::level_both:
      event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
      break;
  }
  // Changing a registration reports anew what is ready, as adding one does.
  const int operation = watched.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (::epoll_ctl(epoll_, operation, socket, &event) != 0) return fail_errno("cannot watch a socket", errno);
  watched.handler = &handler;
  watched.registered = true;
  return {};
}

void EpollEngine::set_alarm(TimePoint at) {
  const auto since_epoch = at.time_since_epoch();
  itimerspec when{};
  when.it_value.tv_sec = since_epoch / 1s;
  when.it_value.tv_nsec = (since_epoch % 1s).count();
  WEIR_CHECK(::timerfd_settime(alarm_, TFD_TIMER_ABSTIME, &when, nullptr) == 0);
  alarm_at_ = at;
}

int EpollEngine::wait(TimePoint until) {
  if (until <= now_) return ::epoll_wait(epoll_, events_.data(), static_cast<int>(kEventsPerPoll), 0);
  while (true) {
    if (until < alarm_at_) set_alarm(until);
    const int count = ::epoll_wait(epoll_, events_.data(), static_cast<int>(kEventsPerPoll), -1);
    if (count != 1 || events_[0].data.u64 != kAlarmEvent) return count;
    alarm_at_ = kNever;
    // It may have been set for what has meanwhile been put off or called off.
    if (until <= read_clock()) return 0;
  }
}

std::size_t EpollEngine::poll(TimePoint until) {
  int count = wait(until);
  WEIR_CHECK(count >= 0 || errno == EINTR);  // interrupted: the turn goes on with nothing
  count = std::max(count, 0);
  now_ = read_clock();
  wall_known_ = false;
  std::size_t handed_out = 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    if (event.data.u64 == kWakeEvent) {
      // The counter is never read: each write is an edge of its own.
      wake_pending_.store(false, std::memory_order_seq_cst);
      continue;
    }
    if (event.data.u64 == kAlarmEvent) {
      alarm_at_ = kNever;
      continue;
    }
    const Slot& watched = slots_[event.data.u64 & 0xffffffff];
    if (watched.generation != static_cast<std::uint32_t>(event.data.u64 >> 32) || watched.handler == nullptr) continue;
    ++handed_out;
    watched.handler->on_ready(to_readiness(event.events));
  }
  return handed_out;
}

void EpollEngine::wake() {
  if (wake_pending_.exchange(true, std::memory_order_seq_cst)) return;
  const std::uint64_t one = 1;
  static_cast<void>(retry([&] { return ::write(wake_, &one, sizeof one); }));
}

}  // namespace weir
