// OpenSSL's way to replace its generator is deprecated since 3.0, and still the only one that reaches all of it.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "sim/seeded_tls.h"

#include <openssl/rand.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.h"

namespace weir::sim {
namespace {

// The library asks for both without saying who asks.
SeededTls* seeded = nullptr;

int draw(unsigned char* into, int size) {
  auto left = static_cast<std::size_t>(size);
  while (left > 0) {
    const std::uint64_t word = seeded->rng().next();
    const std::size_t piece = std::min(left, sizeof word);
    std::memcpy(into, &word, piece);
    into += piece;
    left -= piece;
  }
  return 1;
}

int seed(const void*, int) {
  return 1;
}

int add(const void*, int, double) {
  return 1;
}

int status() {
  return 1;
}

const RAND_METHOD kMethod{seed, draw, nullptr, add, draw, status};

}  // namespace

SeededTls::SeededTls(std::uint64_t number, const Clock& clock) : rng_(number), clock_(clock), before_(seeded) {
  seeded = this;
  WEIR_CHECK(RAND_set_rand_method(&kMethod) == 1);
}

SeededTls::~SeededTls() {
  seeded = before_;
  if (before_ == nullptr) WEIR_CHECK(RAND_set_rand_method(RAND_OpenSSL()) == 1);
}

namespace {

std::int64_t seconds_now() {
  if (seeded != nullptr) {
    return std::chrono::duration_cast<std::chrono::seconds>(seeded->clock().wall_now().time_since_epoch()).count();
  }
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);  // tidy: allow(banned-call): stands in for the C library's own
  return now.tv_sec;
}

}  // namespace

}  // namespace weir::sim

// What OpenSSL takes the time from: the program's own comes before the C library's.
extern "C" time_t time(time_t* into) noexcept {
  const time_t now = weir::sim::seconds_now();
  if (into != nullptr) *into = now;
  return now;
}
