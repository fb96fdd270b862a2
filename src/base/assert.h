#pragma once

#include <cstdio>
#include <cstdlib>

// WEIR_ASSERT guards our own invariants, never input. It is on in every build but release; WEIR_CHECK is always on and
// is for what must not go on when it is broken, off the data path.
namespace weir {

[[noreturn]] inline void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, expression);
  std::abort();
}

}  // namespace weir

#define WEIR_CHECK(expression) \
  (static_cast<bool>(expression) ? static_cast<void>(0) : ::weir::assertion_failed(#expression, __FILE__, __LINE__))

#ifdef NDEBUG
#define WEIR_ASSERT(expression) static_cast<void>(sizeof(static_cast<bool>(expression)))
#else
#define WEIR_ASSERT(expression) WEIR_CHECK(expression)
#endif
