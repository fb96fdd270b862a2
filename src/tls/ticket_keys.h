#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/time.h"

namespace weir::tls {

// What session tickets are encrypted with: shared by all workers and listeners of a process, and kept over reloads, so
// that a session can be resumed wherever the client comes back to.
class TicketKeys {
 public:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;
    std::array<unsigned char, 32> mac;
  };
  // The first encrypts; all decrypt, the newest first.
  struct Set {
    std::array<Key, 3> keys;
    std::size_t count = 0;
  };

  // How often to rotate. A ticket can be used for at least twice, and at most three times as long.
  static constexpr Duration kRotation = 12h;

  TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // A new key encrypts from now on. From one thread at a time; the others may go on meanwhile.
  void rotate();
  // Any thread. Lives as long as this.
  const Set& current() const { return *current_.load(std::memory_order_acquire); }

 private:
  std::atomic<const Set*> current_;
  // All there were: another thread may still look at an old one. Two a day.
  std::vector<std::unique_ptr<const Set>> sets_;
};

}  // namespace weir::tls
