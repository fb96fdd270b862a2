#include "upstream/pool/pool.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weir {

namespace {

// How long a connection may have been idle to be lent without a look whether it is still open: the loop has told of
// anything older than its last turns.
constexpr Duration kTrustedIdle = 5ms;
// A connection that somebody waits for is kept at least so long, whatever else is said.
constexpr Duration kForWaiters = 100ms;

// EAGAIN: a unix socket's backlog is full.
bool passes_soon(int error) {
  return is_own_trouble(error) || error == EAGAIN;
}

}  // namespace

bool PoolContext::close_longest_idle() {
  if (idle.empty()) return false;
  idle.front().close_unused();
  return true;
}

Pool::Pool(PoolContext& context, std::shared_ptr<const ClusterSettings> cluster, std::shared_ptr<Backend> backend)
    : context_(context), cluster_(std::move(cluster)), backend_(std::move(backend)) {}

Pool::~Pool() {
  while (Pool* pool = below_.pop_front()) delete pool;
  retired_ = true;
  close_idle();
  while (!connecting_.empty()) drop(connecting_.front());
  WEIR_ASSERT(unused());
}

void Pool::configure(std::shared_ptr<const ClusterSettings> cluster) {
  const std::shared_ptr<const ClusterSettings> before = std::exchange(cluster_, std::move(cluster));
  // Who is trusted, and as whom we come, may be others now.
  if (before->proxy_protocol != cluster_->proxy_protocol || before->tls != cluster_->tls) start_anew();
  below_.for_each([this](Pool& pool) {
    if (!pool.retired_) pool.configure(cluster_);
  });
  if (before->protocol == cluster_->protocol) return;
  if (cluster_->protocol == UpstreamProtocol::http1) finish_http2();
  if (cluster_->protocol == UpstreamProtocol::http2) close_idle();
}

Pool::Acquired Pool::acquire(UpstreamHandler& handler, bool fresh) {
  if (http2_count_ > 0 || expects_http2()) return acquire_http2(handler, fresh);
  if (!fresh) {
    if (Http1Connection* connection = take_idle(handler)) return {Acquired::Status::ready, connection, {}};
  }
  return wait(handler, fresh);
}

// Those that wait already have a first claim on what is idle.
Http1Connection* Pool::take_idle(UpstreamHandler& handler) {
  if (idle_count_ <= waiting_) return nullptr;
  Http1Connection* connection = find_idle();
  if (connection == nullptr || idle_count_ <= waiting_) return nullptr;
  lend(*connection);
  connection->lease_to(handler);
  return connection;
}

Pool::Acquired Pool::wait(UpstreamHandler& handler, bool fresh) {
  handler.waits_for_tunnel_ = false;
  waiters_.push_back(handler);
  ++waiting_;
  // What idles is not for the others that wait.
  const bool may_close_idle = fresh && (expects_http2() || idle_count_ >= waiting_);
  if (connecting_http2_ + checking_ > 0 && coming() >= waiting_) return {Acquired::Status::pending, nullptr, {}};
  const UpstreamFailure failure = open_connection(wish(), may_close_idle);
  if (failure == UpstreamFailure::none) return {Acquired::Status::pending, nullptr, {}};
  // Others may wait on connections that are being made: this one can wait with them for whichever comes first.
  if (failure == UpstreamFailure::overloaded && coming() >= waiting_) return {Acquired::Status::pending, nullptr, {}};
  return refuse(handler, failure);
}

Pool::Acquired Pool::refuse(UpstreamHandler& handler, UpstreamFailure failure) {
  give_up(handler);
  UpstreamError error;
  error.failure = failure;
  return {Acquired::Status::refused, nullptr, error};
}

// Tunnels apart.
std::size_t Pool::served_by(ConnectionWish wish) const {
  if (wish == ConnectionWish::http1_only) return 0;
  return wish == ConnectionWish::http2 ? std::max<std::size_t>(backend_->http2_streams_max(), 1) : 1;
}

std::size_t Pool::coming() const {
  return connecting_count_ + (connecting_http2_ + checking_) * served_by(ConnectionWish::http2);
}

ConnectionWish Pool::wish() const {
  const bool ask = backend_->secure() && cluster_->protocol == UpstreamProtocol::auto_;
  if (ask && backend_->protocol() == SpokenProtocol::unknown) return ConnectionWish::either;
  return expects_http2() ? ConnectionWish::http2 : ConnectionWish::http1;
}

