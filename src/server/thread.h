#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace weir::server {

// A thread with a small stack, a name and, if wanted, one core of its own. Joins when destroyed.
class Thread {
 public:
  static constexpr std::size_t kStackBytes = 256 * 1024;
  static constexpr int kAnyCore = -1;

  // `name` has at most 15 characters. `core` is a number of this process's affinity mask. Fails where the system allows
  // no more threads.
  static Result<std::unique_ptr<Thread>> start(std::string name, int core, std::function<void()> body);
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { join(); }

  void join();

 private:
  struct Start;
  Thread() = default;
  static void* enter(void* start);

  pthread_t thread_{};
  bool joinable_ = false;
};

}  // namespace weir::server
