#pragma once

#include <cstdint>
#include <string_view>

#include "base/intrusive_list.h"
#include "http/head.h"
#include "net/splice_relay.h"
#include "net/transport.h"

namespace weir {

// Why a try at a backend failed.
enum class UpstreamFailure : std::uint8_t {
  none,
  connect_refused,  // nobody listens there
  connect_failed,   // unreachable, or reset while connecting
  connect_timeout,
  tls_failed,      // the handshake did: the certificate, most likely
  reset,           // closed or reset before the response was complete
  protocol_error,  // the response was not HTTP
  overloaded,      // max_connections, and no idle connection to take over
  own_trouble,     // EMFILE, EADDRNOTAVAIL, ENOBUFS: ours, never counted against the backend
};
std::string_view to_string(UpstreamFailure failure);

struct UpstreamError {
  UpstreamFailure failure = UpstreamFailure::none;
  bool reused = false;            // the connection had served requests before: it may just have been stale
  bool written = false;           // at least one byte of the request may have reached the backend
  bool answered = false;          // at least one byte of a response was read
  bool unprocessed = false;       // the backend has provably not acted on it (RFC 9113 8.7)
  bool misunderstood = false;     // ... since it speaks another protocol: in that it will be asked next
  bool connection_stays = false;  // it was about this request alone, and the connection can be lent again
};

class Pool;
class UpstreamStream;
struct WaiterTag;

// Bodies with at least so much left are spliced where both ends are plain sockets.
inline constexpr std::uint64_t kSpliceBytes = 64 * 1024;

// The side of a borrowed upstream stream that listens: one try of one request. Calls come from the connection's own
// handlers, never from within a call to the UpstreamStream.
class UpstreamHandler : public ListNode<WaiterTag> {
 public:
  // It opens a tunnel (WebSocket): of HTTP/2 connections only those can be lent that offer extended CONNECT. Does not
  // change while it borrows or waits.
  virtual bool wants_tunnel() const = 0;

  // What Pool::acquire() left pending has come.
  virtual void on_lease(UpstreamStream& stream) = 0;
  // It will not come.
  virtual void on_lease_failed(const UpstreamError& error) = 0;

  // 1xx but 101: more heads follow. `head` lives until the call returns, unless adopted.
  virtual void on_informational(http::ResponseHead& head) = 0;
  // The final head, or 101.
  virtual void on_response_head(http::ResponseHead& head) = 0;
  virtual void on_response_body(std::string_view data) = 0;
  // Asked before its own connection is read: how many bytes are worth reading at once. They may be more all the same.
  // 0: none, and the handler has paused it until it can take some.
  virtual std::size_t response_room() { return SIZE_MAX; }
  // So many bytes of the body are kept for it while it is paused, where the protocol can't stop the backend at once.
  // Only takes note.
  virtual void on_response_held(std::size_t) {}
  // At least kSpliceBytes of the body, whose length is known, are still to be read from the stream's socket: a relay
  // that reads them all instead, or null.
  virtual SpliceRelay* splice_response(std::uint64_t remaining) = 0;
  // The response is complete: the stream has gone back, or its connection was closed if the request was not.
  virtual void on_response_end(http::FieldList* trailers) = 0;
  // The stream is gone.
  virtual void on_upstream_failed(const UpstreamError& error) = 0;
  // What was sent has gone out down to the low watermark.
  virtual void on_request_writable() = 0;
  virtual void on_request_pumped(SpliceRelay::Pumped pumped) = 0;

 protected:
  ~UpstreamHandler() = default;

 private:
  friend class Pool;
  bool waits_for_tunnel_ = false;  // which of its pool's queues it is in
};

// One borrowed place for a request at a backend: a whole HTTP/1.1 connection, or a stream on an HTTP/2 one. It comes
// back by itself after on_response_end() and on_upstream_failed(), else by cancel().
class UpstreamStream {
 public:
  static constexpr std::size_t kHighWatermark = 64 * 1024;
  static constexpr std::size_t kLowWatermark = 16 * 1024;

  // Where this try's request head and response head live.
  virtual void send_head(const http::RequestHead& head) = 0;
  virtual void send_body(std::string_view data) = 0;
  virtual void send_end(const http::FieldList* trailers) = 0;
  virtual std::size_t unsent() const = 0;
  // When the backend's socket last took something.
  virtual TimePoint last_written() const = 0;

  // No further on_response_body() until resumed; a piece already being handed out is finished first.
  virtual void pause_response() = 0;
  virtual void resume_response() = 0;

  // From on_response_head() of a 101 on: bytes go through as they are, both ways. on_response_end() then means that the
  // backend closed its half; the stream stays borrowed until cancel().
  virtual void start_tunnel() = 0;

  // Gives the stream up; no call follows. The connection is closed unless the protocol can do without.
  virtual void cancel() = 0;

  virtual bool reused() const = 0;
  // The backend may say of a request that it has not been processed (UpstreamError::unprocessed): what was sent of it
  // is worth keeping, whatever its method.
  virtual bool tells_unprocessed() const = 0;
  // It may yet turn out that the backend does not speak this protocol (UpstreamError::misunderstood).
  virtual bool may_be_misunderstood() const = 0;

  // Splicing: a stream with a socket of its own, whose body bytes go through it as they are; else kNoSocket.
  virtual SocketId splice_socket() const = 0;
  virtual Flushable& flusher() = 0;
  // The relay that splice_response() gave has taken `taken` bytes from the socket and reads no more.
  virtual void end_diversion(std::uint64_t taken) = 0;
  // The request's body comes from `relay`, which this stream pumps once its own output is written; what the pump says
  // goes to UpstreamHandler::on_request_pumped(). Null ends it.
  virtual void pump_request_from(SpliceRelay* relay) = 0;

 protected:
  ~UpstreamStream() = default;
};

}  // namespace weir