Http1Connection* Pool::find_idle() {
  while (!idle_.empty()) {
    Http1Connection& connection = idle_.front();
    if (context_.loop->now() - connection.idle_since() <= kTrustedIdle || connection.still_quiet()) return &connection;
    connection.close_unused();
  }
  return nullptr;
}

void Pool::give_up(UpstreamHandler& handler) {
  if (!handler.ListNode<WaiterTag>::linked()) return;
  handler.ListNode<WaiterTag>::unlink();
  --(handler.waits_for_tunnel_ ? waiting_tunnels_ : waiting_);
  note_unused();
}

UpstreamFailure Pool::open_connection(ConnectionWish wish, bool may_close_idle) {
  while (!backend_->take_connection_slot()) {
    // What idles here in another version of HTTP than is asked for serves nobody.
    if (wish == ConnectionWish::http1_only && close_one_idle_http2(IdleHttp2::settled)) continue;
    if (wish == ConnectionWish::http2 && !idle_.empty()) {
      idle_.back().close_unused();
      continue;
    }
    // What is kept for another client can be done without, and so can what another worker keeps.
    if ((above_ == nullptr && !may_close_idle) || !close_one_idle()) return ask_other_workers();
  }
  const UpstreamFailure failure = begin_connect(wish);
  if (failure != UpstreamFailure::none) backend_->give_connection_slot();
  return failure;
}

std::unique_ptr<SecureLayer> Pool::make_secure_layer(ConnectionWish wish) {
  if (cluster_->tls == nullptr) return nullptr;
  tls::SessionSlot& session = above_ == nullptr ? tls_session_ : above_->tls_session_;
  return cluster_->tls->connect(context_.loop->buffers(), backend_->host(), &session,
                                wish == ConnectionWish::http1_only ? "http/1.1" : "");
}

void Pool::on_secured(const SecureLayer& layer) {
  const std::string_view resumed = layer.resumed() ? "true" : "false";
  context_.metrics
      ->counter(observe::Family::kBackendTlsHandshakes, {cluster_->name, backend_->name(), layer.version(), resumed})
      ->add(1);
}

void Pool::on_not_secured(const SecureLayer& layer) {
  context_.metrics->counter(observe::Family::kBackendTlsFailures, {cluster_->name, backend_->name(), layer.failure()})
      ->add(1);
  if (context_.events == nullptr) return;
  context_.events->tls_failed(cluster_->name, backend_, layer.failure_text());
}

UpstreamFailure Pool::begin_connect(ConnectionWish wish) {
  Engine& engine = context_.loop->engine();
  Result<SocketId> socket = engine.connect(backend_->address());
  if (!socket && passes_soon(socket.error().code) && context_.close_longest_idle()) {
    socket = engine.connect(backend_->address());
  }
  if (!socket) {
    const int error = socket.error().code;
    if (passes_soon(error)) return UpstreamFailure::own_trouble;
    const bool refused = error == ECONNREFUSED || error == ENOENT;
    if (context_.events != nullptr) context_.events->connect_failed(cluster_->name, backend_, refused);
    return refused ? UpstreamFailure::connect_refused : UpstreamFailure::connect_failed;
  }
  UpstreamConnecting* connecting = context_.connecting.make(*this, *context_.loop, wish);
  const TimePoint deadline = deadline_after(context_.loop->now(), cluster_->timeouts.connect);
  if (!connecting->start(*socket, deadline)) {
    context_.connecting.destroy(connecting);
    return UpstreamFailure::own_trouble;
  }
  connecting_.push_back(*connecting);
  count_connecting(wish, 1);
  count_connection(1);
  return UpstreamFailure::none;
}

void Pool::count_connecting(ConnectionWish wish, int change) {
  switch (wish) {
    case ConnectionWish::http1:
    case ConnectionWish::either:
      connecting_count_ += static_cast<std::size_t>(change);
      return;
    case ConnectionWish::http2:
      connecting_http2_ += static_cast<std::size_t>(change);
      return;
    case ConnectionWish::http1_only:
      connecting_tunnels_ += static_cast<std::size_t>(change);
      return;
  }
}

// Nobody needs it any more.
void Pool::drop(UpstreamConnecting& connecting) {
  count_connecting(connecting.wish(), -1);
  connecting.abandon();
  count_connection(-1);
  backend_->give_connection_slot();
}

void Pool::lend(Http1Connection& connection) {
  connection.ListNode<PoolTag>::unlink();
  note_busy(connection);
  --idle_count_;
  ++context_.leases_out;
  http1_gauges_.idle->add(-1);
  http1_gauges_.active->add(1);
  carrying_gauge_->add(1);
}

