#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "answer.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "http/http1/decoder.h"
#include "net/event_loop.h"
#include "shared.h"

namespace weir::backend {

// One client that speaks HTTP/1, or is found not to by its first bytes. Requests are answered in order; several that
// came together leave in one write. Reading stops while more than kOutputHigh bytes wait to be sent. Idle, it holds no
// buffer. One thread.
class BackendConnection final : public ServerConnection,
                                private ReadinessHandler,
                                private Flushable,
                                private Resumable,
                                private TimerHandler,
                                private Retired {
 public:
  static constexpr std::size_t kOutputHigh = 256 * 1024;

  BackendConnection(Shared& shared, ConnectionOwner& owner, SocketId socket);
  ~BackendConnection() override;

  // Begins to serve. Watches the socket; closes itself if that is impossible.
  void start();

 private:
  enum class State : std::uint8_t {
    reading,    // heads and bodies
    delaying,   // the answer waits for its time
    sending,    // a body of /bytes: nothing is read
    finishing,  // what is left of the output, then lingering
    lingering,  // shut down; discards what still comes
    closed,
  };

  void on_ready(Readiness readiness) override;
  void flush() override;
  void resume() override;
  void on_timer(Timer& timer) override;
  void destroy() override;

  void process();
  bool read_more();
  bool look_for_preface(std::string_view input);
  void decode(std::string_view input);
  std::size_t decode_some(std::string_view input);
  void on_head();
  void on_body(std::string_view piece);
  void on_end();
  bool delay();
  void after_delay();
  void begin_echo();
  void answer();
  void answer_hash();
  void write_head(int status, std::string_view content_type, std::uint64_t length, bool chunked = false);
  void reply(int status, std::string_view content_type, std::string_view body);
  void message_done();
  bool write_pattern();
  void linger();
  void discard();
  void close();
  bool blocked() const { return state_ != State::reading || output_.size() >= kOutputHigh; }

  Shared& shared_;
  ConnectionOwner& owner_;
  EventLoop& loop_;
  SocketId socket_;
  State state_ = State::reading;
  bool undecided_;          // the first bytes may turn out to be HTTP/2's preface
  bool paused_ = false;     // stopped reading although more may be there
  bool computed_ = false;   // an answer to /hash waits to be written
  bool peer_gone_ = false;  // an edge told of a FIN
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  bool head_only_ = false;
  bool echoing_ = false;  // the body is being sent back
  bool echo_chunked_ = false;
  bool fails_ = false;   // drawn: this one answers 500
  bool at_end_ = false;  // the request's end has been read
  std::uint64_t echo_length_ = 0;
  std::uint64_t bytes_left_ = 0;  // of the pattern
  std::uint64_t bytes_sent_ = 0;
  std::size_t discarded_ = 0;
  Wish wish_;
  std::string input_;  // read and not decoded yet
  Arena arena_;
  http::RequestHead head_;
  http::FieldList trailers_;
  http1::RequestDecoder decoder_;
  Buffer output_;
  Timer timer_;
};

}  // namespace weir::backend
