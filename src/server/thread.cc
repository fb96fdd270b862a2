#include "server/thread.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>

#include <cstring>
#include <memory>
#include <utility>

#include "base/assert.h"

namespace weir::server {

struct Thread::Start {
  std::string name;
  int core;
  std::function<void()> body;
};

Result<std::unique_ptr<Thread>> Thread::start(std::string name, int core, std::function<void()> body) {
  std::unique_ptr<Thread> thread(new Thread);
  auto start = std::make_unique<Start>(Start{std::move(name), core, std::move(body)});
  pthread_attr_t attributes;
  WEIR_CHECK(pthread_attr_init(&attributes) == 0);
  // Sanitizers put far more on a stack than the program itself does.
#if defined(__has_feature) && (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
  pthread_attr_setstacksize(&attributes, 8 * kStackBytes);
#else
  pthread_attr_setstacksize(&attributes, kStackBytes);
#endif
  // Signals belong to the control thread.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread->thread_, &attributes, &Thread::enter, start.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) return fail(fmt::format("cannot start a thread: {}", std::strerror(error)), error);
  static_cast<void>(start.release());
  thread->joinable_ = true;
  return thread;
}

void Thread::join() {
  if (!joinable_) return;
  pthread_join(thread_, nullptr);
  joinable_ = false;
}

void* Thread::enter(void* start) {
  const std::unique_ptr<Start> owned(static_cast<Start*>(start));
  pthread_setname_np(pthread_self(), owned->name.c_str());
  if (owned->core != kAnyCore) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(owned->core), &set);
    // A container may forbid it; then the kernel chooses the core.
    static_cast<void>(sched_setaffinity(0, sizeof(set), &set));
  }
  owned->body();
  return nullptr;
}

}  // namespace weir::server
