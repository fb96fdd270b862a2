#pragma once

#include <memory>
#include <vector>

#include "net/descriptor_budget.h"
#include "net/engine.h"

namespace weir {

// Notes what it is told.
struct Watcher final : ReadinessHandler {
  void on_ready(Readiness readiness) override {
    ++events;
    seen.bits = static_cast<std::uint8_t>(seen.bits | readiness.bits);
  }
  bool can_read() const { return seen.can_read(); }
  bool can_write() const { return seen.can_write(); }
  bool peer_gone() const { return seen.peer_gone(); }
  bool failed() const { return (seen.bits & Readiness::failed) != 0; }
  void clear() { *this = Watcher{}; }

  int events = 0;
  Readiness seen;
};

// An engine with what a test needs to know about it.
class TransportUnderTest {
 public:
  virtual ~TransportUnderTest() = default;
  virtual Engine& engine() = 0;
  virtual DescriptorBudget& budget() = 0;
  virtual SocketAddress tcp_address() = 0;  // of this host, with port 0
  virtual SocketAddress unix_address() = 0;
};

struct TransportKind {
  const char* name;
  std::unique_ptr<TransportUnderTest> (*make)();
};

std::vector<TransportKind> transport_kinds();

}  // namespace weir
