#pragma once

#include <cstdint>

#include "base/state_table.h"

namespace weir {

// Where an upstream HTTP/1.1 connection is (Http1Connection).
//
//   fresh ---kept---> idle ---lent---> leased
//                      ^ <----kept----- |
//
// closing leads to closed from everywhere, and nothing from there.
enum class ConnectionPhase : std::uint8_t {
  fresh,   // just connected
  idle,    // in the pool
  leased,  // a handler's
  closed,
  impossible,
};

enum class ConnectionEvent : std::uint8_t {
  kept,  // new, or its response was read to the end: for whoever asks next
  lent,  // to a handler
  closing,
  count_,
};

inline constexpr auto kConnectionTable = [] {
  using enum ConnectionPhase;
  constexpr ConnectionPhase no = impossible;
  // clang-format off
  return StateTable<ConnectionPhase, ConnectionEvent>{{{
      //           kept   lent    closing
      /* fresh */  {idle,  no,     closed},
      /* idle */   {no,    leased, closed},
      /* leased */ {idle,  no,     closed},
      /* closed */ {no,    no,     no},
  }}};
  // clang-format on
}();

}  // namespace weir
