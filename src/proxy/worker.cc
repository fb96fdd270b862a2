#include "proxy/worker.h"

#include <algorithm>
#include <utility>

#include "proxy/acceptor.h"
#include "proxy/context.h"
#include "proxy/http1_downstream.h"
#include "proxy/http2_client_stream.h"
#include "proxy/http2_downstream.h"
#include "proxy/proxy_opening.h"
#include "proxy/stream.h"
#include "proxy/tls_opening.h"

namespace weir::proxy {

std::size_t ConnectionBoard::least_loaded(std::size_t self) const {
  std::size_t best = self;
  std::uint32_t least = count(self);
  for (std::size_t i = 0; i < cells_.size() && least > 0; ++i) {
    if (count(i) < least) {
      least = count(i);
      best = i;
    }
  }
  return best;
}

WorkerContext::WorkerContext(WorkerEnvironment given)
    : environment(std::move(given)),
      loop(*environment.loop),
      metrics(*environment.metrics),
      pipes(loop.engine(), 1024),
      request_ids(loop.rng().fork()),
      routes(pools, metrics, loop.rng().next()),
      handshakes(loop),
      upstream_handshakes(loop) {
  pools.handshakes = &upstream_handshakes;
  pools.loop = &loop;
  pools.scratch = &scratch;
  pools.metrics = &metrics;
  pools.events = environment.upstream_events;
  loop.on_idle([this] {
    streams.trim();
    connections.trim();
    openings.trim();
    tls_openings.trim();
    http2_connections.trim();
    http2_streams.trim();
    pools.connecting.trim();
    pools.connections.trim();
    pools.http2_connections.trim();
    pools.http2_streams.trim();
  });
  requests_total = metrics.counter(observe::Family::kWorkerRequests);
  connections_gauge = metrics.gauge(observe::Family::kWorkerConnections);
}

WorkerContext::~WorkerContext() {
  loop.on_idle(nullptr);
}

void WorkerContext::release_later(LocalRef<BackendRuntime> backend) {
  if (!backend) return;
  releaser_.held.push_back(std::move(backend));
  loop.retire(releaser_);
}

struct Worker::Parts final : private TimerHandler {
  explicit Parts(WorkerEnvironment environment)
      : context(std::move(environment)),
        refused(context.loop),
        drain_timer(static_cast<TimerHandler&>(*this)),
        removal_timer(static_cast<TimerHandler&>(*this)) {}

  void on_timer(Timer& timer) override;
  void take_sockets(const std::vector<ListenerSocket>& sockets);
  struct Early;
  void take_early();
  void turn_away(const Early& one);
  void drain_removed_listeners();
  void arm_removal_timer();
  template <typename Which>
  void cut(Which&& which);

  WorkerContext context;
  RefusedConnections refused;
  std::vector<Acceptor*> acceptors;  // owned; each goes by release()
  Timer drain_timer;
  Timer removal_timer;  // of listeners that a reload removed
  // Handed over before this worker has heard of their listener: a reload reaches one worker after the other.
  struct Early {
    std::string listener;
    SocketId socket;
    IpAddress peer;
    std::uint16_t peer_port;
  };
  std::vector<Early> early;
};

void Worker::Parts::on_timer(Timer& timer) {
  if (&timer == &drain_timer) return cut([](Downstream&) { return true; });
  const TimePoint now = context.loop.now();
  cut([now](Downstream& connection) { return connection.listener().drain_deadline <= now; });
  arm_removal_timer();
}

template <typename Which>
void Worker::Parts::cut(Which&& which) {
  // Cutting one connection never closes another client's, so the walk is safe.
  context.open.for_each([&](Downstream& connection) {
    if (which(connection)) connection.cut();
  });
}

Worker::Worker(WorkerEnvironment environment) : parts_(std::make_unique<Parts>(std::move(environment))) {}

Worker::~Worker() {
  stop();
  WorkerContext& context = parts_->context;
  // Streams and connections first: they hold routes, clusters and pools; then what those close.
  context.loop.destroy_retired();
  context.routes.clear();
  context.loop.destroy_retired();
}

void Worker::apply(std::shared_ptr<const Snapshot> snapshot, std::vector<ListenerSocket> sockets,
                   Duration drain_timeout) {
  WorkerContext& context = parts_->context;
  context.routes.apply(snapshot, deadline_after(context.loop.now(), drain_timeout));
  for (std::size_t i = 0; i < snapshot->listeners.size(); ++i) {
    const LocalRef<ListenerRuntime> listener = context.routes.listener(snapshot->listeners[i]->name);
    const auto& log = i < snapshot->access_logs.size() ? snapshot->access_logs[i] : nullptr;
    listener->set_access_log(log, static_cast<std::uint32_t>(context.environment.index));
  }
  parts_->take_sockets(sockets);
  parts_->take_early();
  parts_->drain_removed_listeners();
}

void Worker::Parts::take_sockets(const std::vector<ListenerSocket>& sockets) {
  // All are found before any gets its new name: two listeners may change places.
  std::vector<Acceptor*> moved(sockets.size(), nullptr);
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (sockets[i].moved_from.empty()) continue;
    const auto found = std::find_if(acceptors.begin(), acceptors.end(), [&](Acceptor* acceptor) {
      return acceptor->listener().settings->name == sockets[i].moved_from;
    });
    if (found == acceptors.end()) continue;
    moved[i] = *found;
    acceptors.erase(found);
  }
  // A listener that has another address now: the old one has served its time. (This worker may have no socket of the
  // new one.)
  std::erase_if(acceptors, [&](Acceptor* acceptor) {
    if (acceptor->address() == acceptor->listener().settings->address) return false;
    acceptor->finish();
    acceptor->release();
    return true;
  });
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    LocalRef<ListenerRuntime> listener = context.routes.listener(sockets[i].listener);
    if (moved[i] != nullptr) {
      moved[i]->set_listener(std::move(listener));
      acceptors.push_back(moved[i]);
    } else if (sockets[i].socket != kNoSocket) {
      acceptors.push_back(new Acceptor(context, refused, std::move(listener), sockets[i].socket));
      if (!acceptors.back()->start()) acceptors.back()->close();
    }
  }
}

