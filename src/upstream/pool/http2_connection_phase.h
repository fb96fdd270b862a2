#pragma once

#include <cstdint>

#include "base/state_table.h"

namespace weir {

// Where an HTTP/2 connection to a backend is (Http2Connection).
//
//   live ---asks-----> checking
//     |  <--check_over--
//     `--leaves--> finishing
//
// closing leads to closed from live and finishing, and nothing from there. A check is over before anything else
// happens, also when its answer does not come.
enum class Http2ConnectionPhase : std::uint8_t {
  live,
  checking,   // a PING asks whether it is still there before it is used after a long silence
  finishing,  // GOAWAY, or too old: no new streams. With the last stream it closes
  closed,
  impossible,
};

enum class Http2ConnectionEvent : std::uint8_t {
  asks,
  check_over,
  leaves,
  closing,
  count_,
};

inline constexpr auto kHttp2ConnectionTable = [] {
  using enum Http2ConnectionPhase;
  constexpr Http2ConnectionPhase no = impossible;
  // clang-format off
  return StateTable<Http2ConnectionPhase, Http2ConnectionEvent>{{{
      //              asks      check_over leaves     closing
      /* live */      {checking, no,       finishing, closed},
      /* checking */  {no,       live,     no,        no},
      /* finishing */ {no,       no,       no,        closed},
      /* closed */    {no,       no,       no,        no},
  }}};
  // clang-format on
}();

}  // namespace weir
