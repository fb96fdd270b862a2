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
constexpr Duration kForWaiters = 1s;

bool is_own_trouble(int error) {
  return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS || error == ENOMEM ||
         error == EAGAIN;
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
  close_idle();
  while (!connecting_.empty()) {
    connecting_.front().abandon();
    --connecting_count_;
    --total_;
    backend_->give_connection_slot();
  }
  WEIR_ASSERT(unused());
}

Pool::Acquired Pool::acquire(UpstreamHandler& handler, bool fresh) {
  // Those that wait already have a first claim on what is idle.
  while (!fresh && idle_count_ > waiting_) {
    Http1Connection* connection = find_idle();
    if (connection == nullptr || idle_count_ <= waiting_) break;
    lend(*connection);
    connection->lease_to(handler);
    return {Acquired::Status::ready, connection, {}};
  }
  waiters_.push_back(handler);
  ++waiting_;
  const UpstreamFailure failure = open_connection();
  if (failure == UpstreamFailure::none) return {Acquired::Status::pending, nullptr, {}};
  // Others may wait on connections that are being made: this one can wait with them for whichever comes first.
  if (failure == UpstreamFailure::overloaded && connecting_count_ >= waiting_) {
    return {Acquired::Status::pending, nullptr, {}};
  }
  give_up(handler);
  UpstreamError error;
  error.failure = failure;
  return {Acquired::Status::refused, nullptr, error};
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
  --waiting_;
}

UpstreamFailure Pool::open_connection() {
  if (!backend_->take_connection_slot()) {
    // Another worker may keep an idle connection that it can do without.
    if (context_.events == nullptr || reclaiming_ || retired_ || backend_->connections() <= total_) {
      return reclaiming_ ? UpstreamFailure::none : UpstreamFailure::overloaded;
    }
    reclaiming_ = true;
    context_.events->reclaim_idle(cluster_->name, backend_);
    return UpstreamFailure::none;
  }
  const UpstreamFailure failure = begin_connect();
  if (failure != UpstreamFailure::none) backend_->give_connection_slot();
  return failure;
}

UpstreamFailure Pool::begin_connect() {
  Engine& engine = context_.loop->engine();
  Result<SocketId> socket = engine.connect(backend_->address());
  if (!socket && is_own_trouble(socket.error().code) && context_.close_longest_idle()) {
    socket = engine.connect(backend_->address());
  }
  if (!socket) {
    const int error = socket.error().code;
    if (is_own_trouble(error)) return UpstreamFailure::own_trouble;
    const bool refused = error == ECONNREFUSED || error == ENOENT;
    if (context_.events != nullptr) context_.events->connect_failed(cluster_->name, backend_, refused);
    return refused ? UpstreamFailure::connect_refused : UpstreamFailure::connect_failed;
  }
  UpstreamConnecting* connecting = context_.connecting.make(*this, *context_.loop);
  const TimePoint deadline = deadline_after(context_.loop->now(), cluster_->timeouts.connect);
  if (!connecting->start(*socket, deadline)) {
    context_.connecting.destroy(connecting);
    return UpstreamFailure::own_trouble;
  }
  connecting_.push_back(*connecting);
  ++connecting_count_;
  ++total_;
  make_metrics();
  created_->add(1);
  return UpstreamFailure::none;
}

void Pool::lend(Http1Connection& connection) {
  connection.ListNode<PoolTag>::unlink();
  connection.ListNode<IdleTag>::unlink();
  --idle_count_;
  ++context_.leases_out;
  idle_gauge_->add(-1);
  active_gauge_->add(1);
  carrying_gauge_->add(1);
}

void Pool::keep_idle(Http1Connection& connection) {
  Duration keep = cluster_->timeouts.idle;
  // A second to spare before the backend closes it on its own.
  if (connection.keep_alive_timeout_s() >= 0) {
    keep = std::min<Duration>(keep, std::chrono::seconds(connection.keep_alive_timeout_s() - 1));
  }
  if (retired_) keep = Duration::zero();
  // Who waits takes it in the next turn.
  if (!waiters_.empty()) keep = std::max(keep, kForWaiters);
  idle_.push_front(connection);
  context_.idle.push_back(connection);
  ++idle_count_;
  idle_gauge_->add(1);
  connection.rest_until(deadline_after(context_.loop->now(), keep));
  if (keep <= Duration::zero()) return connection.close_unused();
  if (!waiters_.empty()) context_.loop->mark_ready(*this);
}

