#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/arena.h"
#include "base/assert.h"
#include "base/buffer.h"
#include "base/intrusive_list.h"
#include "base/time.h"
#include "http/head.h"
#include "http/http2/flood_guard.h"
#include "http/http2/frame.h"
#include "http/http2/hpack.h"
#include "http/http2/id_table.h"
#include "http/http2/limits.h"
#include "http/http2/message.h"
#include "http/http2/priority.h"
#include "http/http2/stream_state.h"

// Sans-I/O HTTP/2 (RFC 9113), both roles: bytes in, events out; messages in, frames out. One thread. Who owns what and
// when a stream may go is in LIFECYCLE.md beside this file.
namespace weir::http2 {

enum class Role : std::uint8_t { server, client };

enum class Event : std::uint8_t {
  need_more,      // everything usable was consumed: go on when more has come
  stream_begins,  // server: a request. The owner calls attach() or refuse() before the next call of next()
  head,           // the stream's head is complete (client: also each 1xx)
  body,           // `body` is a piece of the stream's body, within the input; give it back by consumed()
  end,            // the peer's message is complete; trailers were filled in if it had any
  reset,        // the peer has reset the stream (`error`), or (server) it broke the rules of it after its head, so that
                //   we did (`detail` says which); it is detached. A client gets it with no_error when the server needs
                //   no more of the request: the response may be complete already
  malformed,    // server: the request can't be passed on (`malformed`, `detail`): answer 400 (or 414, 431) or reset();
                //   nothing more comes from it. Client: the response is broken; the stream was reset and is detached
  unprocessed,  // client: GOAWAY said that the peer has not processed the stream, or it was refused; detached
  writable,     // the stream's pending() has come down to the low watermark or below
  closed,       // the last of what send_end() had to leave waiting has gone into the output, by next() or pump(), and
                //   the peer's side is done: the stream is detached. Not where send_end() itself has detached it, nor
                //   where another event tells of it
  settings,     // the peer's SETTINGS came: concurrent_streams(), extended_connect() may have changed
  going_away,   // the peer sent GOAWAY: no new streams. Once for each frame
  ping_ack,     // the answer to ping()
  priority,     // server: the client has changed the stream's urgency
  error,        // the connection is over: GOAWAY(`error`) is in the output, to be written before closing. `abuse`
};

enum class MalformedKind : std::uint8_t { none, bad_request, uri_too_long, headers_too_large };

struct SendTag;
struct StreamTag;
struct EventTag;

// The session's part of one stream: a base of what the owner keeps for it. It must outlive its place in the session
// (attach or open, until detached) and be destroyed at the end of a turn, not within a call.
class SessionStream : public ListNode<SendTag>, public ListNode<StreamTag>, public ListNode<EventTag> {
 public:
  explicit SessionStream(BufferPool& pool) : pending_(pool) {}
  SessionStream(const SessionStream&) = delete;
  SessionStream& operator=(const SessionStream&) = delete;

  std::uint32_t id() const { return id_; }
  std::uint8_t urgency() const { return urgency_; }  // RFC 9218: 0 comes first, 7 last
  // Body bytes given to send_body() that wait for windows or for their turn.
  std::size_t pending() const { return pending_.size(); }
  // Where in Session::written() its last DATA ends: beyond that, the peer has not been given all of it yet.
  std::uint64_t data_end() const { return data_end_; }
  // Both sides are finished or reset, or the session is gone: the owner may forget it.
  bool detached() const { return !attached_; }
  // The peer's message is complete or will never be.
  bool remote_done() const { return state_ != StreamState::open && state_ != StreamState::half_closed_local; }
  // Ours is: its END_STREAM is in the output.
  bool local_done() const { return state_ != StreamState::open && state_ != StreamState::half_closed_remote; }
  StreamState state() const { return state_; }

 protected:
  ~SessionStream() { WEIR_ASSERT(!attached_); }

 private:
  friend class Session;

  // As new: an object may be attached again after it was detached.
  void begin(std::uint32_t id);

