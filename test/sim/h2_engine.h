#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/h2_side.h"
#include "sim/message_reader.h"

namespace weir::sim {

// The error codes that tests name (RFC 9113 7).
inline constexpr std::uint32_t kH2NoError = 0;
inline constexpr std::uint32_t kH2ProtocolError = 1;
inline constexpr std::uint32_t kH2InternalError = 2;
inline constexpr std::uint32_t kH2RefusedStream = 7;
inline constexpr std::uint32_t kH2Cancel = 8;
inline constexpr std::uint32_t kH2ConnectError = 10;
inline constexpr std::uint32_t kH2EnhanceYourCalm = 11;

// What has come for one request.
struct H2Answer {
  Message message;                         // as far as it is here
  std::vector<Message> interim;            // 1xx
  std::vector<std::string> never_indexed;  // names of fields that must not be put into tables
  std::uint64_t body_bytes = 0;
  bool head_seen = false;
  bool closed = false;                 // the stream is over
  std::optional<std::uint32_t> reset;  // by the proxy, with this code
};

struct H2GoAway {
  std::int32_t last_id;
  std::uint32_t code;
};

struct H2Options {
  std::optional<std::uint32_t> stream_window;  // what a stream starts with; RFC 9113's 65,535 else
  bool keep_bodies = true;                     // else they are compared with a streamed body
};

// The client's side of HTTP/2 by an independent implementation, which checks all that the proxy says.
class H2Engine final : public H2Side {
 public:
  explicit H2Engine(const H2Options& options = {});

  // A request; fields in lower case, pseudo fields first if they shall be others than method and target say. `end`: no
  // body follows. Returns the stream.
  std::int32_t submit(std::string_view method, std::string_view target, const Message::Fields& fields, bool end);
  void ping();
  void go_away(std::uint32_t code = kH2NoError);
  // As it stands: opens the stream's window by so much.
  void widen(std::int32_t stream, std::uint32_t bytes);

  const std::map<std::int32_t, H2Answer>& answers() const { return answers_; }
  const H2Answer& answer(std::int32_t stream) const { return answers_.at(stream); }
  const std::vector<H2GoAway>& go_aways() const { return go_aways_; }
  std::size_t pings_answered() const { return pings_answered_; }
  std::uint32_t streams_allowed() const;

 private:
  struct Callbacks;

  const H2Options options_;
  std::map<std::int32_t, H2Answer> answers_;
  std::vector<H2GoAway> go_aways_;
  std::size_t pings_answered_ = 0;
};

}  // namespace weir::sim
