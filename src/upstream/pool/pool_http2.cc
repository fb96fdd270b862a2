// The pool's part for connections that many streams share.
#include <algorithm>
#include <utility>

#include "upstream/pool/pool.h"

namespace weir {

namespace {

// How long ago a connection may have been heard of to be used without a look whether it is still open.
constexpr Duration kTrustedSilence = 5ms;

}  // namespace

Pool::Acquired Pool::acquire_http2(UpstreamHandler& handler, bool fresh) {
  const bool tunnel = handler.wants_tunnel();
  // Those that wait already come first.
  if ((tunnel ? waiting_tunnels_ : waiting_) == 0) {
    if (Http2Connection* connection = find_http2(tunnel, fresh)) {
      return {Acquired::Status::ready, &lend(*connection, handler), {}};
    }
  }
  const bool http1_will_do = tunnel || !expects_http2();
  if (http1_will_do && !fresh) {
    if (Http1Connection* connection = take_idle(handler)) return {Acquired::Status::ready, connection, {}};
  }
  return tunnel && expects_http2() ? wait_for_tunnel(handler) : wait(handler, fresh);
}

Http2Connection* Pool::find_http2(bool tunnel, bool fresh) {
  if (cluster_->protocol == UpstreamProtocol::http1) return nullptr;
  for (;;) {
    Http2Connection* best = nullptr;
    const auto order = [](const Http2Connection& connection) {
      return std::pair(connection.too_old(), connection.load());
    };
    http2_open_.for_each([&](Http2Connection& connection) {
      if (best != nullptr && order(*best) <= order(connection)) return;
      if (tunnel && !(connection.settled() && connection.offers_tunnels())) return;
      if (fresh && connection.load() == 0) return;
      best = &connection;
    });
    if (best == nullptr) return nullptr;
    // One that still carries something would keep its place until that ends: it goes only if there is one for another.
    if (best->too_old() && (best->load() == 0 || backend_->connections() < backend_->max_connections())) {
      best->finish_up();
      continue;
    }
    if (best->load() > 0 || context_.loop->now() - best->heard() <= kTrustedSilence) return best;
    best->look();
    if (best->finishing() || best->room() == 0) continue;
    if (!best->doubtful()) return best;
    best->check();
    ++checking_;
    enlist(*best);
  }
}

Http2UpstreamStream& Pool::lend(Http2Connection& connection, UpstreamHandler& handler) {
  ++context_.leases_out;
  if (connection.load() == 0) {
    if (connection.ListNode<IdleTag>::linked()) {
      note_busy(connection);
      http2_gauges_.idle->add(-1);
    }
    http2_gauges_.active->add(1);
    carrying_gauge_->add(1);
  }
  Http2UpstreamStream& stream = connection.lend(handler);
  if (connection.room() == 0) enlist(connection);
  return stream;
}

void Pool::add_http2(UpstreamConnecting& made, Readiness readiness) {
  Http2Connection& connection = *context_.http2_connections.make(*this, made.take_transport());
  http2_gauges().created->add(1);
  if (!connection.start(readiness)) {
    connection.abandon();
    forget();
    fail_waiters(UpstreamFailure::own_trouble, waiting_);
    return fail_tunnel_waiters(UpstreamFailure::own_trouble);
  }
  ++http2_count_;
  enlist(connection);
  serve_waiters(connection);
  if (connection.load() == 0 && !connection.ListNode<IdleTag>::linked() && !connection.gone()) rest(connection);
  drop_surplus();
  if (waiting_ > coming() || waiting_tunnels_ > 0) context_.loop->mark_ready(*this);
}

// As far as it has room. Tunnels wait until it is known whether it can carry them.
void Pool::serve_waiters(Http2Connection& connection) {
  while (!waiters_.empty() && connection.room() > 0) {
    UpstreamHandler* handler = waiters_.pop_front();
    --waiting_;
    if (handler->wants_tunnel() && !(connection.settled() && connection.offers_tunnels())) {
      handler->waits_for_tunnel_ = true;
      tunnel_waiters_.push_back(*handler);
      ++waiting_tunnels_;
      continue;
    }
    handler->on_lease(lend(connection, *handler));
  }
}

// Connections that were begun before it was known that one is enough.
void Pool::drop_surplus() {
  if (waiting_ > 0) return;
  connecting_.for_each([this](UpstreamConnecting& connecting) {
    if (connecting.wish() == ConnectionWish::either || connecting.wish() == ConnectionWish::http2) drop(connecting);
  });
}

Pool::Acquired Pool::wait_for_tunnel(UpstreamHandler& handler) {
  handler.waits_for_tunnel_ = true;
  tunnel_waiters_.push_back(handler);
  ++waiting_tunnels_;
  const UpstreamFailure failure = open_for_tunnels();
  if (failure == UpstreamFailure::none) return {Acquired::Status::pending, nullptr, {}};
  return refuse(handler, failure);
}

void Pool::serve_tunnel_waiters() {
  if (std::exchange(unsettled_lost_, false)) fail_tunnel_waiters(UpstreamFailure::reset);
  while (!tunnel_waiters_.empty()) {
    if (Http2Connection* connection = find_http2(true, false)) {
      UpstreamHandler* handler = tunnel_waiters_.pop_front();
      --waiting_tunnels_;
      handler->on_lease(lend(*connection, *handler));
      continue;
    }
    Http1Connection* connection = find_idle();
    if (connection == nullptr) return;
    serve(*connection, tunnel_waiters_, waiting_tunnels_);
  }
}

// Opens what is missing for them. Over HTTP/2 that is one connection, whose SETTINGS then tell.
UpstreamFailure Pool::open_for_tunnels() {
  if (reclaiming_) return UpstreamFailure::none;
  if (!expects_http2() || backend_->extended_connect() == Backend::ExtendedConnect::no) {
    while (waiting_tunnels_ > connecting_tunnels_) {
      const UpstreamFailure failure = open_connection(ConnectionWish::http1_only);
      if (failure != UpstreamFailure::none || reclaiming_) return failure;
    }
    return UpstreamFailure::none;
  }
  bool undecided = connecting_http2_ + checking_ > 0;
  http2_open_.for_each([&](Http2Connection& connection) { undecided = undecided || !connection.settled(); });
  return undecided ? UpstreamFailure::none : open_connection(ConnectionWish::http2);
}

void Pool::fail_tunnel_waiters(UpstreamFailure failure) {
  UpstreamError error;
  error.failure = failure;
  // Nothing was sent of them yet.
  error.unprocessed = failure == UpstreamFailure::reset;
  while (connecting_http2_ + checking_ == 0 && !reclaiming_ && waiting_tunnels_ > connecting_tunnels_) {
    UpstreamHandler* handler = tunnel_waiters_.pop_front();
    --waiting_tunnels_;
    note_unused();
    handler->on_lease_failed(error);
  }
}

// It carries no stream.
void Pool::rest(Http2Connection& connection) {
  const bool serves_nobody = connection.settled() && connection.room() == 0;
  if (serves_nobody || (retired_ && !anybody_waits())) return connection.close_unused();
  note_idle(connection);
  http2_gauges_.idle->add(1);
  connection.rest_until(deadline_after(context_.loop->now(), keep_for(cluster_->timeouts.idle)));
}

void Pool::on_http2_rested(Http2Connection& connection) {
  if (!awaited(connection)) return connection.close_unused();
  connection.rest_until(deadline_after(context_.loop->now(), keep_for(cluster_->timeouts.idle)));
}

// Into the list that it belongs to.
void Pool::enlist(Http2Connection& connection) {
  connection.ListNode<PoolTag>::unlink();
  (connection.room() > 0 ? http2_open_ : http2_rest_).push_back(connection);
}

void Pool::on_http2_changed(Http2Connection& connection) {
  enlist(connection);
  if (anybody_waits()) context_.loop->mark_ready(*this);
}

void Pool::on_http2_released(Http2Connection& connection) {
  --context_.leases_out;
  if (connection.load() == 0) {
    http2_gauges_.active->add(-1);
    carrying_gauge_->add(-1);
  }
  if (connection.gone()) return;  // on_http2_closed() comes
  if (connection.load() == 0) {
    if (connection.finishing() || connection.crowded()) return connection.close_unused();
    rest(connection);
    if (connection.gone()) return;
  }
  if (connection.room() == 1) enlist(connection);
  if (anybody_waits()) context_.loop->mark_ready(*this);
}

void Pool::on_http2_closed(Http2Connection& connection) {
  connection.ListNode<PoolTag>::unlink();
  if (connection.ListNode<IdleTag>::linked()) {
    note_busy(connection);
    http2_gauges_.idle->add(-1);
  }
  --http2_count_;
  forget();
  // It might have carried tunnels that wait; another that ends as soon would not. They are told by resume(): whoever
  // closes it may be one of them, or walk over them.
  if (!connection.settled() && waiting_tunnels_ > 0) unsettled_lost_ = true;
}

void Pool::on_http2_contradicted() {
  if (cluster_->protocol != UpstreamProtocol::auto_ || backend_->protocol() != SpokenProtocol::http2) return;
  backend_->forget_protocol();
  ask_for_protocol(SpokenProtocol::unknown);
}

void Pool::on_http2_broken(const http2::Step& error) {
  using http2::Abuse;
  const std::string_view kind = error.abuse != Abuse::none ? to_string(error.abuse) : http2::to_string(error.error);
  context_.metrics->counter(observe::Family::kBackendHttp2Abuse, {cluster_->name, backend_->name(), kind})->add(1);
  if (context_.events == nullptr) return;
  std::string reason(kind);
  if (!error.detail.empty()) reason.append(": ").append(error.detail);
  context_.events->http2_broken(cluster_->name, backend_, reason);
}

bool Pool::close_one_idle_http2(IdleHttp2 which) {
  Http2Connection* idle = nullptr;
  const auto look_at = [&](Http2Connection& connection) {
    if (idle != nullptr || connection.load() > 0 || connection.gone()) return;
    if (which == IdleHttp2::any || connection.settled()) idle = &connection;
  };
  http2_open_.for_each(look_at);
  http2_rest_.for_each(look_at);
  if (idle == nullptr) return false;
  idle->close_unused();
  return true;
}

// No further stream on any of them.
void Pool::finish_http2() {
  const auto finish = [this](Http2Connection& connection) {
    if (!retired_ || !awaited(connection)) return connection.finish_up();
    if (connection.load() == 0) on_http2_rested(connection);
  };
  http2_open_.for_each(finish);
  http2_rest_.for_each(finish);
}

}  // namespace weir
