#pragma once

#include <algorithm>
#include <cstdint>

#include "http/http2/session.h"
#include "net/transport.h"
#include "upstream/pool/http2_connection_phase.h"
#include "upstream/pool/http2_stream.h"
#include "upstream/pool/idle_connection.h"

namespace weir {

class Pool;
struct PoolContext;
struct PoolTag;

// One HTTP/2 connection to a backend, and the streams that are borrowed from it. Owned by its Pool's slab; destroyed at
// the end of the turn in which it closed. Its states are in http2_connection_phase.h. One thread.
class Http2Connection final : private ReadinessHandler,
                              private Flushable,
                              private Resumable,
                              private Retired,
                              private TimerHandler,
                              public IdleConnection,
                              public ListNode<PoolTag> {
 public:
  // `io` is connected.
  Http2Connection(Pool& pool, Transport io);

  // Watches its socket from now on. `readiness` is what the edge brought that told that it is connected.
  Result<void> start(Readiness readiness);
  // It could not be started: the pool does not know it.
  void abandon() { close(); }

  // Streams that it takes now, besides those that are lent.
  std::size_t room() const;
  std::size_t load() const { return load_; }
  bool settled() const { return session_.settings_received(); }
  // It may yet turn out that the backend does not speak HTTP/2.
  bool may_be_misunderstood() const;
  bool offers_tunnels() const { return session_.extended_connect(); }
  // Much waits for the backend to read it.
  bool crowded() const { return crowded_; }
  // Bytes came last at this time.
  TimePoint heard() const { return heard_; }
  // Takes no streams any more: gone with its last one.
  bool finishing() const { return state_ == State::finishing || gone(); }
  bool gone() const { return state_ == State::closed; }
  bool too_old() const;

  // room() is not 0.
  Http2UpstreamStream& lend(UpstreamHandler& handler);

  // The rest is for connections without streams.
  // Kept until `deadline`.
  void rest_until(TimePoint deadline);
  void close_unused() override;
  // Nothing was heard of it for long, or as long as somebody waited for it who then gave up: it must be asked before it
  // is used again.
  bool doubtful() const;
  // Asks by PING. Pool::on_http2_changed() tells when the answer has come; without one it closes.
  void check();
  // Reads what came since the last turn; it may be closed, or take fewer streams, afterwards.
  void look();

  // No new streams; closes with the last one, at once if there is none.
  void finish_up();

 private:
  friend class Http2UpstreamStream;
  friend struct Http2ConnectionPeer;  // of tests
  using State = Http2ConnectionPhase;

  void on_ready(Readiness readiness) override;
  void flush() override;
  Order order() const override { return Order::last; }
  void resume() override;
  void destroy() override;
  void on_timer(Timer& timer) override;

  void advance(Http2ConnectionEvent event) { kHttp2ConnectionTable.advance(state_, event); }
  void read(ReadScratch& scratch);
  void process(std::string_view bytes);
  void handle(const http2::Step& step);
  void on_end_of_input();
  void on_session_error(const http2::Step& step);
  void on_settings();
  void write_failed();
  void note_crowd(bool crowded);
  void look_for_silence();
  void end_check();
  void fail_all(UpstreamFailure failure, bool unprocessed);
  void lose(UpstreamFailure failure, bool unprocessed);
  // The stream has come back.
  void release(Http2UpstreamStream& stream);
  // A stream that was lent then is given up.
  void note_cancelled(TimePoint lent_at) {
    if (heard_ <= lent_at) doubted_ = now();
  }
  void close();
  bool open() const { return !gone(); }
  // Bytes of the session's output that the socket took.
  std::uint64_t taken() const { return session_.written() - std::min(session_.written(), io_.encrypted_unsent()); }
  TimePoint now() const { return io_.loop().now(); }

  Pool& pool_;  // gone once the connection has closed
  PoolContext& context_;
  Transport io_;
  const std::string_view scheme_;  // of the requests
  http2::Session session_;
  Timer timer_;
  IntrusiveList<Http2UpstreamStream, BorrowedTag> streams_;
  IntrusiveList<Http2UpstreamStream, ResumedTag> resumed_;
  IntrusiveList<Http2UpstreamStream, ClosingTag> closing_;  // tunnels whose own half waits to be written
  std::size_t load_ = 0;
  std::uint64_t served_ = 0;
  std::uint64_t sent_ = 0;  // bytes that the socket took
  TimePoint heard_{};       // when bytes came last
  TimePoint busy_since_{};  // when it was lent last while it carried nothing
  TimePoint doubted_{};     // when a stream was given up of which nothing had been heard
  TimePoint pinged_{};      // when the last PING was sent since a stream had something; 0 if none was
  TimePoint retire_at_{};
  State state_ = State::live;
  bool readable_ = false;
  bool peer_gone_ = false;
  bool write_broken_ = false;
  bool ping_out_ = false;
  bool crowded_ = false;
};

}  // namespace weir
