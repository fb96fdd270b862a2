#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "base/intrusive_list.h"
#include "base/time.h"
#include "http/head.h"
#include "http/http2/hpack.h"
#include "http/limits.h"

// Sans-I/O HTTP/2 (RFC 9113), both roles: bytes in, events out; messages in, frames out. One thread.
namespace weir::http2 {

enum class Role : std::uint8_t { server, client };

// RFC 9113 7.
enum class ErrorCode : std::uint32_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  flow_control_error = 0x3,
  settings_timeout = 0x4,
  stream_closed = 0x5,
  frame_size_error = 0x6,
  refused_stream = 0x7,
  cancel = 0x8,
  compression_error = 0x9,
  connect_error = 0xa,
  enhance_your_calm = 0xb,
  inadequate_security = 0xc,
  http_1_1_required = 0xd,
};
std::string_view to_string(ErrorCode code);

// Which hostile pattern ended a connection; each has a counter of its own with the owner.
enum class Abuse : std::uint8_t {
  none,
  rapid_reset,      // streams that the peer resets, or makes us reset, much faster than they are served
  continuation,     // too many or endless CONTINUATIONs, or a block above what its limits can need
  empty_frames,     // DATA, HEADERS or CONTINUATION frames without content that end nothing
  settings,         // SETTINGS and their acknowledgements
  ping,
  reset,            // RST_STREAM of idle streams' kin
  window_update,    // WINDOW_UPDATEs that change next to nothing
  priority,
  unread_output,    // answers that the peer makes us queue and does not read (control frames above their limit)
};
std::string_view to_string(Abuse abuse);

struct SessionLimits {
  std::uint32_t concurrent_streams = 100;           // that the peer may open at once (server)
  http::HeadLimits head;                            // of what is received
  std::uint32_t stream_window_bytes = 64 * 1024;    // what a stream starts with
  std::uint32_t stream_window_bytes_max = 16 * 1024 * 1024;  // what it may grow to
  std::uint32_t grown_bytes_max = 32 * 1024 * 1024;          // by which all streams' windows may have grown together
  std::uint32_t frame_bytes_max = 16 * 1024;        // SETTINGS_MAX_FRAME_SIZE that we announce
  std::uint32_t table_bytes = kDefaultTableBytes;   // SETTINGS_HEADER_TABLE_SIZE that we announce
  std::uint32_t resets_per_window = 200;            // rapid reset: so many in a window that are not matched by answers
  std::uint32_t control_frames_per_window = 1000;   // SETTINGS, PING, PRIORITY, empty ones: so many
  Duration window = 10s;
  std::uint32_t control_bytes_max = 64 * 1024;      // of our own answers that the peer does not read
  bool extended_connect = true;                     // offer RFC 8441 (server)
};

struct SendTag;
struct StreamTag;

// The session's part of one stream: a base of what the owner keeps for it. It must outlive its place in the session
// (attach or open, until detached) and be destroyed at the end of a turn, not within a call.
class SessionStream : public ListNode<SendTag>, public ListNode<StreamTag> {
 public:
  explicit SessionStream(BufferPool& pool) : pending_(pool) {}
  SessionStream(const SessionStream&) = delete;
  SessionStream& operator=(const SessionStream&) = delete;

  std::uint32_t id() const { return id_; }
  // Body bytes given to send_body() that wait for windows or for their turn.
  std::size_t pending() const { return pending_.size(); }
  // Both sides are finished or reset, or the session is gone: the owner may forget it.
  bool detached() const { return !attached_; }
  bool remote_done() const { return remote_done_; }
  bool local_done() const { return local_done_; }

 protected:
  ~SessionStream() = default;

 private:
  friend class Session;
  Buffer pending_;
  http::RequestHead* request_ = nullptr;    // server: where the head goes
  http::ResponseHead* response_ = nullptr;  // client: where the head goes
  http::FieldList* trailers_ = nullptr;
  const http::FieldList* trailers_to_send_ = nullptr;
  TimePoint window_began_{};
  std::uint64_t body_expected_ = UINT64_MAX;  // content-length, counted against DATA
  std::uint64_t body_received_ = 0;
  std::int64_t send_window_ = 0;
  std::int64_t receive_window_ = 0;       // what the peer may still send
  std::uint32_t receive_window_size_ = 0;  // what it is restored to
  std::uint32_t consumed_ = 0;            // not yet given back
  std::uint32_t id_ = 0;
  std::uint8_t urgency_ = 3;  // RFC 9218
  bool incremental_ = false;
  bool attached_ = false;
  bool head_received_ = false;
  bool answers_head_ = false;
  bool end_queued_ = false;
  bool local_done_ = false;
  bool remote_done_ = false;
};