void Pool::keep_idle(Http1Connection& connection) {
  Duration keep = cluster_->timeouts.idle;
  // A second to spare before the backend closes it on its own.
  if (connection.keep_alive_timeout_s() >= 0) {
    keep = std::min<Duration>(keep, std::chrono::seconds(connection.keep_alive_timeout_s() - 1));
  }
  keep = keep_for(keep);
  // Whoever waits gets one that is made as the settings are now.
  if (connection.epoch() != epoch_) keep = Duration::zero();
  idle_.push_front(connection);
  note_idle(connection);
  ++idle_count_;
  http1_gauges_.idle->add(1);
  connection.rest_until(deadline_after(context_.loop->now(), keep));
  if (keep <= Duration::zero()) return connection.close_unused();
  if (anybody_waits()) context_.loop->mark_ready(*this);
}

// Who waits takes it in one of the next turns.
Duration Pool::keep_for(Duration idle) const {
  const Duration keep = retired_ ? Duration::zero() : idle;
  return anybody_waits() ? std::max(keep, kForWaiters) : keep;
}

void Pool::on_connected(UpstreamConnecting& made, bool http2, Readiness readiness) {
  count_connecting(made.wish(), -1);
  // ALPN has the last word on what was not known, or known otherwise.
  const bool told = made.wish() == ConnectionWish::either || (made.wish() == ConnectionWish::http2) != http2;
  if (told && cluster_->protocol == UpstreamProtocol::auto_ && made.wish() != ConnectionWish::http1_only) {
    backend_->set_protocol(http2 ? SpokenProtocol::http2 : SpokenProtocol::http1);
  }
  if (http2) {
    add_http2(made, readiness);
  } else {
    add_http1(made, readiness);
  }
}

void Pool::add_http1(UpstreamConnecting& made, Readiness readiness) {
  const bool for_tunnel = made.wish() == ConnectionWish::http1_only;
  Http1Connection& connection = *context_.connections.make(*this, made.take_transport());
  http1_gauges().created->add(1);
  if (!connection.start(readiness)) {
    connection.abandon();
    forget();
    fail_waiters(UpstreamFailure::own_trouble, served_by(made.wish()));
    return fail_tunnel_waiters(UpstreamFailure::own_trouble);
  }
  ask_for_protocol(SpokenProtocol::unknown);
  keep_idle(connection);
  if (!connection.idle()) return;
  // At once: a backend that closes right after accepting would otherwise be connected to again and again, and no try
  // counted.
  if (for_tunnel && !tunnel_waiters_.empty()) return serve(connection, tunnel_waiters_, waiting_tunnels_);
  if (!waiters_.empty() && !(for_tunnel && expects_http2())) serve(connection, waiters_, waiting_);
  if (waiting_ > coming()) context_.loop->mark_ready(*this);
}

void Pool::serve(Http1Connection& connection, Waiters& waiters, std::size_t& count) {
  UpstreamHandler* handler = waiters.pop_front();
  --count;
  lend(connection);
  connection.lease_to(*handler);
  handler->on_lease(connection);
}

void Pool::on_connect_failed(UpstreamConnecting& failed, UpstreamFailure failure) {
  count_connecting(failed.wish(), -1);
  count_connection(-1);
  backend_->give_connection_slot();
  if (context_.events != nullptr) {
    context_.events->connect_failed(cluster_->name, backend_, failure == UpstreamFailure::connect_refused);
  }
  fail_waiters(failure, served_by(failed.wish()));
  fail_tunnel_waiters(failure);
  // Meanwhile its SETTINGS on another connection may have said that one carries fewer streams.
  if (waiting_ > coming()) context_.loop->mark_ready(*this);
}

void Pool::fail_waiters(UpstreamFailure failure, std::size_t at_most) {
  UpstreamError error;
  error.failure = failure;
  const auto provided_for = [this] { return coming() + (expects_http2() ? 0 : idle_count_); };
  while (at_most-- > 0 && waiting_ > provided_for()) fail_first_waiter(error);
}

// What the cluster's backends speak is to be found out, and of this one `known` is all that is known.
void Pool::ask_for_protocol(SpokenProtocol known) {
  if (cluster_->protocol != UpstreamProtocol::auto_ || context_.events == nullptr) return;
  if (backend_->protocol() == known && backend_->want_protocol()) {
    context_.events->protocol_wanted(cluster_->name, backend_);
  }
}

