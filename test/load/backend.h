#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "load/harness.h"

namespace weir::load {

// What a Backend counts; in memory that its process shares with the test.
struct BackendCounts {
  static constexpr std::size_t kIds = 1 << 20;
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> resets{0};
  std::atomic<std::uint64_t> answered{0};
  std::atomic<std::uint8_t> seen[kIds]{};  // how often the request of a path /id/N was read to its end
};

// A fast and misbehaving HTTP/1.1 server in a process of its own: one thread, epoll. Answers every request with 200 and
// 64 bytes. Request bodies are read and dropped.
class Backend {
 public:
  // `counts` may be shared by several backends.
  explicit Backend(std::shared_ptr<BackendCounts> counts = make_counts());
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  ~Backend();

  static std::shared_ptr<BackendCounts> make_counts();
  std::uint16_t port() const { return port_; }
  BackendCounts& counts() { return *counts_; }
  Child& child() { return child_; }

  // Faults, from the next event of the backend's loop on. Each returns once the backend has seen it.
  void answer_well() { command('w'); }
  void reset_inside_heads() { command('r'); }      // the answer is the first half of a head, then a reset
  void close_idle_connections() { command('c'); }  // all that wait for a request, at once
  void close_after_each() { command('e'); }        // every connection after an answer, without having said so

 private:
  void command(char letter);

  std::shared_ptr<BackendCounts> counts_;
  std::uint16_t port_ = 0;
  Descriptor commands_;
  Child child_;
};

}  // namespace weir::load
