#pragma once

#include <algorithm>
#include <cstdint>

#include "http/http2/session.h"
#include "net/transport.h"
#include "proxy/context.h"
#include "proxy/downstream.h"
#include "proxy/http2_client_stream.h"
#include "proxy/reading_pace.h"

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
  // How much of the stream's answer is worth reading at once, by what waits for the socket already. 0: none; see
  // park().
  std::size_t room(const Http2ClientStream& stream) const {
    const std::size_t waiting = waiting_before(stream);
    return waiting > kCrowdedBytes ? 0 : kOwnBytes - waiting;
  }
  // Calls its on_writable() when there is room again.
  void park(Http2ClientStream& stream);
  // The socket takes little or nothing, and enough waits for it.
  bool stuck() const { return blocked_ && unwritten() > kCrowdedBytes && allowance() < kFastBytes; }
  // ... and more than is the connection's own: streams are held that windows let through.
  bool overdrawn() const { return overdrawn_; }
  void count_abuse(std::string_view kind, std::uint64_t count = 1);
  TimePoint last_written() const { return io_.last_written(); }
  // Bytes of the session's output that the socket took.
  std::uint64_t taken() const { return session_.written() - std::min(session_.written(), io_.encrypted_unsent()); }

 private:
  enum class Phase : std::uint8_t { open, closing, linger, closed };
  // No more is read for its streams while so much waits for the socket,
  static constexpr std::size_t kCrowdedBytes = http2::Session::kOutputBytes;
  // and so this is what answers may cost a client that doesn't read, if their backends can be held back.
  static constexpr std::size_t kOwnBytes = kCrowdedBytes + 32 * 1024;
  // The same for a connection with one answer.
  static constexpr std::size_t kOwnSingleBytes = 256 * 1024;
  // Who reads so fast need not be looked at closely, and soon takes what its streams' backends send: they go on.
  static constexpr std::size_t kFastBytes = 64 * 1024 * 1024;

  SocketId socket() const override { return io_.socket(); }

  void on_ready(Readiness readiness) override;
  void flush() override;
  Order order() const override { return Order::last; }
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
  void count_held(bool slow);
  std::size_t allowance() const { return pace_.allowance(context_.loop.now()); }
  void park_anew(Http2ClientStream& stream);
  void unpark();
  std::size_t unwritten() const { return io_.unsent() + session_.in_turn(); }
  std::size_t waiting_before(const Http2ClientStream& stream) const;

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
  IntrusiveList<Http2ClientStream, ParkedTag> parked_;
  Timer pace_timer_;  // what is the connection's own now, because it reads, has to be counted anew
  ReadingPace pace_;
  TimePoint linger_began_{};
  std::uint64_t discarded_ = 0;
  std::uint64_t refused_seen_ = 0;
  Phase phase_ = Phase::open;
  bool readable_ = false;  // an edge has come that was not read to its end
  bool peer_fin_ = false;  // FIN announced: read to the end
  bool in_block_ = false;
  bool rested_ = false;
  bool blocked_ = false;    // the socket has not taken all that it was given
  bool overdrawn_ = false;  // see overdrawn()
  bool choked_ = false;     // answers wait that the client does not read: nothing more is read from it
  bool draining_ = false;
  bool drain_over_ = false;  // the second GOAWAY is out, or the client has said its own: no stream begins any more
};

// A connection over which HTTP/2 is known to be spoken (by ALPN), from its first byte on.
Result<void> start_http2(WorkerContext& context, LocalRef<ListenerRuntime> listener, Transport&& io,
                         const ConnectionFacts& facts);

}  // namespace weir::proxy
