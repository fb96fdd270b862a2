#include "net/handshake_queue.h"

namespace weir {

void HandshakeQueue::begin_turn() {
  if (loop_.turn() == turn_) return;
  turn_ = loop_.turn();
  left_ = kPerTurn;
}

void HandshakeQueue::request(Handshaking& connection) {
  if (connection.ListNode<HandshakeTag>::linked()) return;
  begin_turn();
  if (left_ == 0 || !waiting_.empty()) return request_later(connection);
  --left_;
  connection.step();
}

void HandshakeQueue::request_later(Handshaking& connection) {
  if (!connection.ListNode<HandshakeTag>::linked()) waiting_.push_back(connection);
  loop_.mark_ready(*this);
}

void HandshakeQueue::resume() {
  begin_turn();
  // Who asks again from within its step waits for the next turn.
  IntrusiveList<Handshaking, HandshakeTag> due;
  due.splice_back(waiting_);
  while (left_ > 0) {
    Handshaking* connection = due.pop_front();
    if (connection == nullptr) break;
    --left_;
    connection->step();
  }
  due.splice_back(waiting_);
  waiting_.splice_back(due);
  if (!waiting_.empty()) loop_.mark_ready(*this);
}

}  // namespace weir