  Buffer pending_;
  http::RequestHead* request_ = nullptr;    // server: where the head goes
  http::ResponseHead* response_ = nullptr;  // client: where the head goes
  http::FieldList* trailers_ = nullptr;
  const http::FieldList* trailers_to_send_ = nullptr;
  TimePoint window_began_{};
  std::uint64_t body_expected_ = UINT64_MAX;  // content-length, counted against DATA
  std::uint64_t body_received_ = 0;
  std::uint64_t data_end_ = 0;
  std::int64_t send_window_ = 0;
  std::int64_t receive_window_ = 0;        // what the peer may still send
  std::uint32_t receive_window_size_ = 0;  // what it is restored to
  std::uint32_t consumed_ = 0;             // not yet given back
  std::uint32_t measured_ = 0;             // consumed since window_began_
  std::uint32_t id_ = 0;
  StreamState state_ = StreamState::idle;
  Event queued_event_ = Event::need_more;  // what the list of events says of it
  std::uint8_t urgency_ = 3;               // RFC 9218
  std::uint8_t interim_heads_ = 0;
  bool incremental_ = true;  // shares with its equals until a priority says otherwise
  bool attached_ = false;
  bool head_received_ = false;
  bool head_sent_ = false;  // a final one
  bool answers_head_ = false;
  bool asks_for_tunnel_ = false;
  bool deaf_ = false;         // server: what still comes is dropped
  bool bad_request_ = false;  // server: the answer is followed by PROTOCOL_ERROR
  bool end_queued_ = false;
  bool keep_reading_ = false;
  bool tell_writable_ = false;
  bool can_wait_ = false;          // counted in in_turn(stream)
  std::uint32_t writable_at_ = 0;  // how little must wait then
};

// Body bytes that wait in sessions for the windows or the socket of their peers.
struct PendingTotal {
  std::size_t bytes = 0;
  std::size_t streams = 0;  // that have some
};

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
// pump(). No call but next() gives events, and none calls back. Calls for a detached stream, and all but next() of a
// broken session, do nothing.
class Session {
 public:
  static constexpr std::size_t kLowWatermark = 16 * 1024;
  // Body bytes enter the output while it holds less than this.
  static constexpr std::size_t kOutputBytes = 64 * 1024;
  static constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

  // A client's preface and our SETTINGS go out at once. Nothing but the session may append to `output` from then on.
  Session(Role role, const SessionLimits& limits, BufferPool& pool, Buffer& output, TimePoint now);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  // Detaches all streams.
  ~Session();

  // Feed it the unread input again and again: each call gives one event. What is not consumed must be handed in again
  // with more behind it (at most a frame header and what its frame needs in one piece: all but DATA). `now` is the
  // turn's time. Input may be empty: events that wait (writable, unprocessed) come too. Requests are answered into the
  // output: an owner whose output grows must stop feeding until it has been written.
  Step next(std::string_view input, TimePoint now);
  // True if next() has an event to give without input.
  bool has_events() const;

  // After stream_begins: where the request goes. `head` and `trailers` must be clear, and live as long as `stream`.
  void attach(SessionStream& stream, http::RequestHead& head, http::FieldList& trailers);
  // After stream_begins: the block is read, the stream reset.
  void refuse(ErrorCode code);

  // Client: opens a stream and sends the head; can_open() must hold. What is received goes to `into` and `trailers`;
  // `into` is cleared (not its arena) when a further head follows a 1xx. `end`: no body follows. `scheme` is "http" or
  // "https".
  void open(SessionStream& stream, const http::RequestHead& head, std::string_view scheme, bool end,
            http::ResponseHead& into, http::FieldList& trailers);
  // The peer's SETTINGS_MAX_CONCURRENT_STREAMS leaves room, it is not going away and ids are left.
  bool can_open() const;
  // Client: ids for further streams are left.
  bool ids_left() const { return next_id_ <= kStreamIdMax; }

  // Server: a response's head, any number of 1xx first. `end`: no body follows.
  void send_head(SessionStream& stream, const http::ResponseHead& head, bool end);
  // Body bytes are copied: to the output if windows and its fill allow, else to pending().
  void send_body(SessionStream& stream, std::string_view data);
  // The message is complete; `trailers` may be null and must live until the stream is detached. A server's stream is
  // detached once all is in the output and the peer's side is done; if the peer's is not, RST_STREAM(NO_ERROR) tells it
  // (RFC 9113 8.1) unless `keep_reading`. Without `keep_reading` the head and the trailers that attach() was given are
  // not written to any more, and what still comes is dropped: of the stream only `reset` or `closed` is told.
  void send_end(SessionStream& stream, const http::FieldList* trailers, bool keep_reading = false);
  // `writable` comes for the stream once no more than `at_most` bytes of it wait, of which there are more now.
  void tell_when_down_to(SessionStream& stream, std::size_t at_most);
  // Resets and detaches; nothing if it is detached already.
  void reset(SessionStream& stream, ErrorCode code);
  // `bytes` of the body were passed on: windows may be opened again, and grow to what the path needs.
  void consumed(SessionStream& stream, std::size_t bytes, TimePoint now);

