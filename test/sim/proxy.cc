#include "sim/proxy.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace weir::sim {

proxy::ListenerSettings& ProxySetup::add_listener(std::string name, std::string_view address) {
  auto settings = std::make_shared<proxy::ListenerSettings>();
  settings->name = std::move(name);
  settings->address = *SocketAddress::parse(address);
  listeners.push_back(settings);
  return *settings;
}

ProxySetup::Cluster& ProxySetup::add_cluster(std::string name) {
  Cluster& cluster = clusters.emplace_back();
  cluster.settings.name = std::move(name);
  return cluster;
}

proxy::Route& ProxySetup::add_route(std::string name, std::string cluster, std::string path_prefix) {
  auto route = std::make_shared<proxy::Route>();
  route->name = std::move(name);
  if (!cluster.empty()) route->clusters.push_back({std::move(cluster), 1});
  if (!path_prefix.empty()) route->match.path_prefix = std::move(path_prefix);
  routes.push_back(route);
  return *route;
}

std::shared_ptr<Backend> make_backend(std::string name, const SocketAddress& address, std::uint32_t max_connections) {
  return std::make_shared<Backend>(std::move(name), "http://" + address.to_string(), address, max_connections);
}

SimProxy::Part::Part(SimProxy& proxy, std::size_t index, std::uint64_t seed)
    : engine(proxy.world_, proxy.budget_, fmt::format("worker-{}", index), *IpAddress::parse("10.0.0.1")),
      metrics(std::to_string(index)),
      loop(engine, seed),
      events(proxy, index) {}

SimProxy::SimProxy(SimWorld& world, Options options)
    : world_(world),
      budget_(options.descriptors, options.descriptors_reserve),
      control_(world, budget_, "control", *IpAddress::parse("10.0.0.1")),
      board_(options.workers) {
  log_ = *logs_.open({"access.log", observe::AccessLogFormat::kJson, "web"});
  for (std::size_t i = 0; i < options.workers; ++i) {
    workers_.push_back(std::make_unique<Part>(*this, i, world.rng().next()));
    Part& part = *workers_.back();
    proxy::WorkerEnvironment environment;
    environment.index = i;
    environment.loop = &part.loop;
    environment.metrics = &part.metrics;
    environment.upstream_events = &part.events;
    environment.board = &board_;
    environment.hand_over = [this](std::size_t to, const std::string& listener, SocketId socket, IpAddress peer,
                                   std::uint16_t port) {
      ++hand_overs;
      Part& target = *workers_[to];
      target.loop.post(
          [&target, listener, socket, peer, port] { target.worker->take_over(listener, socket, peer, port); });
    };
    environment.accept_paused = [this](const std::string&) { ++accept_pauses; };
    part.worker = std::make_unique<proxy::Worker>(std::move(environment));
    world_.add_loop(part.loop);
  }
}

SimProxy::~SimProxy() {
  for (auto& part : workers_) world_.remove_loop(part->loop);
  for (auto& part : workers_) part->worker.reset();
}

std::shared_ptr<const proxy::Snapshot> SimProxy::compile() {
  auto snapshot = std::make_shared<proxy::Snapshot>();
  for (const auto& listener : setup.listeners) {
    snapshot->listeners.push_back(listener);
    snapshot->access_logs.push_back(log_);
  }
  std::vector<routing::RouteMatch> matches;
  for (const auto& route : setup.routes) {
    snapshot->routes.push_back(route);
    matches.push_back(route->match);
  }
  snapshot->route_table = std::make_shared<const routing::RouteTable>(routing::RouteTable::build(matches));
  for (const auto& cluster : setup.clusters) {
    auto& kept = cluster_settings_[cluster.settings.name];
    if (kept == nullptr || *kept != cluster.settings) kept = std::make_shared<const ClusterSettings>(cluster.settings);
    snapshot->clusters.push_back({kept, std::make_shared<const Membership>(cluster.members)});
  }
  return snapshot;
}

// One listening socket per worker for each listener that was not there before.
std::vector<std::vector<proxy::ListenerSocket>> SimProxy::bind_new() {
  std::vector<std::vector<proxy::ListenerSocket>> sockets(workers_.size());
  std::map<std::string, SocketAddress> now;
  for (const auto& listener : setup.listeners) {
    now[listener->name] = listener->address;
    if (bound_.contains(listener->name)) continue;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (listener->address.is_unix() && i > 0) break;
      const Result<SocketId> socket = control_.listen(listener->address, {});
      WEIR_CHECK(socket.has_value());
      sockets[i].push_back({listener->name, control_.release(*socket)});
    }
  }
  bound_ = std::move(now);
  return sockets;
}

void SimProxy::start() {
  reload();
}

void SimProxy::reload(Duration drain_timeout) {
  const auto snapshot = compile();
  auto sockets = bind_new();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    auto tell = [part = workers_[i].get(), snapshot, mine = std::move(sockets[i]), drain_timeout]() mutable {
      part->loop.post([part, snapshot, mine = std::move(mine), drain_timeout]() mutable {
        part->worker->apply(snapshot, std::move(mine), drain_timeout);
      });
    };
    if (i == 0 || reload_lag <= Duration::zero()) {
      tell();
    } else {
      world_.after(reload_lag * static_cast<Duration::rep>(i), std::move(tell));
    }
  }
}

