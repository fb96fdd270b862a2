#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/message_reader.h"

struct nghttp2_session;

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
  Message message;               // as far as it is here
  std::vector<Message> interim;  // 1xx
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
  bool keep_bodies = true;                     // else they are only counted
};

// The client's side of HTTP/2 by an independent implementation, which checks all that the proxy says. Bytes in, bytes
// out.
class H2Engine {
 public:
  explicit H2Engine(const H2Options& options = {});
  ~H2Engine();
  H2Engine(const H2Engine&) = delete;
  H2Engine& operator=(const H2Engine&) = delete;

  // A request; fields in lower case, pseudo fields first if they shall be others than method and target say. `end`: no
  // body follows. Returns the stream.
  std::int32_t submit(std::string_view method, std::string_view target, const Message::Fields& fields, bool end);
  void body(std::int32_t stream, std::string_view bytes);
  void end(std::int32_t stream, const Message::Fields& trailers = {});
  void reset(std::int32_t stream, std::uint32_t code = kH2Cancel);
  void ping();
  void go_away(std::uint32_t code = kH2NoError);
  // Gives back nothing of the stream's window, until opened again.
  void hold_window(std::int32_t stream);
  void open_window(std::int32_t stream);
  // As it stands: opens the stream's window by so much.
  void widen(std::int32_t stream, std::uint32_t bytes);

  void feed(std::string_view bytes);
  std::string take_output();

  const std::map<std::int32_t, H2Answer>& answers() const { return answers_; }
  const H2Answer& answer(std::int32_t stream) const { return answers_.at(stream); }
  const std::vector<H2GoAway>& go_aways() const { return go_aways_; }
  std::size_t pings_answered() const { return pings_answered_; }
  std::uint32_t streams_allowed() const;
  // What of it was not HTTP/2; empty if all was.
  const std::string& error() const { return error_; }
  // Bytes of a request's body that wait for windows.
  std::size_t unsent(std::int32_t stream) const;
  std::size_t unsent() const;

 private:
  struct Outgoing {
    std::string bytes;
    std::size_t sent = 0;
    bool ended = false;
    Message::Fields trailers;
    bool held = false;       // its window is not given back
    std::uint64_t owed = 0;  // of it
  };
  struct Callbacks;

  nghttp2_session* session_ = nullptr;
  const H2Options options_;
  std::map<std::int32_t, H2Answer> answers_;
  std::map<std::int32_t, Outgoing> outgoing_;
  std::vector<H2GoAway> go_aways_;
  std::size_t pings_answered_ = 0;
  std::string error_;
};

}  // namespace weir::sim