  // Moves what waits into the output, by urgency and then in turn, as windows and kOutputBytes allow. Before each
  // write.
  void pump();
  // pump() would move something: after a write that made room, pump and write again.
  bool sendable() const { return !ready_.empty() && send_window_ > 0 && output_.size() < kOutputBytes && !broken(); }

  // GOAWAY with the highest id, then, by the second call, with the last one that was processed (RFC 9113 6.8). What a
  // client opens behind that one is ignored.
  void go_away(ErrorCode code, bool final);
  void ping();
  // What another connection to the same peer was told: taken until this one's SETTINGS come (client). If it is too
  // much, the peer refuses streams unprocessed.
  void expect_concurrent_streams(std::uint32_t count) {
    if (!settings_received_) peer_concurrent_ = count;
  }
  // The connection is idle: without streams, what only makes the next ones cheaper is freed, and what was said of their
  // order.
  void rest();

  // Bytes of the output that its owner has written, since the beginning.
  std::uint64_t written() const { return appended_ - output_.size(); }
  std::size_t streams() const { return table_.size(); }   // attached ones
  std::size_t pending() const { return pending_.bytes; }  // body bytes that wait, of all streams
  // Streams that have some which the peer's windows don't let go, the connection's or their own.
  std::size_t held_streams() const { return send_window_ <= 0 ? pending_.streams : pending_.streams - ready_streams_; }
  bool held(const SessionStream& stream) const {
    return stream.pending() > 0 && (send_window_ <= 0 || !stream.ListNode<SendTag>::linked());
  }
  // Body bytes that wait for nothing but their turn, which comes as the output is written,
  std::size_t in_turn() const { return send_window_ > 0 ? ready_bytes_ : 0; }
  // and those that the stream's have to share with, or let go first, as far as they are of streams that can wait.
  std::size_t in_turn(const SessionStream& stream) const;
  // What comes for the stream can be left where it comes from. Said before its body begins.
  void note_can_wait(SessionStream& stream) {
    WEIR_ASSERT(stream.can_wait_ || stream.pending_.empty());
    stream.can_wait_ = true;
  }
  // What the windows let the stream send beyond what waits; 0 where nothing more would go.
  std::size_t send_room(const SessionStream& stream) const;
  // Streams begin with next to no window: their answers are going to be held.
  bool begins_held() const { return peer_initial_window_ < kSmallWindow; }
  // What waits is counted there too, which must outlive the session.
  void count_pending_in(PendingTotal& total) { total_ = &total; }
  std::uint32_t concurrent_streams() const { return peer_concurrent_; }  // what the peer allows (client)
  bool extended_connect() const { return peer_extended_connect_; }       // the peer offers RFC 8441 (client)
  bool settings_received() const { return settings_received_; }
  bool settings_acknowledged() const { return settings_acknowledged_; }  // ours, by the peer
  bool going_away() const { return peer_going_away_; }                   // the peer's GOAWAY was received
  bool broken() const { return phase_ == Phase::broken; }                // Event::error was given
  std::uint32_t last_stream_id() const { return role_ == Role::server ? last_peer_id_ : next_id_ - 2; }
  // Streams of the peer that next() refused above concurrent_streams, so far (server).
  std::uint64_t refused_streams() const { return refused_streams_; }
  // A header block has begun and its END_HEADERS has not come: what the owner's header_timeout watches, beside input
  // that is no whole frame.
  bool in_header_block() const { return gathering_ != 0; }
  // The last measured round trip; 0 if none was.
  Duration round_trip() const { return round_trip_; }
  // Streams in the order they were opened; `f` may detach the one it is given, but no other.
  template <typename F>
  void for_each(F&& f) {
    streams_.for_each(f);
  }

 private:
  friend struct SessionPeer;  // of tests

