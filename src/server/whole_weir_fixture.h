#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/load.h"
#include "net/sim_engine.h"
#include "net/sim_resolver.h"
#include "net/sim_world.h"
#include "observe/memory_log.h"
#include "server/control_plane.h"

namespace weir::server {

// A whole Weir as one simulated process: the control plane with admin port, health checks and look-ups, and the
// workers. Its address is 10.0.0.1.
class WholeWeir {
 public:
  WholeWeir(SimWorld& world, std::size_t workers, std::size_t descriptors)
      : world_(world),
        budget_(descriptors, 8),
        control_engine_(world, budget_, "control", *IpAddress::parse("10.0.0.1")),
        control_loop_(control_engine_, world.rng().next()),
        executor_(control_loop_),
        resolver_(control_loop_),
        board_(workers),
        control_(std::make_unique<ControlPlane>(environment(workers))) {
    world_.add_loop(control_loop_);
    for (std::size_t i = 0; i < workers; ++i) {
      workers_.push_back(std::make_unique<Part>(*this, i, world.rng().next()));
      world_.add_loop(workers_.back()->loop);
    }
  }
  ~WholeWeir() { take_apart(); }
  WholeWeir(const WholeWeir&) = delete;
  WholeWeir& operator=(const WholeWeir&) = delete;

  // `text` is what a configuration file would hold. An error says why it did not start.
  Result<void> start(const std::string& text) {
    text_ = text;
    auto spec = load();
    if (!spec) return fail(spec.error());
    auto compiled = config::compile(std::make_shared<const config::Spec>(std::move(*spec)), nullptr);
    if (!compiled) return std::unexpected(compiled.error());
    std::vector<WorkerHandle> handles;
    for (auto& part : workers_) handles.push_back({&part->loop, part->worker.get()});
    return control_->start(*compiled, std::move(handles));
  }
  // What the next reload reads.
  void set_config(std::string text) { text_ = std::move(text); }
  const std::string& config() const { return text_; }
  // What it finds in the file of this name, if a configuration names one.
  void set_file(const std::string& path, std::string text) { files_.insert_or_assign(path, std::move(text)); }
  ControlPlane& control() { return *control_; }
  SimResolver& resolver() { return resolver_; }
  DescriptorBudget& descriptors() { return budget_; }
  const std::vector<std::string>& log() const { return logs_.lines("/access.log"); }
  const observe::MemoryLogs& logs() const { return logs_; }
  const std::vector<std::string>& process_log() const { return logger_.lines(); }
  // The service manager, without what goes with a word.
  const std::vector<std::string>& told() const { return told_; }
  // How often the file was read.
  int loads() const { return loads_; }
  bool stopped() const { return stopped_; }

  std::size_t leases_out() const {
    return sum([](Part& part) { return part.worker->leases_out(); });
  }
  std::size_t live_streams() const {
    return sum([](Part& part) { return part.worker->live_streams(); });
  }
  std::size_t connections() const {
    return sum([](Part& part) { return part.worker->connections(); });
  }
  std::size_t buffers_out() const {
    return sum([](Part& part) { return part.loop.buffers().outstanding(); });
  }
  // The sum of a family over all workers.
  std::int64_t metric(observe::Family family) const {
    const bool gauge = observe::describe(family).type == observe::CellType::kGauge;
    std::int64_t sum = 0;
    for_each_series(family, [&](const observe::Series& series) {
      sum += gauge ? series.gauge().value() : static_cast<std::int64_t>(series.counter().value());
    });
    return sum;
  }
  template <typename Use>
  void for_each_series(observe::Family family, Use&& use) const {
    for (const auto& part : workers_) {
      observe::MetricStore::Reading(part->metrics).for_each([&](const observe::Series& series) {
        if (series.family() == family && !series.detached()) use(series);
      });
    }
  }

  // Takes all of it apart. Returns how many descriptors were left open.
  std::size_t take_apart() {
    if (control_ == nullptr) return 0;
    for (auto& part : workers_) world_.remove_loop(part->loop);
    world_.remove_loop(control_loop_);
    for (auto& part : workers_) part->worker.reset();
    control_.reset();
    workers_.clear();
    return budget_.open();
  }

 private:
  struct Part {
    Part(WholeWeir& weir, std::size_t index, std::uint64_t seed)
        : engine(weir.world_, weir.budget_, fmt::format("worker-{}", index), *IpAddress::parse("10.0.0.1")),
          metrics(std::to_string(index)),
          loop(engine, seed) {
      proxy::WorkerEnvironment environment;
      environment.index = index;
      environment.loop = &loop;
      environment.metrics = &metrics;
      environment.upstream_events = &weir.control_->events(index);
      environment.board = &weir.board_;
      environment.hand_over = [&weir](std::size_t to, const std::string& listener, SocketId socket, IpAddress peer,
                                      std::uint16_t port) {
        Part& other = *weir.workers_[to];
        other.loop.post(
            [&other, listener, socket, peer, port] { other.worker->take_over(listener, socket, peer, port); });
      };
      worker = std::make_unique<proxy::Worker>(std::move(environment));
    }

    SimEngine engine;
    observe::MetricStore metrics;
    EventLoop loop;
    std::unique_ptr<proxy::Worker> worker;
  };

  ControlEnvironment environment(std::size_t workers) {
    ControlEnvironment environment;
    environment.loop = &control_loop_;
    environment.executor = &executor_;
    environment.resolver = &resolver_;
    environment.metrics = &metrics_;
    environment.logger = &logger_;
    environment.access_logs = &logs_;
    environment.service = &service_;
    environment.all_metrics = [this] {
      std::vector<const observe::MetricStore*> all{&metrics_};
      for (const auto& part : workers_) all.push_back(&part->metrics);
      return all;
    };
    environment.workers = workers;
    environment.load = [this] { return load(); };
    environment.on_stopped = [this] { stopped_ = true; };
    environment.read_file = [this](const std::string& path) { return read_file(path); };
    environment.build = {"0", "0", "0"};
    return environment;
  }

  LoadedSpec load() {
    ++loads_;
    config::Parsed parsed = config::parse(
        text_, "test.yaml", [](std::string_view) { return std::nullopt; },
        [this](const std::string& path) { return read_file(path); });
    if (!parsed.spec) return std::unexpected(config::render(parsed.diagnostics));
    return std::move(*parsed.spec);
  }

  std::expected<std::string, std::string> read_file(const std::string& path) const {
    const auto found = files_.find(path);
    if (found == files_.end()) return std::unexpected("there is no such file");
    return found->second;
  }

  template <typename Count>
  std::size_t sum(Count&& count) const {
    std::size_t sum = 0;
    for (const auto& part : workers_) sum += count(*part);
    return sum;
  }

  SimWorld& world_;
  DescriptorBudget budget_;
  SimEngine control_engine_;
  EventLoop control_loop_;
  LoopExecutor executor_;
  SimResolver resolver_;
  observe::MetricStore metrics_;
  observe::MemoryLogger logger_;
  observe::MemoryLogs logs_;
  std::vector<std::string> told_;
  ServiceManager service_{
      [this](std::string_view message) { told_.emplace_back(message.substr(0, message.find('\n'))); }};
  proxy::ConnectionBoard board_;
  std::string text_;
  std::map<std::string, std::string> files_;
  int loads_ = 0;
  bool stopped_ = false;
  std::unique_ptr<ControlPlane> control_;
  std::vector<std::unique_ptr<Part>> workers_;
};

}  // namespace weir::server
