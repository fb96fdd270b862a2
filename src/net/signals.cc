#include "net/signals.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace weir {

Result<std::unique_ptr<SignalSource>> SignalSource::open(Engine& engine, std::span<const int> signals,
                                                         SignalHandler& handler) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  const int descriptor = error == 0 ? ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
  if (descriptor < 0) {
    const int code = error != 0 ? error : errno;
    return fail("cannot receive signals: " + std::generic_category().message(code), code);
  }
  std::unique_ptr<SignalSource> source(new SignalSource(engine, handler, descriptor));
  if (Result<void> watched = engine.watch(descriptor, *source, Trigger::level); !watched) {
    return std::unexpected(watched.error());
  }
  return source;
}

SignalSource::~SignalSource() {
  ::close(engine_.release(descriptor_));
}

void SignalSource::on_ready(Readiness) {
  signalfd_siginfo info;
  while (::read(descriptor_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    handler_.on_signal(static_cast<int>(info.ssi_signo));
  }
}

}  // namespace weir
