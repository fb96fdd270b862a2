#pragma once

#include <string_view>

#include "base/arena.h"
#include "http/http2/send_progress.h"
#include "http/http2/session.h"
#include "upstream/pool/upstream_stream.h"

namespace weir {

class Http2Connection;
struct PoolContext;
struct BorrowedTag;
struct ResumedTag;
struct ClosingTag;

// One stream of an HTTP/2 connection to a backend, for one try of one request. Made when it is lent, from the worker's
// slab; destroyed at the end of the turn in which it came back. One thread.
//
// What the backend sends while the handler holds it back is kept here: as much as the stream's window lets through, and
// the window is not opened again before it is passed on. So a slow client slows nobody but its own stream.
class Http2UpstreamStream final : public UpstreamStream,
                                  public http2::SessionStream,
                                  private Retired,
                                  public ListNode<BorrowedTag>,
                                  public ListNode<ResumedTag>,
                                  public ListNode<ClosingTag> {
 public:
  Http2UpstreamStream(Http2Connection& connection, UpstreamHandler& handler, bool reused);

  void send_head(const http::RequestHead& head) override;
  void send_body(std::string_view data) override;
  void send_end(const http::FieldList* trailers) override;
  std::size_t unsent() const override { return pending(); }
  TimePoint last_written() const override;
  void pause_response() override { paused_ = true; }
  void resume_response() override;
  void start_tunnel() override { tunnel_ = true; }
  void cancel() override;
  bool reused() const override { return reused_; }
  bool tells_unprocessed() const override { return true; }
  bool may_be_misunderstood() const override;
  SocketId splice_socket() const override { return kNoSocket; }
  Flushable& flusher() override;
  void end_diversion(std::uint64_t) override {}
  void pump_request_from(SpliceRelay*) override {}

 private:
  friend class Http2Connection;
  friend struct Http2ConnectionPeer;

  void destroy() override;

  // From the connection, for what the session tells. Each may end the stream.
  void on_head();
  void on_body(std::string_view data);
  void on_end();
  void on_writable();
  // After resume_response(): what was held back.
  void deliver_held();
  // The connection is lost, and the response complete: what was held back, also to who still is to be held back.
  void deliver_rest();
  // Its last byte has been given to the connection's output.
  void on_closing_written();

  std::size_t pass_held(bool all);
  void accept_tunnel();
  void forget_head();
  void finish();
  void fail(UpstreamFailure failure, bool unprocessed);

  Http2Connection& connection_;
  PoolContext& context_;      // a connection that is lost is destroyed before its streams
  UpstreamHandler* handler_;  // null once it has come back
  Arena arena_;
  http::ResponseHead head_;
  http::FieldList trailers_;
  Buffer held_;                     // body bytes that came while it was paused
  std::string_view key_;            // Sec-WebSocket-Key of the request, whose handler keeps it
  std::size_t unconsumed_ = 0;      // body bytes that were passed on just before it was paused
  std::uint64_t written_from_ = 0;  // of the connection's bytes: where this request begins
  mutable http2::SendProgress progress_;
  const TimePoint lent_at_;
  const bool reused_;
  bool opened_ = false;
  bool paused_ = false;
  bool answered_ = false;
  bool ended_ = false;  // the response is complete, and so may be what is held
  bool wants_tunnel_ = false;
  bool tunnel_ = false;
  bool end_told_ = false;  // of a tunnel, which goes on
  bool above_high_ = false;
};

}  // namespace weir