enum class Event : std::uint8_t {
  need_more,      // everything usable was consumed: go on when more has come
  stream_begins,  // server: a request. The owner calls attach() or refuse() before the next call of next()
  head,           // the stream's head is complete (client: also each 1xx)
  body,           // `body` is a piece of the stream's body, within the input; give it back by consumed()
  end,            // the peer's message is complete; trailers were filled in if it had any
  reset,          // the peer has reset the stream (`error`), which is detached
  malformed,      // server: the request can't be passed on (`detail`): answer 400 (or 414, 431: `block_error`) or reset();
                  //   client: the response is broken; the stream was reset and is detached
  unprocessed,    // client: GOAWAY said that the peer has not processed the stream, or it was refused; detached
  writable,       // the stream's pending() has come down to the low watermark or below
  settings,       // the peer's SETTINGS came: concurrent_streams(), extended_connect() may have changed
  going_away,     // the peer sent GOAWAY: no new streams. Once for each frame
  ping_ack,       // the answer to ping()
  error,          // the connection is over: GOAWAY(`error`) is in the output, to be written before closing. `abuse`
};

enum class MalformedKind : std::uint8_t { none, bad_request, uri_too_long, headers_too_large };

struct Step {
  Event event = Event::need_more;
  SessionStream* stream = nullptr;
  std::size_t consumed = 0;  // bytes of the input that are done with, those of `body` included; also with need_more
  std::string_view body = {};
  ErrorCode error = ErrorCode::no_error;
  MalformedKind malformed = MalformedKind::none;
  Abuse abuse = Abuse::none;
  std::string_view detail = {};  // static text, for the log
};

// One connection. Frames are appended to `output`, which is the transport's; the owner writes it once a turn, after
// pump(). No call but next() gives events, and none calls back.
class Session {
 public:
  static constexpr std::size_t kLowWatermark = 16 * 1024;
  // Body bytes enter the output while it holds less than this.
  static constexpr std::size_t kOutputBytes = 64 * 1024;
  static constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

  // A client's preface and our SETTINGS go out at once.
  Session(Role role, const SessionLimits& limits, BufferPool& pool, Buffer& output, TimePoint now);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // Feed it the unread input again and again: each call gives one event. What is not consumed must be handed in again
  // with more behind it (at most a frame header and what its frame needs in one piece: all but DATA). `now` is the
  // turn's time. Input may be empty: events that wait (writable, unprocessed) come too.
  Step next(std::string_view input, TimePoint now);
  // True if next() has an event to give without input.
  bool has_events() const;

  // After stream_begins: where the request goes. `head` and `trailers` must be clear, and live as long as `stream`.
  void attach(SessionStream& stream, http::RequestHead& head, http::FieldList& trailers);
  // After stream_begins: the block is read, the stream reset.
  void refuse(ErrorCode code);

  // Client: opens a stream and sends the head; can_open() must hold. What is received goes to `into` and `trailers`.
  // `end`: no body follows. `scheme` is "http" or "https".
  void open(SessionStream& stream, const http::RequestHead& head, std::string_view scheme, bool end,
            http::ResponseHead& into, http::FieldList& trailers);
  // The peer's SETTINGS_MAX_CONCURRENT_STREAMS leaves room, it is not going away and ids are left.
  bool can_open() const;

  // Server: a response's head, any number of 1xx first. `end`: no body follows.
  void send_head(SessionStream& stream, const http::ResponseHead& head, bool end);
  // Body bytes are copied: to the output if windows and its fill allow, else to pending().
  void send_body(SessionStream& stream, std::string_view data);
  // The message is complete; `trailers` may be null and must live until the stream is detached. A server's stream is
  // detached once all is in the output and the peer's side is done; if the peer's is not, RST_STREAM(NO_ERROR) tells it
  // (RFC 9113 8.1) unless `keep_reading`. Without `keep_reading` the head and the trailers that attach() was given are
  // not written to any more: the stream's body may still come (and is to be dropped), nothing else of it is told.
  void send_end(SessionStream& stream, const http::FieldList* trailers, bool keep_reading = false);
  // Resets and detaches; nothing if it is detached already.
  void reset(SessionStream& stream, ErrorCode code);
  // `bytes` of the body were passed on: windows may be opened again, and grow to what the path needs.
  void consumed(SessionStream& stream, std::size_t bytes, TimePoint now);

  // Moves what waits into the output, by urgency and then in turn, as windows and kOutputBytes allow. Before each write.
  void pump();

  // GOAWAY with the highest id, then, by the second call, with the last one that was processed (RFC 9113 6.8).
  void go_away(ErrorCode code, bool final);
  void ping();

  std::size_t streams() const;  // attached ones
  std::uint32_t concurrent_streams() const;  // what the peer allows (client)
  bool extended_connect() const;             // the peer offers RFC 8441 (client)
  bool settings_received() const;
  // A header block has begun and its END_HEADERS has not come: what the owner's header_timeout watches, beside input
  // that is no whole frame.
  bool in_header_block() const;
  // Streams of the peer that next() refused above concurrent_streams, so far (server).
  std::uint64_t refused_streams() const;
  bool going_away() const;  // the peer's GOAWAY was received
  bool broken() const;      // Event::error was given
  // Streams in the order they were opened; `f` must not detach them.
  template <typename F>
  void for_each(F&& f);

 private:
  // The session's state: kept by whoever implements it.
};

}  // namespace weir::http2
