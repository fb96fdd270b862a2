#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/rng.h"

namespace weir::proxy {

// Makes ids of 32 hex digits: unlikely to collide over all workers and runs, not secret. One worker's; one thread.
class RequestIds {
 public:
  static constexpr std::size_t kSize = 32;

  explicit RequestIds(Rng rng) : rng_(rng) {}

  // Writes kSize characters.
  void write(char* out) {
    write_hex(rng_.next(), out);
    write_hex(rng_.next(), out + 16);
  }

 private:
  static void write_hex(std::uint64_t value, char* out) {
    // Spreads the 16 nibbles over 16 bytes and turns each into its digit, eight at a time.
    for (int half = 0; half < 2; ++half) {
      std::uint64_t x = half == 0 ? value >> 32 : value & 0xffffffffU;
      x = (x | (x << 16)) & 0x0000ffff0000ffffULL;
      x = (x | (x << 8)) & 0x00ff00ff00ff00ffULL;
      x = (x | (x << 4)) & 0x0f0f0f0f0f0f0f0fULL;
      const std::uint64_t above_nine = ((x + 0x0606060606060606ULL) >> 4) & 0x0101010101010101ULL;
      const std::uint64_t digits = x + 0x3030303030303030ULL + above_nine * ('a' - '9' - 1);
      const std::uint64_t ordered = __builtin_bswap64(digits);
      __builtin_memcpy(out + half * 8, &ordered, 8);
    }
  }

  Rng rng_;
};

}  // namespace weir::proxy
