#pragma once

#include <cstdint>
#include <string_view>

#include "base/intrusive_list.h"
#include "http/http2/session.h"
#include "http2_stream.h"
#include "net/event_loop.h"
#include "net/transport.h"
#include "shared.h"

namespace weir::backend {

// One client that speaks HTTP/2. What its requests are answered with leaves in one write a turn. Reading stops while
// more than kOutputHigh bytes wait to be sent. One thread.
class Http2Connection final : public ServerConnection,
                              private ReadinessHandler,
                              private Flushable,
                              private Resumable,
                              private TimerHandler,
                              private Retired {
 public:
  static constexpr std::size_t kOutputHigh = 256 * 1024;

  Http2Connection(Shared& shared, ConnectionOwner& owner, SocketId socket);
  ~Http2Connection() override;

  // Begins to serve, with what has been read already. Watches the socket; closes itself if that is impossible.
  void start(std::string_view input);

  // For its streams.
  http2::Session& session() { return session_; }
  void mark_dirty() { loop_.mark_dirty(*this); }

 private:
  enum class State : std::uint8_t {
    open,
    finishing,  // GOAWAY is in the output
    lingering,  // shut down; discards what still comes
    closed,
  };

  void on_ready(Readiness readiness) override;
  void flush() override;
  void resume() override;
  void on_timer(Timer& timer) override;
  void destroy() override;

  void read();
  void decode(std::string_view input);
  void handle(const http2::Step& step);
  void discard();
  void end_streams();
  void close();

  Shared& shared_;
  ConnectionOwner& owner_;
  EventLoop& loop_;
  Transport io_;
  http2::Session session_;
  IntrusiveList<Http2Stream, OwnedTag> streams_;
  Timer timer_;
  std::size_t discarded_ = 0;
  State state_ = State::open;
  bool readable_ = false;   // an edge has come that was not read to its end
  bool peer_gone_ = false;  // an edge told of a FIN
  bool choked_ = false;
};

}  // namespace weir::backend
