#pragma once

#include <algorithm>

#include "http/http2/session.h"

namespace weir::http2 {

// When a stream's body last went somewhere: its connection's socket carries other streams' bytes too, and what is
// silent is the stream.
class SendProgress {
 public:
  explicit SendProgress(TimePoint now) : last_(now) {}

  // Body bytes were given to the session.
  void given(const SessionStream& stream, const Session& session, TimePoint now) {
    pending_seen_ = stream.pending();
    written_seen_ = session.written();
    last_ = now;
  }
  // `written_at`: when the socket last took something of the connection's output. Exact where nobody else uses the
  // connection; else what moved since the last call may have moved a little earlier than is said.
  TimePoint last(const SessionStream& stream, const Session& session, TimePoint written_at) {
    // Something of what waited for its window went, or of what was in the output when the window closed.
    const std::uint64_t written = session.written();
    const bool in_output = stream.data_end() > written_seen_ && written > written_seen_;
    if (stream.pending() < pending_seen_ || in_output) last_ = std::max(last_, written_at);
    pending_seen_ = stream.pending();
    written_seen_ = written;
    // What waits for its turn, not for its own window, goes as the socket goes.
    const bool window_open = stream.pending() == 0 || static_cast<const ListNode<SendTag>&>(stream).linked();
    return window_open ? std::max(last_, written_at) : last_;
  }

 private:
  TimePoint last_;
  std::size_t pending_seen_ = 0;
  std::uint64_t written_seen_ = 0;
};

}  // namespace weir::http2
