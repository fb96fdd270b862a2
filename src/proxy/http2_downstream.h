#pragma once

#include <cstdint>

#include "http/http2/session.h"
#include "net/transport.h"
#include "proxy/context.h"
#include "proxy/downstream.h"
#include "proxy/http2_client_stream.h"

namespace weir::proxy {

// One client's HTTP/2 connection: feeds the session with what is read, gives each request a Http2ClientStream, and
// writes what the session has made of their answers, once a turn. Made from the worker's slab, destroyed at the end of
// the turn in which it closed. While idle it holds no buffer. See LIFECYCLE.md. One thread.
//
//   open -> closing -> linger -> closed      closing: the last GOAWAY is in the output
//     `--------------------------> closed    a FIN or reset: the client is gone
class Http2Downstream final : public Downstream,
                              public ResponseHolder,
                              private ReadinessHandler,
                              private Flushable,
                              private Resumable,
                              private Retired,
                              private TimerHandler {
 public:
  Http2Downstream(WorkerContext& context, LocalRef<ListenerRuntime> listener, const ConnectionFacts& facts);
  // Goes on in the place of a connection that turned out to speak HTTP/2.
  explicit Http2Downstream(Downstream& predecessor);
  ~Http2Downstream();

  Result<void> start(SocketId socket);
  // Goes on with another owner's socket, and with what that has read and kept.
  Result<void> start(Transport&& io);

  // GOAWAY in two phases (RFC 9113 6.8); what the client sent before it knew is still served.
  void drain() override;
  void cut() override;

  // For its streams.
  WorkerContext& context() { return context_; }
  const LocalRef<ListenerRuntime>& listener_ref() const { return listener_; }
  http2::Session& session() { return session_; }
  Flushable& flusher() { return *this; }
  void mark_dirty() { context_.loop.mark_dirty(*this); }
  // Calls its settle() whenever the output has been written.
  void look_after(Http2ClientStream& stream);
  void stream_over();
  std::size_t cut_held(std::size_t wanted) override;
  TimePoint last_written() const { return io_.last_written(); }

 private:
  enum class Phase : std::uint8_t { open, closing, linger, closed };

  SocketId socket() const override { return io_.socket(); }

  void on_ready(Readiness readiness) override;
  void flush() override;
  void resume() override;
  void destroy() override;
  void on_timer(Timer& timer) override;

  void read();
  void read_linger();
  void decode(Transport::Input input);
  void handle(const http2::Step& step);
  void begin_stream();
  void hand_out_events();
  void watch_frames(bool something_left, bool progress);
  void settle_held();
  void count_abuse(std::string_view kind, std::uint64_t count = 1);

  void become_idle();
  void rest();
  void end_drain();
  void end_streams();
  void go_away(http2::ErrorCode code);
  void begin_close();
  void begin_linger();
  void give_up();
  void client_gone();
  void close();
  void arm(Duration timeout);

  Transport io_;
  http2::Session session_;
  Timer timer_;        // idle_timeout without streams, the grace of a drain, an output that nobody takes, linger
  Timer frame_timer_;  // header_timeout of a frame or header block that does not get complete
  IntrusiveList<Http2ClientStream, OwnedTag> streams_;
  IntrusiveList<Http2ClientStream, TailTag> looked_after_;
  TimePoint linger_began_{};
  std::uint64_t discarded_ = 0;
  std::uint64_t refused_seen_ = 0;
  Phase phase_ = Phase::open;
  bool readable_ = false;  // an edge has come that was not read to its end
  bool peer_fin_ = false;  // FIN announced: read to the end
  bool in_block_ = false;
  bool rested_ = false;
  bool choked_ = false;  // answers wait that the client does not read: nothing more is read from it
  bool draining_ = false;
  bool drain_over_ = false;  // the second GOAWAY is out, or the client has said its own: no stream begins any more
};

// A connection over which HTTP/2 is known to be spoken (by ALPN), from its first byte on.
Result<void> start_http2(WorkerContext& context, LocalRef<ListenerRuntime> listener, Transport&& io,
                         const ConnectionFacts& facts);

}  // namespace weir::proxy
