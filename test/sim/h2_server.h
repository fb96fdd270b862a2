#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/h2_engine.h"
#include "sim/message_reader.h"

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

// The backend's side of HTTP/2 by an independent implementation, which checks all that the proxy says.
class H2Server final : public H2Side {
 public:
  explicit H2Server(const H2ServerOptions& options);

  // A final head (`end`: no body follows), or any number of 1xx before it. Names in lower case.
  void head(std::int32_t stream, int status, const Message::Fields& fields, bool end);
  // Nothing where the stream is over.
  void body(std::int32_t stream, std::string_view bytes);
  void stream_body(std::int32_t stream, std::uint64_t size);
  void end(std::int32_t stream, const Message::Fields& trailers = {});
  // GOAWAY: what lies above `last_id` was not processed.
  void go_away(std::int32_t last_id, std::uint32_t code = kH2NoError);
  // The first GOAWAY of two: all may still be sent.
  void warn_to_go();
  // SETTINGS, changed.
  void allow_streams(std::uint32_t at_most);
  void set_window(std::uint32_t bytes);

  // Bodies that come are compared with a streamed one, and not kept.
  void compare_bodies() { keep_bodies_ = false; }

  const std::map<std::int32_t, H2Request>& requests() const { return requests_; }
  // The highest that has begun.
  std::int32_t last_stream() const { return requests_.empty() ? 0 : requests_.rbegin()->first; }
  std::size_t pings() const { return pings_; }
  std::size_t go_aways() const { return go_aways_; }
  // Streams that are not over.
  std::size_t open_streams() const;

 private:
  struct Callbacks;

  std::map<std::int32_t, H2Request> requests_;
  bool keep_bodies_ = true;
  std::size_t pings_ = 0;
  std::size_t go_aways_ = 0;
};

}  // namespace weir::sim
