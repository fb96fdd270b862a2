#pragma once

#include <cstdint>
#include <string_view>

#include "http/http1/decoder.h"
#include "net/transport.h"
#include "proxy/client_stream.h"
#include "proxy/context.h"
#include "proxy/downstream.h"
#include "proxy/downstream_phase.h"

namespace weir::proxy {

// One client's HTTP/1.1 connection: reads requests one after the other, each with a Stream of its own, and writes their
// responses. Made from the worker's slab when it is accepted, destroyed at the end of the turn in which it closed.
// While idle it holds no buffer. A client that begins with HTTP/2's preface goes on with a Http2Downstream. See
// LIFECYCLE.md, and downstream_phase.h for its states. One thread.
class Http1Downstream final : public Downstream,
                              public ClientStream,
                              private ReadinessHandler,
                              private Flushable,
                              private Resumable,
                              private Retired,
                              private TimerHandler {
 public:
  Http1Downstream(WorkerContext& context, LocalRef<ListenerRuntime> listener, const ConnectionFacts& facts);
  // Goes on in the place of a connection that has not spoken HTTP yet.
  explicit Http1Downstream(Downstream& predecessor);
  ~Http1Downstream();

  // A socket that was just accepted, or handed over by another worker.
  Result<void> start(SocketId socket);
  // Goes on with another owner's socket, and with what that has read and kept.
  Result<void> start(Transport&& io);
  // The last request is answered with "connection: close"; if there is none, the connection closes after one more read.
  void drain() override;
  void cut() override;

  void send_informational(http::ResponseHead& head) override;
  void send_head(http::ResponseHead& head) override;
  void send_body(std::string_view data) override;
  void send_end(const http::FieldList* trailers) override;
  void abort() override;
  void finished() override;
  void close_after() override { close_after_ = true; }
  Downstream& connection() override { return *this; }
  std::size_t unsent() const override { return io_.unsent(); }
  TimePoint last_written() const override { return io_.last_written(); }
  void pause_request() override { paused_ = true; }
  void resume_request() override;
  void start_tunnel() override;
  SocketId splice_source() const override;
  SocketId splice_sink() const override;
  Flushable& flusher() override { return *this; }
  void pump_response_from(SpliceRelay* relay) override;
  void end_diversion(std::uint64_t taken) override;
  void request_moved(std::size_t bytes, bool held_back) override;

 private:
  using Phase = DownstreamPhase;

  SocketId socket() const override { return io_.socket(); }
  void advance(DownstreamEvent event) { kDownstreamTable.advance(phase_, event); }

  void on_ready(Readiness readiness) override;
  void flush() override;
  void resume() override;
  void destroy() override;
  void on_timer(Timer& timer) override;

  bool wants_input() const;
  void read();
  void read_linger();
  void read_tunnel();
  void decode(Transport::Input input);
  bool leave_to_http2(std::string_view bytes, IoStatus status);
  bool deliver(const http1::Step& step);
  bool divert();
  void on_end_of_input(IoStatus status);
  bool request_cut_short();
  void client_gone();
  void begin_request();
  void forget_request();
  void end_request();
  void request_error(ReplyReason reason);
  void next_request(DownstreamEvent event);
  void linger_soon();
  void begin_linger();
  void give_up_writing();
  void close();

  void arm(Duration timeout);
  void arm_body_timer();
  void stop_awaiting_100();
  void note_progress(std::size_t bytes);

  Transport io_;
  Timer timer_;
  http1::RequestDecoder decoder_;
  Stream* stream_ = nullptr;
  SpliceRelay* response_relay_ = nullptr;
  SpliceRelay* request_relay_ = nullptr;
  BodyPace pace_;
  TimePoint linger_began_{};
  std::uint64_t discarded_ = 0;
  Phase phase_ = Phase::idle;
  http::BodyKind response_body_ = http::BodyKind::none;
  bool paused_ = false;
  bool relay_held_back_ = false;  // the request's relay waits for the backend
  bool readable_ = false;         // an edge has come that was not read to its end
  bool peer_fin_ = false;         // FIN announced: read to the end
  bool undecided_ = false;        // what has come may yet become the preface of HTTP/2
  bool draining_ = false;
  bool fresh_ = true;         // has not sent a byte yet
  bool close_after_ = false;  // this response is the last
  bool shut_after_flush_ = false;
  bool linger_after_flush_ = false;
  bool awaits_100_ = false;      // the client does, and can't be late
  bool above_high_ = false;      // much is unsent: no further request is read
  bool diversion_over_ = false;  // a relay of this request's body ended before the body did
  bool client_is_1_0_ = false;
  bool keep_alive_ = true;
};

}  // namespace weir::proxy