void Worker::Parts::take_early() {
  for (const Early& one : std::exchange(early, {})) {
    if (LocalRef<ListenerRuntime> listener = context.routes.listener(one.listener)) {
      take_connection(context, refused, std::move(listener), one.socket, one.peer, one.peer_port);
    } else {
      turn_away(one);
    }
  }
}

// It has not been read from: it gets a reset.
void Worker::Parts::turn_away(const Early& one) {
  context.environment.board->remove(context.environment.index);
  context.loop.engine().reset(one.socket);
}

void Worker::Parts::drain_removed_listeners() {
  std::erase_if(acceptors, [&](Acceptor* acceptor) {
    if (!acceptor->listener().draining) return false;
    acceptor->finish();
    acceptor->release();
    return true;
  });
  context.open.for_each([&](Downstream& connection) {
    if (connection.listener().draining) connection.drain();
  });
  arm_removal_timer();
}

// Each removed listener has its own deadline: later reloads give it no more time.
void Worker::Parts::arm_removal_timer() {
  TimePoint next = kNever;
  context.open.for_each([&](Downstream& connection) { next = std::min(next, connection.listener().drain_deadline); });
  context.loop.timers().arm(removal_timer, next);
}

void Worker::update_members(const std::string& cluster, std::shared_ptr<const Membership> members) {
  parts_->context.routes.update_members(cluster, *members);
}

void Worker::update_member(const std::string& cluster, const Member& member) {
  if (ClusterRuntime* runtime = parts_->context.routes.cluster(cluster)) runtime->update_member(member);
}

std::size_t Worker::reclaim_idle(const std::string& cluster, const Backend& backend) {
  ClusterRuntime* runtime = parts_->context.routes.cluster(cluster);
  BackendRuntime* found = runtime == nullptr ? nullptr : runtime->find(backend);
  return found != nullptr && found->pool.close_one_idle() ? 1 : 0;
}

void Worker::reclaimed(const std::string& cluster, const std::shared_ptr<Backend>& backend, std::size_t closed) {
  ClusterRuntime* runtime = parts_->context.routes.cluster(cluster);
  BackendRuntime* found = runtime == nullptr ? nullptr : runtime->find(*backend);
  if (found != nullptr) found->pool.reclaimed(closed);
}

void Worker::take_over(const std::string& listener, SocketId socket, IpAddress peer, std::uint16_t peer_port) {
  WorkerContext& context = parts_->context;
  context.loop.engine().adopt(socket);
  LocalRef<ListenerRuntime> runtime = context.routes.listener(listener);
  if (!runtime) return parts_->early.push_back({listener, socket, peer, peer_port});
  const bool draining = runtime->draining;
  take_connection(context, parts_->refused, std::move(runtime), socket, peer, peer_port);
  if (draining) parts_->arm_removal_timer();
}

void Worker::drain(TimePoint deadline) {
  WorkerContext& context = parts_->context;
  context.draining = true;
  for (Acceptor* acceptor : parts_->acceptors) {
    acceptor->finish();
    acceptor->release();
  }
  parts_->acceptors.clear();
  context.open.for_each([](Downstream& connection) { connection.drain(); });
  context.loop.timers().arm(parts_->drain_timer, deadline);
}

void Worker::stop() {
  for (Acceptor* acceptor : parts_->acceptors) {
    acceptor->close();
    acceptor->release();
  }
  parts_->acceptors.clear();
  parts_->cut([](Downstream&) { return true; });
  for (const Parts::Early& one : std::exchange(parts_->early, {})) parts_->turn_away(one);
  parts_->refused.close_all();
}

bool Worker::done() const {
  return parts_->acceptors.empty() && parts_->early.empty() && parts_->context.open.empty();
}

std::size_t Worker::connections() const {
  const WorkerContext& context = parts_->context;
  return context.connections.live() + context.http2_connections.live() + context.openings.live() +
         context.tls_openings.live();
}
std::size_t Worker::leases_out() const {
  return parts_->context.pools.leases_out;
}
std::size_t Worker::live_streams() const {
  return parts_->context.streams.live();
}

std::vector<Worker::BackendActivity> Worker::activity() const {
  std::vector<BackendActivity> all;
  for (const auto& [name, cluster] : parts_->context.routes.clusters()) {
    for (const auto& backend : cluster->backends()) {
      all.push_back({name, backend->pool.backend().name(), backend->active, backend->requests});
    }
  }
  return all;
}

}  // namespace weir::proxy
