#pragma once

#include <map>
#include <string_view>

#include "sim/backend.h"
#include "sim/h2_server.h"

namespace weir::sim {

// HTTP/2 on one connection to a backend whose scripts say their answers in HTTP/1 terms: each request has a stream with
// a script of its own.
class H2BackendSide {
 public:
  // Both outlive it. `output_after`: nothing is said before, not even SETTINGS.
  H2BackendSide(SimBackend& backend, BackendConnection& connection, const H2ServerOptions& options,
                Duration output_after);

  void on_bytes(std::string_view bytes);
  H2Server& server() { return server_; }
  const H2Server& server() const { return server_; }
  // GOAWAY: what lies above `last` has not been processed and will not be.
  void go_away(std::int32_t last);
  // Sends what the server has to say.
  void flush();
  bool busy() const;

 private:
  struct Stream {
    MessageReader answer{MessageReader::Kind::response};
    Script script;
    std::size_t next = 0;
    std::size_t interim_told = 0;
    std::size_t body_told = 0;
    std::size_t tunnel_told = 0;
    bool head_seen = false;
    bool end_seen = false;
    bool head_told = false;
    bool end_told = false;
    bool tunnel = false;
    bool waiting = false;
    bool disowned = false;
  };

  void look();
  void run(std::int32_t id, Script script);
  void go_on(std::int32_t id);
  // True if the script goes on at once.
  bool act(std::int32_t id, const Action& action);
  // The script goes on later.
  void wait(std::int32_t id, Duration duration);
  void disown(std::int32_t id);
  bool end_with_connection(std::int32_t id);
  void translate(std::int32_t id);

  SimBackend& backend_;
  BackendConnection& connection_;
  H2Server server_;
  std::map<std::int32_t, Stream> streams_;
  std::int32_t last_ = INT32_MAX;  // what lies above is not processed
  bool mute_;
  bool begins_late_;  // and until then does not close either
};

}  // namespace weir::sim
