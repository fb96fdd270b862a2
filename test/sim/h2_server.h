#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/h2_engine.h"
#include "sim/message_reader.h"

struct nghttp2_session;

namespace weir::sim {

// What has come of one request.
struct H2Request {
  Message message;  // in HTTP/1 terms: Host, and an Upgrade where RFC 8441 was spoken
  bool head_seen = false;
  bool closed = false;                 // the stream is over
  std::optional<std::uint32_t> reset;  // by the proxy, with this code
};

struct H2ServerOptions {
  std::optional<std::uint32_t> streams_max = {};    // SETTINGS_MAX_CONCURRENT_STREAMS
  std::optional<std::uint32_t> stream_window = {};  // what the proxy's streams start with; RFC 9113's 65,535 else
  bool offers_tunnels = false;                      // RFC 8441
};

// The backend's side of HTTP/2 by an independent implementation, which checks all that the proxy says. Bytes in, bytes
// out.
class H2Server {
 public:
  explicit H2Server(const H2ServerOptions& options);
  ~H2Server();
  H2Server(const H2Server&) = delete;
  H2Server& operator=(const H2Server&) = delete;

  // A final head (`end`: no body follows), or any number of 1xx before it. Names in lower case.
  void head(std::int32_t stream, int status, const Message::Fields& fields, bool end);
  void body(std::int32_t stream, std::string_view bytes);
  void end(std::int32_t stream, const Message::Fields& trailers = {});
  void reset(std::int32_t stream, std::uint32_t code);
  // GOAWAY: what lies above `last_id` was not processed.
  void go_away(std::int32_t last_id, std::uint32_t code = kH2NoError);
  // The first GOAWAY of two: all may still be sent.
  void warn_to_go();
  // SETTINGS, changed.
  void allow_streams(std::uint32_t at_most);
  void set_window(std::uint32_t bytes);
  // Gives back nothing of the stream's window, until opened again.
  void hold_window(std::int32_t stream);
  void open_window(std::int32_t stream);

  void feed(std::string_view bytes);
  std::string take_output();

  const std::map<std::int32_t, H2Request>& requests() const { return requests_; }
  // The highest that has begun.
  std::int32_t last_stream() const { return requests_.empty() ? 0 : requests_.rbegin()->first; }
  // What of it was not HTTP/2; empty if all was.
  const std::string& error() const { return error_; }
  std::size_t pings() const { return pings_; }
  std::size_t go_aways() const { return go_aways_; }
  // Bytes of answers that wait for windows.
  std::size_t unsent() const;
  std::size_t unsent(std::int32_t stream) const;
  // Streams that are not over.
  std::size_t open_streams() const;

 private:
  struct Outgoing {
    std::string bytes;
    std::size_t sent = 0;
    bool begun = false;
    bool ended = false;
    Message::Fields trailers;
    bool held = false;       // its window is not given back
    std::uint64_t owed = 0;  // of it
  };
  struct Callbacks;

  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, H2Request> requests_;
  std::map<std::int32_t, Outgoing> outgoing_;
  std::string error_;
  std::size_t pings_ = 0;
  std::size_t go_aways_ = 0;
};

}  // namespace weir::sim
