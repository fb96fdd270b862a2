#pragma once

#include <cstdint>
#include <string_view>

#include "http/http2/send_progress.h"
#include "http/http2/session.h"
#include "proxy/client_stream.h"
#include "proxy/context.h"
#include "proxy/downstream.h"

namespace weir::proxy {

class Http2Downstream;
struct OwnedTag;
struct TailTag;
struct ParkedTag;

// One request on a client's HTTP/2 connection, with its Stream as long as that lives. Made from the worker's slab when
// the request begins; destroyed at the end of the turn in which both its Stream and the session were done with it. See
// LIFECYCLE.md. One thread.
class Http2ClientStream final : public ClientStream,
                                public http2::SessionStream,
                                public ListNode<OwnedTag>,   // the connection's list of all
                                public ListNode<TailTag>,    // of those that settle() looks after
                                public ListNode<ParkedTag>,  // of those whose backends are not read from
                                private TimerHandler,
                                private Retired {
 public:
  explicit Http2ClientStream(Http2Downstream& connection);
  ~Http2ClientStream();

  // From the connection, as the session tells it. Each may end the Stream, and this.
  Stream& stream() { return *stream_; }
  void on_head();
  void on_body(std::string_view data);
  void on_end();
  void on_malformed(http2::MalformedKind kind);
  void on_writable();
  // The stream was reset, or the connection is gone: the Stream ends.
  void on_gone();
  // What is kept of the response because the client takes none of it: 0 if that is not so.
  std::size_t held_bytes() const;
  // All that waits because the client does not read its socket; what it has sent itself meanwhile waits too.
  std::size_t kept_bytes() const;
  // It is too much, with what others hold: the stream ends.
  void cut_held();
  // After the output was written: hands over what waited, and goes once everything is out.
  void settle();

  void send_informational(http::ResponseHead& head) override;
  void send_head(http::ResponseHead& head) override;
  void send_body(std::string_view data) override;
  void send_end(const http::FieldList* trailers) override;
  void abort() override;
  void finished() override;
  // Streams end one by one: an answer before the request's end resets this one alone.
  void close_after() override {}
  Downstream& connection() override;
  std::size_t unsent() const override { return pending(); }
  bool full() override;
  std::size_t response_room() override;
  void note_held(std::size_t bytes) override;
  TimePoint last_written() const override;
  // What the windows allow may still come.
  void pause_request() override { paused_ = true; }
  void resume_request() override;
  void start_tunnel() override;
  SocketId splice_source() const override { return kNoSocket; }
  SocketId splice_sink() const override { return kNoSocket; }
  Flushable& flusher() override;
  void pump_response_from(SpliceRelay*) override {}
  void end_diversion(std::uint64_t) override {}
  void request_moved(std::size_t, bool) override {}

 private:
  void on_timer(Timer& timer) override;
  void destroy() override;

  void give_back();
  void deliver_early();
  void watch_body();
  void stop_awaiting_100();
  void begin_tail();
  void over();
  bool tight() const;

  Http2Downstream& connection_;
  Stream* stream_;
  Timer timer_;  // of the request's body, then of an answer whose end the client does not take
  BodyPace pace_;
  Buffer early_;  // what came for a tunnel that does not stand yet
  Arena arena_;   // trailers of the response
  http::FieldList trailers_;
  std::size_t upstream_held_ = 0;  // body bytes of the response that the backend's connection keeps
  std::size_t held_ = 0;           // body bytes that the Stream has and the session was not told of
  mutable http2::SendProgress progress_;
  const bool begun_held_;  // counted in HeldResponses::begun
  bool paused_ = false;
  bool awaits_100_ = false;  // the client does, and can't be late
  bool wants_tunnel_ = false;
  bool in_tunnel_ = false;
  bool end_waits_ = false;  // END_STREAM came behind early_
  bool bodiless_ = false;   // the head said END_STREAM
  bool cut_ = false;        // see cut_held()
  bool over_ = false;
};

}  // namespace weir::proxy
