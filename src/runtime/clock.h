#pragma once

#include "base/time.h"

namespace weir {

// Where instants come from. Real or simulated; passed in, never global.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual WallTime wall_now() const = 0;
};

}  // namespace weir