  enum class Phase : std::uint8_t {
    preface,
    frames,
    data,   // within DATA, or at a message's end that is still to be told
    skip,   // within a frame that nobody wants
    block,  // a gathered block is complete
    broken,
  };
  enum class Opening : std::uint8_t { none, asked, attached, refused };
  // How streams ended that frames may still come for: the latest, in a ring.
  static constexpr std::size_t kEnded = 32;
  static constexpr std::uint32_t kConcurrentUnsaid = 100;  // streams that a peer allows whose SETTINGS don't say
  static constexpr std::int64_t kSmallWindow = 1024;
  static constexpr std::size_t kDataBytes = 16 * 1024;  // of one DATA frame of ours, at most
  static constexpr std::int64_t kConnectionWindow = 1 << 30;
  static constexpr std::uint32_t kUpdateBytes = 256 * 1024;  // windows are given back at the latest after so much

  // session.cc
  bool fail(Step& step, ErrorCode code, std::string_view detail, Abuse abuse = Abuse::none);
  bool flood(Abuse kind, Step& step, std::string_view detail);
  bool break_stream(SessionStream& stream, ErrorCode code, std::string_view detail, Step& step);
  bool waiting_event(Step& step);
  void tell(SessionStream& stream, Event event);
  void insert(SessionStream& stream, std::uint32_t id);
  void detach(SessionStream& stream, StreamState how);
  void note_ended(std::uint32_t id, StreamState how);
  StreamState ended_state(std::uint32_t id) const;
  bool is_idle(std::uint32_t id) const;
  bool ours(std::uint32_t id) const { return (id % 2 == 1) == (role_ == Role::client); }

  // session_receive.cc: each reads on in `input` from `at`. True: goes on; false: `step` is the outcome.
  bool read_preface(std::string_view input, std::size_t& at, Step& step);
  bool read_frame(std::string_view input, std::size_t& at, Step& step);
  bool read_data(std::string_view input, std::size_t& at, Step& step);
  bool skip(std::string_view input, std::size_t& at);
  bool check_header(const FrameHeader& header, Step& step);
  bool begin_data(const FrameHeader& header, std::string_view input, std::size_t& at, Step& step);
  bool accept_data(SessionStream& stream, const FrameHeader& header, std::uint32_t body, Step& step);
  void end_remote(SessionStream& stream);
  void drop_remote_end(SessionStream& stream);
  void announce_end(SessionStream& stream);
  // Of a whole frame.
  bool on_frame(const FrameHeader& header, std::string_view payload, Step& step);

  // session_blocks.cc
  bool on_headers(const FrameHeader& header, std::string_view payload, Step& step);
  bool on_continuation(const FrameHeader& header, std::string_view payload, Step& step);
  bool read_gathered(Step& step);
  bool on_block(std::uint32_t id, bool end, std::string_view block, Step& step);
  bool on_new_stream(std::uint32_t id, std::string_view block, Step& step);
  bool on_stray_block(std::uint32_t id, std::string_view block, Step& step);
  bool on_request(SessionStream& stream, bool end, std::string_view block, Step& step);
  bool on_response(SessionStream& stream, bool end, std::string_view block, Step& step);
  bool on_trailers(SessionStream& stream, bool end, std::string_view block, Step& step);
  bool discard(std::string_view block, Step& step);
  std::size_t block_bytes_max() const;
  // Only requests have a target.
  std::uint64_t target_bytes_max() const { return role_ == Role::server ? limits_.head.uri_bytes : 0; }

  // session_control.cc
  bool on_settings(const FrameHeader& header, std::string_view payload, Step& step);
  bool apply_setting(Setting setting, std::uint32_t value, Step& step);
  bool apply_initial_window(std::uint32_t value, Step& step);
  bool on_ping(const FrameHeader& header, std::string_view payload, Step& step);
  bool on_goaway(std::string_view payload, Step& step);
  bool on_reset(const FrameHeader& header, std::string_view payload, Step& step);
  bool on_priority(const FrameHeader& header, std::string_view payload, Step& step);
  bool on_priority_update(std::string_view payload, Step& step);
  void put_settings();

  // session_windows.cc
  bool on_window_update(const FrameHeader& header, std::string_view payload, Step& step);
  void received_bytes(std::uint32_t bytes);
  void restore_window(SessionStream& stream);
  void grow_window(SessionStream& stream);
  void probe_round_trip();

