#pragma once

#include <cstdint>

#include "base/state_table.h"

namespace weir {

// Where a connection to a backend is that is being made (UpstreamConnecting).
//
//   connecting --announces--> announcing --secures--> handshake
//        |                                               ^
//        `-------------------secures--------------------'
//
// ending leads to done from everywhere, and nothing from there.
enum class ConnectingPhase : std::uint8_t {
  connecting,  // TCP, or a unix socket
  announcing,  // what goes before anything else (Pool::opening) is being written
  handshake,   // of backends over TLS
  done,        // the pool has it, or it failed, or nobody wants it any more
  impossible,
};

enum class ConnectingEvent : std::uint8_t {
  announces,
  secures,
  ending,
  count_,
};

inline constexpr auto kConnectingTable = [] {
  using enum ConnectingPhase;
  constexpr ConnectingPhase no = impossible;
  // clang-format off
  return StateTable<ConnectingPhase, ConnectingEvent>{{{
      //               announces   secures    ending
      /* connecting */ {announcing, handshake, done},
      /* announcing */ {no,         handshake, done},
      /* handshake */  {no,         no,        done},
      /* done */       {no,         no,        no},
  }}};
  // clang-format on
}();

}  // namespace weir
