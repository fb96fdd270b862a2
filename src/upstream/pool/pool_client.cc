// The pool's part for backends that are told of clients: below the backend's pool each client's connection has one of
// its own.
#include <array>
#include <utility>

#include "upstream/pool/pool.h"

namespace weir {

ClientPools::ClientPools() = default;
ClientPools::~ClientPools() = default;

void ClientPools::finish() {
  while (Pool* pool = pools_.pop_front()) pool->part_from_client();
}

Pool::Pool(Pool& above, ClientPools& client, const ProxiedEnds& ends)
    : context_(above.context_), cluster_(above.cluster_), backend_(above.backend_), above_(&above) {
  std::array<char, kProxyWrittenBytesMax> room;
  opening_ = write_proxy_header(*cluster_->proxy_protocol, ends, room);
  above.below_.push_back(*this);
  client.pools_.push_back(*this);
}

Pool* Pool::find_for(ClientPools& client) {
  Pool* found = nullptr;
  client.pools_.for_each([&](Pool& pool) {
    if (pool.above_ == this && !pool.retired_) found = &pool;
  });
  return found;
}

Pool& Pool::make_for(ClientPools& client, const ProxiedEnds& ends) {
  return *new Pool(*this, client, ends);
}

// A connection of its own may still be lent in this turn, to a stream that is about to end.
void Pool::part_from_client() {
  ListNode<BelowTag>::unlink();
  retire();
  while (!connecting_.empty()) drop(connecting_.front());
  context_.loop->retire(*this);
}

// A client's pool of which nothing is left goes at the end of the turn: a client may stay for long, and use many
// backends once.
void Pool::note_unused() {
  if (above_ != nullptr && unused()) context_.loop->retire(*this);
}

void Pool::destroy() {
  const bool kept = ListNode<BelowTag>::linked() && !unused();  // it has been used again
  if (!kept) delete this;
}

// Connections say now what they did not say before, or the other way round.
void Pool::start_anew() {
  ++epoch_;
  close_idle();
  finish_http2();
  while (!connecting_.empty()) drop(connecting_.front());
  if (anybody_waits()) context_.loop->mark_ready(*this);
  below_.for_each([](Pool& pool) { pool.retire(); });
}

void Pool::note_idle(IdleConnection& connection) {
  context_.idle.push_back(connection);
  top().idle_of_all_.push_back(connection);
}

void Pool::note_busy(IdleConnection& connection) {
  connection.ListNode<IdleTag>::unlink();
  connection.ListNode<IdleOfAllTag>::unlink();
}

void Pool::count_connection(int change) {
  total_ += static_cast<std::size_t>(change);
  if (above_ == nullptr) return;
  above_->total_below_ += static_cast<std::size_t>(change);
  note_unused();
}

// One question for all of a backend's pools at a time.
UpstreamFailure Pool::ask_other_workers() {
  if (reclaiming_) return UpstreamFailure::none;
  const bool all_here = backend_->connections() <= top().total_ + top().total_below_;
  if (context_.events == nullptr || retired_ || all_here) return UpstreamFailure::overloaded;
  reclaiming_ = true;
  if (above_ != nullptr && std::exchange(above_->reclaiming_, true)) return UpstreamFailure::none;
  context_.events->reclaim_idle(cluster_->name, backend_);
  return UpstreamFailure::none;
}

// Each call may end the client's connection, and with it any of the pools.
void Pool::tell_below_of_reclaimed(std::size_t closed) {
  IntrusiveList<Pool, BelowTag> told;
  told.splice_back(below_);
  while (Pool* pool = told.pop_front()) {
    below_.push_back(*pool);
    if (pool->reclaiming_) pool->reclaimed(closed);
  }
}

}  // namespace weir