  // session_send.cc
  char* put_header(const FrameHeader& header);
  char* put_frame(FrameType type, std::uint8_t flags, std::uint32_t stream, std::size_t bytes);
  void put_number_frame(FrameType type, std::uint32_t stream, std::uint32_t number);
  void put_cancel(std::uint32_t id, ErrorCode code);
  void put_reset(std::uint32_t id, ErrorCode code);
  void put_goaway(std::uint32_t last_id, ErrorCode code, std::string_view detail);
  void put_window_update(std::uint32_t stream, std::uint32_t bytes);
  template <typename Encode>
  void put_block(SessionStream& stream, bool end, Encode&& encode);
  void split_block(char* header, std::size_t begin, FrameHeader first);
  std::size_t data_allowed(const SessionStream& stream, std::size_t wanted) const;
  void put_data_header(SessionStream& stream, std::size_t bytes, bool end);
  void move_pending(SessionStream& stream);
  void finish_local(SessionStream& stream);
  void end_local(SessionStream& stream);
  void make_ready(SessionStream& stream);
  void leave_ready(SessionStream& stream);
  void count_pending(const SessionStream& stream, std::size_t before);
  void count_ready(const SessionStream& stream, std::size_t bytes);
  void remember_frame(SessionStream& stream, char* header);
  bool patch_end(const SessionStream& stream);
  void note_control(std::size_t bytes);

  SessionLimits limits_;
  BufferPool& pool_;
  Buffer& output_;
  HpackDecoder decoder_;
  HpackEncoder encoder_;
  IdTable<SessionStream> table_;
  IntrusiveList<SessionStream, StreamTag> streams_;
  IntrusiveList<SessionStream, SendTag> ready_;  // with pending() and an open window; by urgency, then as pump() wants
  IntrusiveList<SessionStream, EventTag> events_;
  Buffer block_;  // of HEADERS without END_HEADERS, and its CONTINUATIONs
  FloodGuard floods_;

  TimePoint now_;
  TimePoint probe_sent_{};  // the SETTINGS or PING whose answer measures the round trip
  Duration round_trip_{};
  std::int64_t send_window_ = kInitialWindow;
  std::int64_t receive_window_ = kConnectionWindow;
  std::int64_t peer_initial_window_ = kInitialWindow;
  PendingTotal pending_;
  PendingTotal* total_ = nullptr;                  // of several sessions
  std::size_t ready_streams_ = 0;                  // the length of ready_
  std::size_t ready_bytes_ = 0;                    // pending() of all that are in it
  std::array<std::uint32_t, 8> ready_bytes_of_{};  // ... of those that can wait, by urgency
  std::uint64_t appended_ = 0;                     // to the output, ever
  std::uint64_t control_mark_ = 0;                 // once this was written, control_unread_ begins anew
  std::uint32_t control_unread_ = 0;
  std::uint32_t grown_bytes_ = 0;
  std::uint32_t peer_frame_bytes_ = kFrameBytesMin;
  std::uint32_t peer_concurrent_ = kConcurrentUnsaid;  // until SETTINGS say, or somebody knows
  std::uint64_t refused_streams_ = 0;

  std::uint32_t next_id_ = 1;               // client
  std::uint32_t last_peer_id_ = 0;          // server
  std::uint32_t goaway_id_ = kStreamIdMax;  // server: streams above it are ignored
  std::uint32_t forgotten_id_ = 0;          // up to here some that we had reset have left the ring
  std::uint32_t ended_[kEnded] = {};        // stream id / 2 * 4 + how

  std::unique_ptr<EarlyPriorities> early_priorities_;  // null: there have been none

  // What is being read.
  SessionStream* data_stream_ = nullptr;  // null: nobody wants it
  std::uint32_t data_left_ = 0;
  std::uint32_t padding_left_ = 0;
  std::uint32_t skip_left_ = 0;
  std::uint32_t gathering_ = 0;  // the stream whose CONTINUATION must come next; 0 for none
  std::uint32_t continuations_ = 0;
  std::uint32_t begin_id_ = 0;

  // END_STREAM may still be set in the frame that ends the output.
  char* last_header_ = nullptr;
  std::size_t last_output_size_ = 0;
  std::uint32_t last_id_ = 0;

  std::uint8_t ended_at_ = 0;  // in ended_
  Role role_;
  Phase phase_;
  Opening opening_ = Opening::none;
  bool gathered_end_ = false;
  bool data_end_ = false;
  bool settings_received_ = false;
  bool settings_acknowledged_ = false;
  bool peer_extended_connect_ = false;
  bool peer_going_away_ = false;
  bool sent_goaway_ = false;
  bool probing_ = true;
};

}  // namespace weir::http2
