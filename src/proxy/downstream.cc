#include "proxy/downstream.h"

#include "proxy/context.h"

namespace weir::proxy {

bool BodyPace::too_slow(std::size_t bytes, std::uint64_t bytes_per_s_min, TimePoint now) {
  bytes_ += bytes;
  if (now - began_ < kWindow) return false;
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const bool slow = static_cast<double>(bytes_) < static_cast<double>(bytes_per_s_min) * seconds;
  begin(now);
  return slow;
}

Downstream::Downstream(WorkerContext& context, LocalRef<ListenerRuntime> listener, const ConnectionFacts& facts)
    : context_(context), listener_(std::move(listener)), facts_(facts) {
  listener_->active_connections->add(1);
  context_.connections_gauge->add(1);
  context_.open.push_back(*this);
}

Downstream::Downstream(Downstream& predecessor)
    : context_(predecessor.context_), listener_(predecessor.listener_), facts_(predecessor.facts_) {
  predecessor.ListNode<DownstreamTag>::unlink();
  context_.open.push_back(*this);
}

void Downstream::leave() {
  if (pools_ != nullptr) pools_->finish();
  ListNode<DownstreamTag>::unlink();
  listener_->active_connections->add(-1);
  listener_->settings->shared.connections().fetch_sub(1, std::memory_order_relaxed);
  context_.connections_gauge->add(-1);
  context_.environment.board->remove(context_.environment.index);
}

ProxiedEnds Downstream::ends() const {
  ProxiedEnds ends{true, facts_.peer, {}, facts_.peer_port, 0};
  if (facts_.local) {
    ends.destination = facts_.local->address;
    ends.destination_port = facts_.local->port;
  }
  if (ends.destination.family != IpAddress::Family::none) return ends;
  if (socket() == kNoSocket) return {};
  const Result<SocketAddress> local = context_.loop.engine().local_address(socket());
  if (!local) return {};
  ends.destination = local->ip;
  ends.destination_port = local->port;
  return ends;
}

bool Downstream::to_be_drained() const {
  return listener_->draining || context_.draining;
}

}  // namespace weir::proxy
