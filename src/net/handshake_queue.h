#pragma once

#include <cstddef>

#include "base/intrusive_list.h"
#include "net/event_loop.h"

namespace weir {

struct HandshakeTag;

// A connection in its handshake.
class Handshaking : public ListNode<HandshakeTag> {
 public:
  // Goes on with it as far as the bytes that are there allow.
  virtual void step() = 0;

 protected:
  ~Handshaking() = default;
};

// Lets a turn of the loop compute so many steps of handshakes and no more, first come first served: a signature takes
// as long as hundreds of requests, and a thousand clients at once must not hold up those who are through. One thread.
class HandshakeQueue final : public Resumable {
 public:
  static constexpr std::size_t kPerTurn = 8;

  explicit HandshakeQueue(EventLoop& loop) : loop_(loop) {}
  HandshakeQueue(const HandshakeQueue&) = delete;
  HandshakeQueue& operator=(const HandshakeQueue&) = delete;

  // Calls step() at once, or in a later turn.
  void request(Handshaking& connection);
  // Not before the next turn.
  void request_later(Handshaking& connection);

 private:
  void resume() override;
  void begin_turn();

  EventLoop& loop_;
  IntrusiveList<Handshaking, HandshakeTag> waiting_;
  std::uint64_t turn_ = 0;
  std::size_t left_ = kPerTurn;
};

}  // namespace weir
