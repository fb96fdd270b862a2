#include "sim/whole_weir.h"

#include <fmt/format.h>

#include "config/load.h"

namespace weir::sim {

struct WholeWeir::Part {
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

WholeWeir::WholeWeir(SimWorld& world, std::size_t workers, std::size_t descriptors)
    : world_(world),
      budget_(descriptors, 8),
      control_engine_(world, budget_, "control", *IpAddress::parse("10.0.0.1")),
      control_loop_(control_engine_, world.rng().next()),
      executor_(control_loop_),
      resolver_(control_loop_),
      board_(workers) {
  server::ControlEnvironment environment;
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
  environment.build = {"0", "0", "0"};
  control_ = std::make_unique<server::ControlPlane>(std::move(environment));
  world_.add_loop(control_loop_);
  for (std::size_t i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<Part>(*this, i, world.rng().next()));
    world_.add_loop(workers_.back()->loop);
  }
}

WholeWeir::~WholeWeir() {
  take_apart();
}

std::size_t WholeWeir::take_apart() {
  if (control_ == nullptr) return 0;
  for (auto& part : workers_) world_.remove_loop(part->loop);
  world_.remove_loop(control_loop_);
  for (auto& part : workers_) part->worker.reset();
  control_.reset();
  workers_.clear();
  return budget_.open();
}

server::LoadedSpec WholeWeir::load() const {
  config::Parsed parsed = config::parse(text_, "weir.yaml", [](std::string_view) { return std::nullopt; });
  if (!parsed.spec) return std::unexpected(config::render(parsed.diagnostics));
  return std::move(*parsed.spec);
}

std::string WholeWeir::start(const std::string& text) {
  text_ = text;
  auto spec = load();
  if (!spec) return spec.error();
  auto compiled = config::compile(std::make_shared<const config::Spec>(std::move(*spec)), nullptr);
  if (!compiled) return compiled.error().message;
  std::vector<server::WorkerHandle> handles;
  for (auto& part : workers_) handles.push_back({&part->loop, part->worker.get()});
  const Result<void> started = control_->start(*compiled, std::move(handles));
  return started ? std::string() : started.error().message;
}

std::size_t WholeWeir::leases_out() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->worker->leases_out();
  return sum;
}

std::size_t WholeWeir::live_streams() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->worker->live_streams();
  return sum;
}

std::size_t WholeWeir::connections() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->worker->connections();
  return sum;
}

std::size_t WholeWeir::buffers_out() const {
  std::size_t sum = 0;
  for (const auto& part : workers_) sum += part->loop.buffers().outstanding();
  return sum;
}

std::int64_t WholeWeir::metric(observe::Family family) const {
  const bool gauge = observe::describe(family).type == observe::CellType::kGauge;
  std::int64_t sum = 0;
  for (const auto& part : workers_) {
    observe::MetricStore::Reading(part->metrics).for_each([&](const observe::Series& series) {
      if (series.family() != family || series.detached()) return;
      sum += gauge ? series.gauge().value() : static_cast<std::int64_t>(series.counter().value());
    });
  }
  return sum;
}

}  // namespace weir::sim
