#include "proxy/downstream.h"

#include "proxy/context.h"

namespace weir::proxy {

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
  ListNode<DownstreamTag>::unlink();
  listener_->active_connections->add(-1);
  listener_->settings->shared.connections().fetch_sub(1, std::memory_order_relaxed);
  context_.connections_gauge->add(-1);
  context_.environment.board->remove(context_.environment.index);
}

bool Downstream::to_be_drained() const {
  return listener_->draining || context_.draining;
}

}  // namespace weir::proxy
