#pragma once

#include <algorithm>
#include <cstddef>

#include "base/intrusive_list.h"
#include "http/http2/session.h"

namespace weir::proxy {

struct HoldingTag;

// A client's connection that holds responses back: its windows do, or its socket.
class ResponseHolder : public ListNode<HoldingTag> {
 public:
  // As it was last settled.
  std::size_t held_bytes() const { return held_bytes_; }
  // Something of it is counted.
  bool counted() const { return held_bytes_ > 0 || own_bytes_ > 0; }
  // Ends streams that hold some until `wanted` bytes are free, the oldest first, and settles. Returns how many bytes
  // that freed.
  virtual std::size_t cut_held(std::size_t wanted) = 0;

 protected:
  ~ResponseHolder() { WEIR_ASSERT(!counted()); }

 private:
  friend class HeldResponses;
  std::size_t held_bytes_ = 0;
  std::size_t held_streams_ = 0;
  std::size_t own_bytes_ = 0;
};

// What one worker keeps of responses that the HTTP/2 clients of one listener don't take, and what is done about it: as
// soon as there is some, little is read for streams whose windows are shut; above the limit streams are cut, those of
// connections that have no less than the average, who has had some for longest first. A connection's only held stream
// is cut last, unless it is a large one. One thread.
class HeldResponses {
 public:
  // Counted for each held stream, beside its body: its request, and the smallest piece of a buffer.
  static constexpr std::size_t kStreamBytes = 10 * 1024 + 512;
  // For a stream whose windows are shut, once something is held.
  static constexpr std::size_t kNarrowBytes = 1024;

  // Bodies that wait in the sessions, for whatever: as it is in the middle of a turn.
  http2::PendingTotal pending;
  // ... and at the backends' connections.
  std::size_t upstream_bytes = 0;

  // Much waits: nothing is read ahead for who does not take it.
  bool tight(std::size_t limit) const {
    return pending.bytes + upstream_bytes + pending.streams * kStreamBytes > limit / 32;
  }

  // Requests whose answers are going to be held: their clients said so when they asked.
  std::size_t begun = 0;
  // One more of these is one too many.
  bool refuses(std::size_t limit) const { return above(limit) || (begun + 1) * kStreamBytes > limit - limit / 4; }

  // `holder` holds `bytes` for shut windows and its socket now, of so many streams. `own`: what waits for its socket
  // besides, as for any slow client's: no stream is cut for that, but it leaves less for what others hold.
  void settle(ResponseHolder& holder, std::size_t bytes, std::size_t streams, std::size_t own = 0);
  // Its socket took something: others go first now.
  void note_progress(ResponseHolder& holder);
  // So near to the limit that one turn more, and what is not counted, might go beyond.
  bool above(std::size_t limit) const { return counted(limit) > limit - limit / 4; }
  std::size_t bytes() const { return bytes_; }
  // Cuts streams until there is room again.
  void relieve(std::size_t limit);

 private:
  // There is always room for more than what is the connections' own.
  std::size_t counted(std::size_t limit) const { return bytes_ + std::min(own_bytes_, limit / 16 * 9); }
  ResponseHolder& next_victim(std::size_t limit);

  IntrusiveList<ResponseHolder, HoldingTag> holders_;  // who has held something for longest first
  std::size_t holder_count_ = 0;
  std::size_t bytes_ = 0;
  std::size_t own_bytes_ = 0;
};

}  // namespace weir::proxy
