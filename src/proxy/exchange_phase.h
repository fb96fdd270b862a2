#pragma once

#include <cstdint>

#include "base/state_table.h"

namespace weir::proxy {

// How far a stream's request has come.
//
//   head ---head_read---> body ---end_read---> done
//                          ^ <--tunnel_began-- |        an HTTP/1.1 upgrade: what the client sends now is the tunnel's
enum class RequestPhase : std::uint8_t { head, body, done, impossible };

enum class RequestEvent : std::uint8_t {
  head_read,
  end_read,      // the request's end; in a tunnel, that of the client's half
  tunnel_began,  // the backend agreed; of an HTTP/2 client the request is open still
  count_,
};

inline constexpr auto kRequestTable = [] {
  using enum RequestPhase;
  constexpr RequestPhase no = impossible;
  // clang-format off
  return StateTable<RequestPhase, RequestEvent>{{{
      //         head_read  end_read  tunnel_began
      /* head */ {body,      no,       no},
      /* body */ {no,        done,     body},
      /* done */ {no,        no,       body},
  }}};
  // clang-format on
}();

// How far its response has come, on its way to the client.
//
//   waiting ---head_sent---> body ---end_sent---> done
//
// Until the head was sent another try or a local reply is possible; after it, only to go on or to break off.
enum class ResponsePhase : std::uint8_t { waiting, body, done, impossible };

enum class ResponseEvent : std::uint8_t {
  head_sent,  // the final head, or 101
  end_sent,   // the response's end; in a tunnel, that of the backend's half
  count_,
};

inline constexpr auto kResponseTable = [] {
  using enum ResponsePhase;
  constexpr ResponsePhase no = impossible;
  // clang-format off
  return StateTable<ResponsePhase, ResponseEvent>{{{
      //            head_sent  end_sent
      /* waiting */ {body,      no},
      /* body */    {no,        done},
      /* done */    {no,        no},
  }}};
  // clang-format on
}();

}  // namespace weir::proxy