void Pool::on_connected(UpstreamConnecting& made, Readiness readiness) {
  --connecting_count_;
  Http1Connection& connection = *context_.connections.make(*this, made.take_transport());
  if (!connection.start(readiness)) {
    connection.abandon();
    --total_;
    backend_->give_connection_slot();
    return fail_if_nothing_comes(UpstreamFailure::own_trouble);
  }
  keep_idle(connection);
  // At once: a backend that closes right after accepting would otherwise be connected to again and again, and no try
  // counted.
  if (connection.idle() && !waiters_.empty()) serve_first_waiter(connection);
}

void Pool::serve_first_waiter(Http1Connection& connection) {
  UpstreamHandler* handler = waiters_.pop_front();
  --waiting_;
  lend(connection);
  connection.lease_to(*handler);
  handler->on_lease(connection);
}

void Pool::on_connect_failed(UpstreamFailure failure) {
  --connecting_count_;
  --total_;
  backend_->give_connection_slot();
  if (context_.events != nullptr) {
    context_.events->connect_failed(cluster_->name, backend_, failure == UpstreamFailure::connect_refused);
  }
  fail_if_nothing_comes(failure);
}

void Pool::fail_if_nothing_comes(UpstreamFailure failure) {
  if (waiting_ <= connecting_count_ + idle_count_) return;
  UpstreamError error;
  error.failure = failure;
  fail_first_waiter(error);
}

void Pool::fail_first_waiter(const UpstreamError& error) {
  if (UpstreamHandler* handler = waiters_.pop_front()) {
    --waiting_;
    handler->on_lease_failed(error);
  }
}

void Pool::on_released(Http1Connection& connection, bool reusable) {
  --context_.leases_out;
  active_gauge_->add(-1);
  carrying_gauge_->add(-1);
  if (reusable) return keep_idle(connection);
  forget(connection);
}

void Pool::on_idle_closed(Http1Connection& connection) {
  connection.ListNode<PoolTag>::unlink();
  connection.ListNode<IdleTag>::unlink();
  --idle_count_;
  idle_gauge_->add(-1);
  forget(connection);
}

void Pool::forget(Http1Connection&) {
  --total_;
  backend_->give_connection_slot();
  if (!waiters_.empty()) context_.loop->mark_ready(*this);
}

bool Pool::close_one_idle() {
  if (idle_.empty()) return false;
  idle_.back().close_unused();
  return true;
}

void Pool::close_idle() {
  while (close_one_idle()) {
  }
}

void Pool::retire() {
  retired_ = true;
  close_idle();
  // The answer of the other workers would not find this pool any more.
  if (std::exchange(reclaiming_, false)) context_.loop->mark_ready(*this);
}

void Pool::reclaimed(std::size_t closed) {
  reclaiming_ = false;
  if (waiters_.empty()) return;
  if (closed > 0) return context_.loop->mark_ready(*this);
  UpstreamError error;
  error.failure = UpstreamFailure::overloaded;
  while (waiting_ > connecting_count_ + idle_count_) fail_first_waiter(error);
}

// Serves those that wait: with idle connections first, then with new ones.
void Pool::resume() {
  while (!waiters_.empty()) {
    Http1Connection* connection = find_idle();
    if (connection == nullptr) break;
    serve_first_waiter(*connection);
  }
  while (waiting_ > connecting_count_ && !reclaiming_) {
    const UpstreamFailure failure = open_connection();
    if (failure == UpstreamFailure::none) continue;
    UpstreamError error;
    error.failure = failure;
    fail_last_waiter(error);
  }
}

// For those before it connections are being made.
void Pool::fail_last_waiter(const UpstreamError& error) {
  UpstreamHandler& handler = waiters_.back();
  handler.ListNode<WaiterTag>::unlink();
  --waiting_;
  handler.on_lease_failed(error);
}

void Pool::make_metrics() {
  if (created_) return;
  using observe::Family;
  observe::MetricStore& store = *context_.metrics;
  const std::string_view cluster = cluster_->name;
  const std::string_view name = backend_->name();
  created_ = store.counter(Family::kPoolConnectionsCreated, {cluster, name, "http1"});
  idle_gauge_ = store.gauge(Family::kPoolConnections, {cluster, name, "http1", "idle"});
  active_gauge_ = store.gauge(Family::kPoolConnections, {cluster, name, "http1", "active"});
  carrying_gauge_ = store.gauge(Family::kBackendConnectionsActive, {cluster, name});
}

}  // namespace weir
