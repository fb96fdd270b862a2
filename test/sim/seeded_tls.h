#pragma once

#include <cstdint>

#include "base/rng.h"
#include "runtime/clock.h"

namespace weir::sim {

// As long as one of these lives, all of this process's TLS draws from its seed instead of from the machine, and its
// time is that of `clock`: a handshake gives the same bytes each time. The latest one counts. For tests of one thread
// only: nothing that is drawn is a secret.
class SeededTls {
 public:
  SeededTls(std::uint64_t seed, const Clock& clock);
  SeededTls(const SeededTls&) = delete;
  SeededTls& operator=(const SeededTls&) = delete;
  ~SeededTls();

  Rng& rng() { return rng_; }
  const Clock& clock() const { return clock_; }

 private:
  Rng rng_;
  const Clock& clock_;
  SeededTls* const before_;
};

}  // namespace weir::sim
