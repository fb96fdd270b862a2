#include "sim/replay_notice.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__) || \
    (defined(__has_feature) && (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)))
#include <sanitizer/common_interface_defs.h>
#define WEIR_SANITIZED 1
#else
#define WEIR_SANITIZED 0
#endif

namespace weir::sim {
namespace {

// Sanitizers report the other signals themselves, and call back behind their reports.
#if WEIR_SANITIZED
constexpr std::array kSignals = {SIGABRT};
#else
constexpr std::array kSignals = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
#endif

// A signal's handler gets nothing but the signal: what it needs lies here.
struct Pending {
  const char* text = nullptr;  // null: nothing to say
  std::size_t size = 0;
  std::array<struct sigaction, kSignals.size()> before{};
};
Pending pending;

void restore_handlers() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &pending.before[i], nullptr);
}

void say() {
  if (pending.text == nullptr) return;
  // Nothing is left to be done if it can't be written.
  if (write(STDERR_FILENO, pending.text, pending.size) < 0) return;
  pending.text = nullptr;  // a sanitizer may both call back and abort
}

// The signal comes again once this returns, to whoever handled it before.
void on_signal(int signal) {
  say();
  restore_handlers();
  raise(signal);
}

}  // namespace

std::string replay_command(std::uint64_t seed) {
  return fmt::format("tools/simulate --seed {} --count 1 --trace", seed);
}

ReplayNotice::ReplayNotice(std::uint64_t seed) : text_(fmt::format("replay with: {}\n", replay_command(seed))) {
  WEIR_CHECK(pending.text == nullptr);
  pending.text = text_.data();
  pending.size = text_.size();
  struct sigaction action{};
  action.sa_handler = on_signal;
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &pending.before[i]);
#if WEIR_SANITIZED
  __sanitizer_set_death_callback(say);
#endif
}

ReplayNotice::~ReplayNotice() {
#if WEIR_SANITIZED
  __sanitizer_set_death_callback(nullptr);
#endif
  restore_handlers();
  pending.text = nullptr;
}

}  // namespace weir::sim
