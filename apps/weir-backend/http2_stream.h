#pragma once

#include <cstdint>
#include <string_view>

#include "answer.h"
#include "base/arena.h"
#include "http/http2/session.h"
#include "net/event_loop.h"
#include "shared.h"

namespace weir::backend {

class Http2Connection;
struct OwnedTag;

// One request and its answer on an HTTP/2 connection. Made from the server's slab when the request begins, destroyed at
// the end of the turn in which the session was done with it. One thread.
class Http2Stream final : public http2::SessionStream,
                          public ListNode<OwnedTag>,
                          private TimerHandler,
                          private Retired {
 public:
  Http2Stream(Http2Connection& connection, Shared& shared);
  ~Http2Stream() = default;

  http::RequestHead& head() { return head_; }
  http::FieldList& trailers() { return trailers_; }

  // As the session tells it.
  void on_head();
  void on_body(std::string_view data);
  void on_end();
  void on_malformed(http2::MalformedKind kind, std::string_view detail);
  void on_writable();
  // The session is done with it, or must be.
  void over();

 private:
  void on_timer(Timer& timer) override;
  void destroy() override;

  bool delay();
  void answer();
  void answer_hash();
  void begin_echo();
  void echo(std::string_view data);
  void send_pattern();
  void send_head(int status, std::string_view content_type, bool with_length, std::uint64_t length, bool end);
  void reply(int status, std::string_view content_type, std::string_view body);
  void end(const http::FieldList* trailers);

  Http2Connection& connection_;
  Shared& shared_;
  Timer timer_;
  Arena arena_;
  http::RequestHead head_;
  http::FieldList trailers_;
  Buffer waiting_;  // of an echo whose head is being delayed
  Wish wish_;
  std::uint64_t bytes_left_ = 0;  // of the pattern
  std::uint64_t bytes_sent_ = 0;
  std::size_t held_ = 0;  // body bytes that were not given back yet: they wait to be sent
  bool echoing_ = false;
  bool head_out_ = false;
  bool fails_ = false;
  bool at_end_ = false;
  bool over_ = false;
};

}  // namespace weir::backend
