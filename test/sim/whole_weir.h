#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/sim_engine.h"
#include "net/sim_resolver.h"
#include "net/sim_world.h"
#include "observe/memory_log.h"
#include "server/control_plane.h"

namespace weir::sim {

// A whole Weir as one simulated process: the control plane with admin port, health checks and look-ups, and the
// workers.
class WholeWeir {
 public:
  WholeWeir(SimWorld& world, std::size_t workers, std::size_t descriptors);
  ~WholeWeir();
  WholeWeir(const WholeWeir&) = delete;
  WholeWeir& operator=(const WholeWeir&) = delete;

  // `text` is what a configuration file would hold; empty if it started, else why not.
  std::string start(const std::string& text);
  // What the next reload reads.
  void set_config(std::string text) { text_ = std::move(text); }
  server::ControlPlane& control() { return *control_; }
  SimResolver& resolver() { return resolver_; }
  DescriptorBudget& descriptors() { return budget_; }
  const std::vector<std::string>& log() const { return logs_.lines("/access.log"); }
  const std::vector<std::string>& process_log() const { return logger_.lines(); }
  bool stopped() const { return stopped_; }

  std::size_t leases_out() const;
  std::size_t live_streams() const;
  std::size_t connections() const;
  std::size_t buffers_out() const;
  // The sum of a family over all workers.
  std::int64_t metric(observe::Family family) const;

  // Takes all of it apart. Returns how many descriptors were left open.
  std::size_t take_apart();

 private:
  struct Part;
  server::LoadedSpec load() const;

  SimWorld& world_;
  DescriptorBudget budget_;
  SimEngine control_engine_;
  EventLoop control_loop_;
  server::LoopExecutor executor_;
  SimResolver resolver_;
  observe::MetricStore metrics_;
  observe::MemoryLogger logger_;
  observe::MemoryLogs logs_;
  server::ServiceManager service_{nullptr};
  proxy::ConnectionBoard board_;
  std::string text_;
  bool stopped_ = false;
  std::unique_ptr<server::ControlPlane> control_;
  std::vector<std::unique_ptr<Part>> workers_;
};

}  // namespace weir::sim
