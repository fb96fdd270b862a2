#include "load/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace weir::load {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error(errno != 0 ? what + ": " + std::strerror(errno) : what);
}

int check(int result, const char* what) {
  if (result < 0) give_up(what);
  return result;
}

std::string read_whole(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::uint64_t rollup_bytes(pid_t pid, std::string_view keys) {
  std::istringstream lines(read_whole(fmt::format("/proc/{}/smaps_rollup", pid)));
  std::uint64_t kib = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos || keys.find(line.substr(0, colon + 1)) == std::string_view::npos) continue;
    kib += std::strtoull(line.c_str() + colon + 1, nullptr, 10);
  }
  return kib * 1024;
}

}  // namespace

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TempFolder::TempFolder() {
  std::string name = std::filesystem::temp_directory_path() / "weir-load-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) give_up("no temporary folder");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::write(std::string_view name, std::string_view text) const {
  const std::string path = file(name);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  close();
  number_ = other.release();
  return *this;
}

int Descriptor::release() {
  return std::exchange(number_, -1);
}

void Descriptor::close() {
  if (number_ >= 0) ::close(number_);
  number_ = -1;
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

Descriptor listen_on_loopback(std::uint16_t* port) {
  Descriptor socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  sockaddr_in address = loopback(0);
  check(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  check(::listen(socket.get(), 4096), "listen");
  *port = local_port(socket.get());
  return socket;
}

Descriptor accept_from(int listener, Milliseconds patience) {
  if (!wait_for(listener, POLLIN, patience)) give_up("nobody connects");
  return Descriptor(check(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept"));
}

Descriptor connect_to(std::uint16_t port, int buffer_bytes) {
  Descriptor socket(check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  if (buffer_bytes > 0) {
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  }
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  check(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
  return socket;
}

std::uint16_t local_port(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return ntohs(address.sin_port);
}

std::uint16_t peer_port(int socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check(::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size), "getpeername");
  return ntohs(address.sin_port);
}

void set_nonblocking(int descriptor) {
  check(::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK), "fcntl");
}

bool wait_for(int descriptor, short events, Milliseconds patience) {
  pollfd waiting{descriptor, events, 0};
  const auto until = Clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    errno = ready < 0 ? errno : 0;
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) give_up("poll");
  }
}

void send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(socket, POLLOUT, kPatience)) give_up("the peer takes nothing");
    } else if (errno != EINTR) {
      give_up("send");
    }
  }
}

namespace {

// False at the peer's end.
bool read_more(int socket, std::string& bytes, Milliseconds patience) {
  if (!wait_for(socket, POLLIN, patience)) give_up("nothing comes; so far: " + bytes.substr(0, 200));
  char piece[64 * 1024];
  const ssize_t count = ::recv(socket, piece, sizeof piece, 0);
  if (count < 0 && errno != EAGAIN && errno != EINTR) give_up("recv");
  if (count > 0) bytes.append(piece, static_cast<std::size_t>(count));
  return count != 0;
}

}  // namespace

std::string read_until(int socket, std::string_view mark, Milliseconds patience) {
  std::string bytes;
  while (bytes.find(mark) == std::string::npos) {
    if (!read_more(socket, bytes, patience)) give_up("closed too early, after: " + bytes.substr(0, 200));
  }
  return bytes;
}

void read_up_to(int socket, std::string& bytes, std::size_t size) {
  while (bytes.size() < size) {
    if (!read_more(socket, bytes, kPatience)) give_up("closed too early");
  }
}

std::string read_to_end(int socket, std::string bytes) {
  while (read_more(socket, bytes, kPatience)) {
  }
  return bytes;
}

Answer ask(std::uint16_t port, std::string_view request) {
  const Descriptor socket = connect_to(port);
  send_all(socket.get(), request);
  const std::string all = read_to_end(socket.get());
  const auto end = all.find("\r\n\r\n");
  if (end == std::string::npos || all.size() < 12) give_up("no answer: " + all);
  return {std::atoi(all.c_str() + 9), all.substr(0, end + 4), all.substr(end + 4)};
}

Answer get(std::uint16_t port, std::string_view path) {
  return ask(port, fmt::format("GET {} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n", path, port));
}

Child& Child::operator=(Child&& other) noexcept {
  kill_now();
  pid_ = std::exchange(other.pid_, -1);
  return *this;
}

void Child::send_signal(int signal) const {
  check(::kill(pid_, signal), "kill");
}

int Child::wait() {
  int status = 0;
  const auto until = Clock::now() + kPatience;
  const Descriptor handle(check(static_cast<int>(::syscall(434 /* pidfd_open */, pid_, 0)), "pidfd_open"));
  if (!wait_for(handle.get(), POLLIN, std::chrono::ceil<Milliseconds>(until - Clock::now())))
    give_up("it does not end");
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return status;
}

void Child::kill_now() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Child start_program(const std::vector<std::string>& command, const Environment& environment) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = check(::fork(), "fork");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  return Child(pid);
}