void SimProxy::update_members(const std::string& cluster) {
  const auto found = std::ranges::find(setup.clusters, cluster, [](const auto& c) { return c.settings.name; });
  const auto members = std::make_shared<const Membership>(found->members);
  for (auto& part : workers_) {
    part->loop.post([part = part.get(), cluster, members] { part->worker->update_members(cluster, members); });
  }
}

void SimProxy::update_member(const std::string& cluster, std::size_t position) {
  const auto found = std::ranges::find(setup.clusters, cluster, [](const auto& c) { return c.settings.name; });
  for (auto& part : workers_) {
    part->loop.post([part = part.get(), cluster, member = found->members[position]] {
      part->worker->update_member(cluster, member);
    });
  }
}

void SimProxy::drain(Duration timeout) {
  for (auto& part : workers_) {
    part->loop.post([this, part = part.get(), timeout] { part->worker->drain(deadline_after(world_.now(), timeout)); });
  }
}

void SimProxy::stop() {
  for (auto& part : workers_) part->loop.post([part = part.get()] { part->worker->stop(); });
}

std::size_t SimProxy::leases_out() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->worker->leases_out();
  return sum;
}

std::size_t SimProxy::live_streams() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->worker->live_streams();
  return sum;
}

std::size_t SimProxy::connections() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->worker->connections();
  return sum;
}

std::size_t SimProxy::buffers_out() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->loop.buffers().outstanding();
  return sum;
}

std::size_t SimProxy::buffer_bytes_out() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->loop.buffers().outstanding_bytes();
  return sum;
}

bool SimProxy::done() const {
  return std::ranges::all_of(workers_, [](const auto& part) { return part->worker->done(); });
}

namespace {

bool has_labels(const observe::Series& series, std::initializer_list<std::string_view> labels) {
  return std::ranges::all_of(labels, [&](std::string_view label) {
    for (std::size_t i = 0; i < series.label_count(); ++i) {
      if (series.label(i) == label) return true;
    }
    return false;
  });
}

}  // namespace

std::size_t SimProxy::series(observe::Family family, std::initializer_list<std::string_view> labels) const {
  std::size_t count = 0;
  for (const auto& part : workers_) {
    observe::MetricStore::Reading(part->metrics).for_each([&](const observe::Series& series) {
      if (series.family() == family && has_labels(series, labels)) ++count;
    });
  }
  return count;
}

std::int64_t SimProxy::metric(observe::Family family, std::initializer_list<std::string_view> labels) const {
  std::int64_t sum = 0;
  for (const auto& part : workers_) {
    observe::MetricStore::Reading(part->metrics).for_each([&](const observe::Series& series) {
      if (series.family() != family || !has_labels(series, labels)) return;
      const bool gauge = observe::describe(family).type == observe::CellType::kGauge;
      sum += gauge ? static_cast<std::int64_t>(series.gauge().value())
                   : static_cast<std::int64_t>(series.counter().value());
    });
  }
  return sum;
}

std::uint64_t SimProxy::observations(observe::Family family) const {
  std::uint64_t sum = 0;
  for (const auto& part : workers_) {
    observe::MetricStore::Reading(part->metrics).for_each([&](const observe::Series& series) {
      if (series.family() != family) return;
      const observe::Histogram& histogram = series.histogram();
      for (std::size_t i = 0; i <= histogram.layout().size(); ++i) sum += histogram.bucket_count(i);
    });
  }
  return sum;
}

std::string SimProxy::log_value(std::string_view line, std::string_view key) {
  const std::string wanted = fmt::format("\"{}\":", key);
  const std::size_t at = line.find(wanted);
  if (at == std::string_view::npos) return "(missing)";
  std::string_view rest = line.substr(at + wanted.size());
  if (rest.starts_with('"')) return std::string(rest.substr(1, rest.find('"', 1) - 1));
  return std::string(rest.substr(0, rest.find_first_of(",}")));
}

void SimProxy::Events::tls_failed(const std::string&, const std::shared_ptr<Backend>&, const std::string& reason) {
  owner.tls_problems.push_back(reason);
}

void SimProxy::Events::http2_broken(const std::string&, const std::shared_ptr<Backend>&, const std::string& reason) {
  owner.http2_problems.push_back(reason);
}

void SimProxy::Events::connect_failed(const std::string&, const std::shared_ptr<Backend>& backend, bool refused) {
  owner.connect_failures.push_back({backend->name(), refused});
}

void SimProxy::Events::protocol_wanted(const std::string&, const std::shared_ptr<Backend>&) {
  ++owner.protocol_wishes;
}

// What the control thread does: asks the others, one after the other, and tells the one who asked what came of it.
void SimProxy::Events::reclaim_idle(const std::string& cluster, const std::shared_ptr<Backend>& backend) {
  ++owner.reclaims;
  struct Answers {
    std::size_t missing;
    std::size_t closed = 0;
  };
  auto answers = std::make_shared<Answers>(Answers{owner.workers_.size() - 1});
  Part& asker = *owner.workers_[index];
  const auto tell = [&asker, cluster, backend](std::size_t closed) {
    asker.loop.post([&asker, cluster, backend, closed] { asker.worker->reclaimed(cluster, backend, closed); });
  };
  if (answers->missing == 0) return tell(0);
  for (auto& part : owner.workers_) {
    if (part.get() == &asker) continue;
    part->loop.post([part = part.get(), cluster, backend, answers, tell] {
      answers->closed += part->worker->reclaim_idle(cluster, *backend);
      if (--answers->missing == 0) tell(answers->closed);
    });
  }
}

}  // namespace weir::sim
