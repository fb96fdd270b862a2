#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/sim_engine.h"
#include "net/sim_world.h"
#include "observe/memory_log.h"
#include "proxy/worker.h"

namespace weir::sim {

// What the proxy is told to do, to be changed by tests before start() and reload().
struct ProxySetup {
  struct Cluster {
    ClusterSettings settings;
    Membership members;
  };

  std::vector<std::shared_ptr<proxy::ListenerSettings>> listeners;
  std::deque<Cluster> clusters;
  std::vector<std::shared_ptr<proxy::Route>> routes;

  proxy::ListenerSettings& add_listener(std::string name, std::string_view address);
  Cluster& add_cluster(std::string name);
  // A catch-all route by default.
  proxy::Route& add_route(std::string name, std::string cluster, std::string path_prefix = {});
};

std::shared_ptr<Backend> make_backend(std::string name, const SocketAddress& address,
                                      std::uint32_t max_connections = Backend::kNoLimit);

// The proxy's data path: workers with their loops and engines as one simulated process, without the control plane.
class SimProxy {
 public:
  struct Options {
    std::size_t workers = 1;
    std::size_t descriptors = 100'000;
    std::size_t descriptors_reserve = 8;
  };

  SimProxy(SimWorld& world, Options options);
  ~SimProxy();
  SimProxy(const SimProxy&) = delete;
  SimProxy& operator=(const SimProxy&) = delete;

  ProxySetup setup;

  // Binds what `setup` lists and tells the workers.
  void start();
  // The workers get `setup` as it is now by mail. Objects in it that were not replaced stay the same in the next
  // snapshot; whatever was changed in place must have been replaced.
  void reload(Duration drain_timeout = 30s);
  void update_members(const std::string& cluster);
  void update_member(const std::string& cluster, std::size_t position);
  void drain(Duration timeout);
  void stop();

  proxy::Worker& worker(std::size_t index) { return *workers_[index]->worker; }
  EventLoop& loop(std::size_t index) { return workers_[index]->loop; }
  std::size_t worker_count() const { return workers_.size(); }
  DescriptorBudget& descriptors() { return budget_; }
  proxy::ConnectionBoard& board() { return board_; }

  std::size_t leases_out() const;
  std::size_t live_streams() const;
  std::size_t connections() const;
  // Pieces of buffers that are in use.
  std::size_t buffers_out() const;
  std::size_t buffer_bytes_out() const;
  bool done() const;

  // All series of a family whose label values contain these texts, over all workers: the sum.
  std::int64_t metric(observe::Family family, std::initializer_list<std::string_view> labels = {}) const;
  // How many series of a family have these label values, over all workers.
  std::size_t series(observe::Family family, std::initializer_list<std::string_view> labels) const;
  // Observations of a histogram.
  std::uint64_t observations(observe::Family family) const;
  const std::vector<std::string>& log() const { return logs_.lines("access.log"); }
  observe::MemoryLogs& logs() { return logs_; }
  // The value of `key` in a line of the access log, as it is written.
  static std::string log_value(std::string_view line, std::string_view key);

  struct ConnectFailure {
    std::string backend;
    bool refused;
  };
  std::vector<ConnectFailure> connect_failures;
  std::vector<std::string> tls_problems;
  std::vector<std::string> http2_problems;
  std::size_t reclaims = 0;
  std::size_t protocol_wishes = 0;  // nobody finds anything out: tests set what a backend speaks
  std::size_t accept_pauses = 0;
  // How much later each worker hears of a reload than the one before it.
  Duration reload_lag{0};
  // How often a connection went from one worker to another.
  std::size_t hand_overs = 0;

 private:
  struct Events final : UpstreamEvents {
    Events(SimProxy& proxy, std::size_t worker) : owner(proxy), index(worker) {}
    void connect_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend, bool refused) override;
    void tls_failed(const std::string& cluster, const std::shared_ptr<Backend>& backend,
                    const std::string& reason) override;
    void http2_broken(const std::string& cluster, const std::shared_ptr<Backend>& backend,
                      const std::string& reason) override;
    void reclaim_idle(const std::string& cluster, const std::shared_ptr<Backend>& backend) override;
    void protocol_wanted(const std::string& cluster, const std::shared_ptr<Backend>& backend) override;
    SimProxy& owner;
    std::size_t index;
  };
  struct Part {
    Part(SimProxy& proxy, std::size_t index, std::uint64_t seed);
    SimEngine engine;
    observe::MetricStore metrics;
    EventLoop loop;
    Events events;
    std::unique_ptr<proxy::Worker> worker;
  };

  std::shared_ptr<const proxy::Snapshot> compile();
  std::vector<std::vector<proxy::ListenerSocket>> bind_new();

  SimWorld& world_;
  DescriptorBudget budget_;
  SimEngine control_;
  proxy::ConnectionBoard board_;
  observe::MemoryLogs logs_;
  std::shared_ptr<observe::AccessLog> log_;
  std::vector<std::unique_ptr<Part>> workers_;
  std::map<std::string, SocketAddress> bound_;
  std::map<std::string, std::shared_ptr<const ClusterSettings>> cluster_settings_;
};

}  // namespace weir::sim