std::string program(std::string_view name) {
  const char* folder = std::getenv("WEIR_BINARIES");
  if (folder == nullptr) throw std::runtime_error("WEIR_BINARIES is not set");
  return std::string(folder) + "/" + std::string(name);
}

std::uint64_t resident_bytes(pid_t pid) {
  return rollup_bytes(pid, "Rss:");
}
std::uint64_t private_bytes(pid_t pid) {
  return rollup_bytes(pid, "Private_Clean:Private_Dirty:");
}

std::chrono::microseconds processor_time(pid_t pid) {
  const std::string text = read_whole(fmt::format("/proc/{}/stat", pid));
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  std::uint64_t user = 0, system = 0;
  fields >> user >> system;
  return std::chrono::microseconds((user + system) * 1'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

Weir::Weir(std::string_view configuration, const Environment& environment) {
  write_configuration(configuration);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder_.file("notify");
  std::memcpy(address.sun_path, path.data(), path.size());
  const Descriptor notifications(check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  check(::bind(notifications.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  Environment all = environment;
  all["NOTIFY_SOCKET"] = path;
  // stderr into a file, so that a failure can show it.
  const std::string command =
      fmt::format("exec {} run -f {} 2>{}", program("weir"), folder_.file("weir.yaml"), folder_.file("stderr"));
  const auto began = Clock::now();
  child_ = start_program({"/bin/sh", "-c", command}, all);
  wait_until_ready(notifications.get());
  time_to_ready_ = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began);
}

Weir::~Weir() = default;

// READY=1\nSTATUS=listening: web on 127.0.0.1:8080, admin on 127.0.0.1:9090, 2 workers
void Weir::wait_until_ready(int notifications) {
  std::string message;
  while (message.find("READY=1") == std::string::npos) {
    if (!wait_for(notifications, POLLIN, kPatience)) give_up("weir does not get ready: " + log());
    char text[65536];
    const ssize_t size = ::recv(notifications, text, sizeof text, 0);
    if (size > 0) message.assign(text, static_cast<std::size_t>(size));
  }
  std::size_t from = message.find("listening: ") + 11;
  for (std::size_t on = message.find(" on ", from); on != std::string::npos; on = message.find(" on ", from)) {
    const std::size_t end = message.find_first_of(",\n", on);
    const std::string address = message.substr(on + 4, end - on - 4);
    const auto colon = address.rfind(':');
    if (colon != std::string::npos) {
      ports_[message.substr(from, on - from)] =
          static_cast<std::uint16_t>(std::strtoul(address.c_str() + colon + 1, nullptr, 10));
    }
    if (end == std::string::npos) break;
    from = end + 2;
  }
}

std::uint16_t Weir::port(const std::string& listener) const {
  const auto found = ports_.find(listener);
  if (found == ports_.end()) throw std::runtime_error("there is no listener " + listener + ": " + log());
  return found->second;
}

void Weir::write_configuration(std::string_view text) const {
  folder_.write("weir.yaml", text);
}

Answer Weir::reload() const {
  return ask(admin_port(), fmt::format("POST /api/v1/reload HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-length: 0\r\n"
                                       "connection: close\r\n\r\n",
                                       admin_port()));
}

std::string Weir::metrics() const {
  return get(admin_port(), "/metrics").body;
}

double Weir::metric(std::string_view family, std::string_view labels) const {
  std::istringstream lines(metrics());
  double sum = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(family) || line.size() <= family.size()) continue;
    if (line[family.size()] != '{' && line[family.size()] != ' ') continue;
    if (line.find(labels) == std::string::npos) continue;
    sum += std::strtod(line.c_str() + line.rfind(' ') + 1, nullptr);
  }
  return sum;
}

bool Weir::wait_for_metric(std::string_view family, std::string_view labels, double value) const {
  const auto until = Clock::now() + kPatience;
  while (Clock::now() < until) {
    if (metric(family, labels) == value) return true;
  }
  return false;
}

int Weir::terminate() {
  child_.send_signal(SIGTERM);
  const int status = child_.wait();
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Weir::log() const {
  return read_whole(folder_.file("stderr"));
}

std::map<std::pair<std::uint16_t, std::uint16_t>, Queues> tcp_queues() {
  std::map<std::pair<std::uint16_t, std::uint16_t>, Queues> all;
  std::istringstream lines(read_whole("/proc/net/tcp"));
  for (std::string line; std::getline(lines, line);) {
    unsigned number = 0, local = 0, local_port = 0, remote = 0, remote_port = 0, state = 0, unacknowledged = 0,
             unread = 0;
    if (std::sscanf(line.c_str(), " %u: %x:%x %x:%x %x %x:%x", &number, &local, &local_port, &remote, &remote_port,
                    &state, &unacknowledged, &unread) != 8) {
      continue;
    }
    if (state != 1) continue;  // established
    all[{static_cast<std::uint16_t>(local_port), static_cast<std::uint16_t>(remote_port)}] = {unacknowledged, unread};
  }
  return all;
}

}  // namespace weir::load
