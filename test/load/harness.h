#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// What the load tests share: a running weir, raw sockets with bounds, and a little of /proc. Every wait is bounded and
// a bound that is passed throws, which fails the test.
namespace weir::load {

using namespace std::chrono_literals;
using Milliseconds = std::chrono::milliseconds;

inline constexpr Milliseconds kPatience = 20s;

// The value of an environment variable as a number, for the long versions of tests.
std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise);

// A folder that goes with its content.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();
  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
  std::string write(std::string_view name, std::string_view text) const;

 private:
  std::string path_;
};

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { close(); }
  int get() const { return number_; }
  int release();
  void close();
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

// Raises the soft limit of descriptors to the hard one; what holds then.
std::size_t raise_descriptor_limit();

Descriptor listen_on_loopback(std::uint16_t* port);
Descriptor accept_from(int listener, Milliseconds patience = kPatience);
// `buffer_bytes`: of the socket in each direction, as setsockopt takes it; 0 leaves it to the kernel.
Descriptor connect_to(std::uint16_t port, int buffer_bytes = 0);
std::uint16_t local_port(int socket);
std::uint16_t peer_port(int socket);
void set_nonblocking(int descriptor);
bool wait_for(int descriptor, short events, Milliseconds patience);
void send_all(int socket, std::string_view bytes);
// Reads up to and with `mark`; what came behind it is returned too.
std::string read_until(int socket, std::string_view mark, Milliseconds patience = kPatience);
// Reads on until `bytes` holds `size`.
void read_up_to(int socket, std::string& bytes, std::size_t size);
// Reads until the peer closes.
std::string read_to_end(int socket, std::string bytes = {});

struct Answer {
  int status = 0;
  std::string head, body;
};
// One request on a connection of its own, the answer read to its end.
Answer ask(std::uint16_t port, std::string_view request);
Answer get(std::uint16_t port, std::string_view path);

// A process that was started by this test and ends with it.
class Child {
 public:
  Child() = default;
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(Child&& other) noexcept : pid_(other.pid_) { other.pid_ = -1; }
  Child& operator=(Child&& other) noexcept;
  ~Child() { kill_now(); }
  pid_t pid() const { return pid_; }
  void send_signal(int signal) const;
  // Its wait status.
  int wait();
  void kill_now();

 private:
  pid_t pid_ = -1;
};

using Environment = std::map<std::string, std::string>;
Child start_program(const std::vector<std::string>& command, const Environment& environment = {});
// Of the folder $WEIR_BINARIES.
std::string program(std::string_view name);

// In bytes, from /proc/PID/smaps_rollup: what is resident, and that part of it which belongs to the process alone.
std::uint64_t resident_bytes(pid_t pid);
std::uint64_t private_bytes(pid_t pid);
// User and system time.
std::chrono::microseconds processor_time(pid_t pid);

// A running `weir run`. Listeners and admin port may be configured as port 0.
class Weir {
 public:
  explicit Weir(std::string_view configuration, const Environment& environment = {});
  ~Weir();

  pid_t pid() const { return child_.pid(); }
  Child& child() { return child_; }
  std::uint16_t port(const std::string& listener) const;
  std::uint16_t admin_port() const { return port("admin"); }
  // From the start of the process until it said that it is ready.
  std::chrono::microseconds time_to_ready() const { return time_to_ready_; }
  const TempFolder& folder() const { return folder_; }

  void write_configuration(std::string_view text) const;
  // Through the admin port: back when the new configuration is in force. The answer's status.
  Answer reload() const;
  std::string metrics() const;
  // The sum of the samples of a family whose labels contain `labels`.
  double metric(std::string_view family, std::string_view labels = {}) const;
  // Waits for the sum to be `value`.
  bool wait_for_metric(std::string_view family, std::string_view labels, double value) const;
  // TERM, and the exit code.
  int terminate();
  std::string log() const;

 private:
  void wait_until_ready(int notifications);

  TempFolder folder_;
  Child child_;
  std::map<std::string, std::uint16_t> ports_;
  std::chrono::microseconds time_to_ready_{};
};

// Bytes in the queues of one TCP connection's end: not yet acknowledged by the peer, not yet read here.
struct Queues {
  std::uint64_t unacknowledged = 0, unread = 0;
};
// Of all connections of this machine's IPv4 loopback, by local port and peer port.
std::map<std::pair<std::uint16_t, std::uint16_t>, Queues> tcp_queues();

}  // namespace weir::load
