#pragma once

#include <cstdint>

#include "base/state_table.h"

namespace weir::proxy {

// Where an HTTP/1.1 connection of a client is (Http1Downstream).
//
//   idle --request_began--> head --head_read--> body --request_read--> busy --switched--> tunnel
//
//   a request after the other    busy --answered--> idle
//   nothing came                 head --blank_line--> idle
//   answered before it was read  body --answered--> discard --rest_read--> idle
//   the last answer              head, body, busy, tunnel --answered_last--> busy --lingering--> linger
//   a tunnel's half is over      tunnel --half_closed--> busy
//   nothing more is wanted       idle, discard --lingering--> linger
//
// closing leads to closed from everywhere, and nothing from there.
enum class DownstreamPhase : std::uint8_t {
  idle,     // between requests
  head,     // a request has begun
  body,     // its head is read, its body is not
  busy,     // it is read, or the rest of it is nobody's: its answer is awaited and written
  discard,  // answered; the rest of its body is read and dropped
  tunnel,   // after a 101
  linger,   // writing is shut down; what still comes is dropped
  closed,
  impossible,
};

enum class DownstreamEvent : std::uint8_t {
  request_began,  // its first byte is there
  blank_line,     // what came was only an empty line between requests
  head_read,      // all of it
  request_read,   // to its end
  answered,       // the stream has ended, and the connection may go on
  answered_last,  // the stream has ended, and the connection goes with it
  switched,       // 101 was sent
  half_closed,    // the tunnel's half from the client is over
  rest_read,      // the body that nobody wanted is read
  lingering,      // all is written, writing is shut down
  closing,
  count_,
};

inline constexpr auto kDownstreamTable = [] {
  using enum DownstreamPhase;
  constexpr DownstreamPhase no = impossible;
  // clang-format off
  return StateTable<DownstreamPhase, DownstreamEvent>{{{
      //            request_ blank_ head_ request_ answered answered switched half_  rest_ lingering closing
      //            began    line   read  read              _last             closed read
      /* idle */    {head,    no,    no,   no,      no,      no,      no,      no,    no,   linger,   closed},
      /* head */    {no,      idle,  body, no,      no,      busy,    no,      no,    no,   no,       closed},
      /* body */    {no,      no,    no,   busy,    discard, busy,    no,      no,    no,   no,       closed},
      /* busy */    {no,      no,    no,   no,      idle,    busy,    tunnel,  no,    no,   linger,   closed},
      /* discard */ {no,      no,    no,   no,      no,      no,      no,      no,    idle, linger,   closed},
      /* tunnel */  {no,      no,    no,   no,      no,      busy,    no,      busy,  no,   no,       closed},
      /* linger */  {no,      no,    no,   no,      no,      no,      no,      no,    no,   no,       closed},
      /* closed */  {no,      no,    no,   no,      no,      no,      no,      no,    no,   no,       no},
  }}};
  // clang-format on
}();

}  // namespace weir::proxy