void Pool::on_http1_contradicted() {
  if (cluster_->protocol != UpstreamProtocol::auto_) return;
  backend_->set_protocol(SpokenProtocol::http2);
  ask_for_protocol(SpokenProtocol::http2);
}

void Pool::fail_first_waiter(const UpstreamError& error) {
  if (UpstreamHandler* handler = waiters_.pop_front()) {
    --waiting_;
    note_unused();
    handler->on_lease_failed(error);
  }
}

void Pool::on_released(Http1Connection& connection, bool reusable) {
  --context_.leases_out;
  http1_gauges_.active->add(-1);
  carrying_gauge_->add(-1);
  if (reusable) return keep_idle(connection);
  forget();
}

void Pool::on_idle_closed(Http1Connection& connection) {
  connection.ListNode<PoolTag>::unlink();
  note_busy(connection);
  --idle_count_;
  http1_gauges_.idle->add(-1);
  forget();
}

void Pool::forget() {
  count_connection(-1);
  backend_->give_connection_slot();
  if (anybody_waits()) context_.loop->mark_ready(*this);
}

bool Pool::close_one_idle() {
  Pool& all = top();
  if (all.idle_of_all_.empty()) return false;
  all.idle_of_all_.front().close_unused();
  return true;
}

void Pool::close_idle() {
  while (!idle_.empty()) idle_.back().close_unused();
  const IdleHttp2 which = retired_ && waiting_tunnels_ > 0 ? IdleHttp2::settled : IdleHttp2::any;
  while (close_one_idle_http2(which)) {
  }
  below_.for_each([](Pool& pool) { pool.close_idle(); });
}

void Pool::retire() {
  retired_ = true;
  close_idle();
  finish_http2();
  below_.for_each([](Pool& pool) { pool.retire(); });
  // The answer of the other workers would not find this pool any more.
  if (std::exchange(reclaiming_, false)) context_.loop->mark_ready(*this);
}

void Pool::reclaimed(std::size_t closed) {
  reclaiming_ = false;
  if (!below_.empty()) tell_below_of_reclaimed(closed);
  if (!anybody_waits()) return;
  if (closed > 0) return context_.loop->mark_ready(*this);
  fail_waiters(UpstreamFailure::overloaded, waiting_);
  fail_tunnel_waiters(UpstreamFailure::overloaded);
}

// Serves those that wait: with what is there first, then with new connections.
void Pool::resume() {
  serve_tunnel_waiters();
  while (!waiters_.empty()) {
    if (Http2Connection* shared = find_http2(false, false)) {
      serve_waiters(*shared);
      continue;
    }
    // What idles of HTTP/1.1 beside HTTP/2 is for tunnels.
    Http1Connection* connection = expects_http2() ? nullptr : find_idle();
    if (connection == nullptr) break;
    serve(*connection, waiters_, waiting_);
  }
  while (waiting_ > coming() && !reclaiming_) {
    const UpstreamFailure failure = open_connection(wish());
    if (failure != UpstreamFailure::none) fail_last_waiter(waiters_, waiting_, failure);
  }
  while (waiting_tunnels_ > 0) {
    const UpstreamFailure failure = open_for_tunnels();
    if (failure == UpstreamFailure::none) break;
    fail_last_waiter(tunnel_waiters_, waiting_tunnels_, failure);
  }
}

// For those before it connections are being made.
void Pool::fail_last_waiter(Waiters& waiters, std::size_t& count, UpstreamFailure failure) {
  UpstreamHandler& handler = waiters.back();
  handler.ListNode<WaiterTag>::unlink();
  --count;
  note_unused();
  UpstreamError error;
  error.failure = failure;
  handler.on_lease_failed(error);
}

void Pool::make_metrics(Gauges& gauges, std::string_view protocol) {
  if (above_ != nullptr) {
    gauges = protocol == "http1" ? above_->http1_gauges() : above_->http2_gauges();
    carrying_gauge_ = above_->carrying_gauge_;
    return;
  }
  using observe::Family;
  observe::MetricStore& store = *context_.metrics;
  const std::string_view cluster = cluster_->name;
  const std::string_view name = backend_->name();
  gauges.created = store.counter(Family::kPoolConnectionsCreated, {cluster, name, protocol});
  gauges.idle = store.gauge(Family::kPoolConnections, {cluster, name, protocol, "idle"});
  gauges.active = store.gauge(Family::kPoolConnections, {cluster, name, protocol, "active"});
  if (!carrying_gauge_) carrying_gauge_ = store.gauge(Family::kBackendConnectionsActive, {cluster, name});
}

}  // namespace weir
