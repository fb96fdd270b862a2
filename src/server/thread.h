#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <string>

namespace weir::server {

// A thread with a small stack, a name and, if wanted, one core of its own. Joins when destroyed.
class Thread {
 public:
  static constexpr std::size_t kStackBytes = 256 * 1024;
  static constexpr int kAnyCore = -1;

  // `name` has at most 15 characters. `core` is a number of this process's affinity mask.
  Thread(std::string name, int core, std::function<void()> body);
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { join(); }

  void join();

 private:
  struct Start;
  static void* enter(void* start);

  pthread_t thread_{};
  bool joinable_ = false;
};

}  // namespace weir::server
