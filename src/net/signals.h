#pragma once

#include <memory>
#include <span>

#include "net/engine.h"

namespace weir {

class SignalHandler {
 public:
  // In the loop's thread, at an ordinary place of its turn: anything may be done here.
  virtual void on_signal(int signal) = 0;

 protected:
  ~SignalHandler() = default;
};

// Signals as events of a loop (signalfd). Open it in the main thread before any other thread starts: it blocks the
// signals in the calling thread, and threads inherit that. They stay blocked when it is destroyed.
class SignalSource final : private ReadinessHandler {
 public:
  // `engine`, which must be an EpollEngine, and `handler` outlive it. The handler must not destroy it.
  static Result<std::unique_ptr<SignalSource>> open(Engine& engine, std::span<const int> signals,
                                                    SignalHandler& handler);
  SignalSource(const SignalSource&) = delete;
  SignalSource& operator=(const SignalSource&) = delete;
  ~SignalSource();

 private:
  SignalSource(Engine& engine, SignalHandler& handler, int descriptor)
      : engine_(engine), handler_(handler), descriptor_(descriptor) {}
  void on_ready(Readiness readiness) override;

  Engine& engine_;
  SignalHandler& handler_;
  const int descriptor_;
};

}  // namespace weir
