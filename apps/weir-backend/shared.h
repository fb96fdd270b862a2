#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "answer.h"
#include "base/slab.h"
#include "hash_metrics.h"
#include "http/date.h"
#include "http/limits.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "options.h"

namespace weir::backend {

inline constexpr http::HeadLimits kHeadLimits{.header_bytes = 256 * 1024, .headers = 1000, .uri_bytes = 64 * 1024};
inline constexpr std::string_view kText = "text/plain; charset=utf-8";
inline constexpr std::string_view kBinary = "application/octet-stream";
// After the last word a connection is shut down, and what still comes is discarded for so long, and so much of it.
inline constexpr Duration kLinger = 2s;
inline constexpr std::size_t kLingerBytes = 16 * 1024 * 1024;

class Http2Stream;

// What all connections of the server share. Outlives them.
struct Shared {
  EventLoop& loop;
  const Options& options;
  std::string name;
  std::string pattern;  // of /bytes: a multiple of kPatternPeriod
  ReadScratch scratch;  // what a read goes into
  http::DateCache date;
  Slab<Http2Stream>& http2_streams;
  HashCounts counts;
  std::vector<const HashCounts*> all_counts;  // of all workers

  // Drawn: this request is to be answered with 500.
  bool draw_failure() { return options.fail_percent > 0 && loop.rng().below(100) < options.fail_percent; }
  // Drawn: how long before the head of this answer.
  Duration draw_delay() {
    const std::uint64_t jitter_ms = options.jitter_ms > 0 ? loop.rng().between(0, options.jitter_ms) : 0;
    return std::chrono::milliseconds(options.base_delay_ms + jitter_ms);
  }
};

// A client's connection, of whichever protocol.
class ServerConnection {
 public:
  ServerConnection() = default;
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;
  virtual ~ServerConnection() = default;
};

class ConnectionOwner {
 public:
  // Closed: the owner destroys it.
  virtual void destroyed(ServerConnection& connection) = 0;
  // The socket speaks HTTP/2; `input` has been read from it, in the scratch.
  virtual void speaks_http2(SocketId socket, std::string_view input) = 0;

 protected:
  ~ConnectionOwner() = default;
};

}  // namespace weir::backend
