#pragma once

#include <cstdint>
#include <string>

namespace weir::sim {

// What runs this schedule again.
std::string replay_command(std::uint64_t seed);

// While it lives, a process that dies of a broken invariant (or of what a sanitizer finds) says on stderr how to run
// the schedule again: nobody comes to report it then. One at a time, in one thread.
class ReplayNotice {
 public:
  explicit ReplayNotice(std::uint64_t seed);
  ~ReplayNotice();
  ReplayNotice(const ReplayNotice&) = delete;
  ReplayNotice& operator=(const ReplayNotice&) = delete;

 private:
  const std::string text_;
};

}  // namespace weir::sim
