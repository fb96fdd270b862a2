#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/http1/decoder.h"
#include "net/transport.h"
#include "upstream/pool/connection_phase.h"
#include "upstream/pool/idle_connection.h"
#include "upstream/pool/upstream_stream.h"

namespace weir {

class Pool;
struct PoolContext;
struct PoolTag;

// One HTTP/1.1 connection to a backend, and the stream that is borrowed from it. Owned by its Pool's slab; destroyed at
// the end of the turn in which it closed. Its states are in connection_phase.h. One thread.
class Http1Connection final : public UpstreamStream,
                              private ReadinessHandler,
                              private Flushable,
                              private Resumable,
                              private Retired,
                              private TimerHandler,
                              public IdleConnection,
                              public ListNode<PoolTag> {
 public:
  // `io` is connected.
  Http1Connection(Pool& pool, Transport io);

  // Watches its socket from now on. `readiness` is what the edge brought that told that it is connected.
  Result<void> start(Readiness readiness);
  void lease_to(UpstreamHandler& handler);
  // Kept in the pool until `deadline`.
  void rest_until(TimePoint deadline);
  // It is idle: closes it and leaves the pool.
  void close_unused() override;
  // It could not be started: the pool does not know it.
  void abandon() { close(); }
  // A cheap look whether the backend has closed it meanwhile.
  bool still_quiet();

  bool idle() const { return state_ == State::idle; }
  TimePoint idle_since() const { return idle_since_; }
  // The pool's, when it was made.
  std::uint32_t epoch() const { return epoch_; }
  // What the backend said of how long it keeps idle connections, in seconds; -1 if nothing.
  std::int32_t keep_alive_timeout_s() const { return keep_alive_timeout_s_; }

  void send_head(const http::RequestHead& head) override;
  void send_body(std::string_view data) override;
  void send_end(const http::FieldList* trailers) override;
  std::size_t unsent() const override { return io_.unsent(); }
  TimePoint last_written() const override { return io_.last_written(); }
  void pause_response() override { paused_ = true; }
  void resume_response() override;
  void start_tunnel() override;
  void cancel() override;
  bool reused() const override { return served_ > 0; }
  bool tells_unprocessed() const override { return false; }
  bool may_be_misunderstood() const override;
  SocketId splice_socket() const override { return tunnel_ ? kNoSocket : io_.plain_socket(); }
  Flushable& flusher() override { return *this; }
  void end_diversion(std::uint64_t taken) override;
  void pump_request_from(SpliceRelay* relay) override;

 private:
  using State = ConnectionPhase;

  void advance(ConnectionEvent event) { kConnectionTable.advance(state_, event); }

  void on_ready(Readiness readiness) override;
  void flush() override;
  void resume() override;
  void destroy() override;
  void on_timer(Timer& timer) override;

  void read();
  void read_tunnel();
  bool divert();
  void send_tunnel_head(const http::RequestHead& head);
  bool tunnel_head_is_right();
  void forget_head();
  void decode(Transport::Input input);
  bool deliver(const http1::Step& step);
  void on_end_of_input();
  void finish_response();
  void fail(UpstreamFailure failure, bool unprocessed = false);
  void write_failed();
  void close();
  bool leased() const { return state_ == State::leased; }

  Pool& pool_;  // gone once the connection has closed
  PoolContext& context_;
  Transport io_;
  Timer timer_;
  Arena arena_;
  http::ResponseHead head_;
  http::FieldList trailers_;
  http1::ResponseDecoder decoder_;
  UpstreamHandler* handler_ = nullptr;
  SpliceRelay* response_relay_ = nullptr;
  SpliceRelay* request_relay_ = nullptr;
  std::string_view websocket_key_;  // that was made for a client of HTTP/2, in the arena; or empty
  TimePoint idle_since_{};
  std::uint64_t served_ = 0;
  const std::uint32_t epoch_;
  std::int32_t keep_alive_timeout_s_ = -1;
  State state_ = State::fresh;
  http::BodyKind request_body_ = http::BodyKind::none;
  bool request_done_ = false;
  bool response_done_ = false;
  bool paused_ = false;
  bool readable_ = false;   // an edge has come that was not read to its end
  bool peer_gone_ = false;  // FIN or reset announced: read to the end
  bool write_broken_ = false;
  bool failed_ = false;  // an error was announced: a reset, most likely
  bool shut_after_flush_ = false;
  bool written_ = false;    // of this request, at least one byte
  bool answered_ = false;   // of its response, at least one byte
  bool head_seen_ = false;  // of its response, a 1xx included
  bool keep_alive_ = true;
  bool tunnel_ = false;
  bool diverted_ = false;        // this response's body was spliced
  bool diversion_over_ = false;  // ... as far as it came: the rest is read
  bool expect_large_ = false;    // the last one's was
  bool above_high_ = false;
};

}  // namespace weir
