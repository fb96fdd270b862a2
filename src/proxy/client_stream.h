#pragma once

#include <cstdint>
#include <string_view>

#include "http/head.h"
#include "net/splice_relay.h"

namespace weir::proxy {

class Downstream;

// The client's side of one stream, as the Stream sees it: implemented by each codec's connection. Calls only gather
// output and change state; none of them calls back.
class ClientStream {
 public:
  static constexpr std::size_t kHighWatermark = 64 * 1024;
  static constexpr std::size_t kLowWatermark = 16 * 1024;
  // How much of a request's body is read and dropped after its answer, so that the connection can be kept.
  static constexpr std::uint64_t kDiscardBytes = 256 * 1024;

  // 1xx, but 101. Ignored for clients that know no such thing.
  virtual void send_informational(http::ResponseHead& head) = 0;
  // The final head, or 101. Adds what the connection has to say (framing, keep-alive).
  virtual void send_head(http::ResponseHead& head) = 0;
  virtual void send_body(std::string_view data) = 0;
  // The response is complete. In a tunnel: the backend's half is closed.
  virtual void send_end(const http::FieldList* trailers) = 0;
  // Breaks the message off in a way that the client can tell from a complete one. The stream is over.
  virtual void abort() = 0;
  // The stream has ended: its request was read to its end, or what is still to come is nobody's.
  virtual void finished() = 0;
  // Say "connection: close" in this response and mean it.
  virtual void close_after() = 0;

  // The connection that it goes over.
  virtual Downstream& connection() = 0;
  virtual std::size_t unsent() const = 0;
  // So much is unsent that the backend shall wait for on_response_writable().
  virtual bool full() { return unsent() > kHighWatermark; }
  // How many bytes of the response are worth reading at once. 0: none before on_response_writable().
  virtual std::size_t response_room() { return SIZE_MAX; }
  // So many bytes of the body are kept on the backend's side meanwhile.
  virtual void note_held(std::size_t) {}
  // When the client's socket last took something.
  virtual TimePoint last_written() const = 0;
  // No on_request_body() until resumed.
  virtual void pause_request() = 0;
  virtual void resume_request() = 0;
  virtual void start_tunnel() = 0;

  // For splicing: the client's own socket, if the request's body comes from it, or the response's body goes to it, as
  // it is; else kNoSocket.
  virtual SocketId splice_source() const = 0;
  virtual SocketId splice_sink() const = 0;
  virtual Flushable& flusher() = 0;
  // The response's body comes from `relay`, pumped when the output is written. Null ends it.
  virtual void pump_response_from(SpliceRelay* relay) = 0;
  // The relay that the stream gave for the request's body has taken `taken` bytes and reads no more.
  virtual void end_diversion(std::uint64_t taken) = 0;
  // Body bytes of the request were moved by the relay: progress, as reading is. `held_back`: the rest waits for the
  // backend.
  virtual void request_moved(std::size_t bytes, bool held_back) = 0;

 protected:
  ~ClientStream() = default;
};

}  // namespace weir::proxy
