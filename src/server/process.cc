#include "server/process.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "net/cares_resolver.h"
#include "net/signals.h"
#include "observe/log_writer.h"
#include "server/cpu_count.h"
#include "server/file_reader.h"
#include "server/inherited_sockets.h"
#include "server/worker_thread.h"

namespace weir::server {
namespace {

constexpr std::size_t kDescriptorReserve = 128;
constexpr Duration kLogStopTimeout = 1s;

// Raises the soft limit of descriptors to the hard one; the limit that then holds.
std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return before;
  return limit.rlim_cur;
}

std::string environment_of(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string log_path(const config::LogSpec& log) {
  return log.path == "-" ? std::string(observe::LogFile::kStandardError) : log.path;
}

observe::LogLevel log_level(const config::LogSpec& log) {
  switch (log.level) {
    case config::LogLevel::kDebug:
      return observe::LogLevel::kDebug;
    case config::LogLevel::kInfo:
      return observe::LogLevel::kInfo;
    case config::LogLevel::kWarn:
      return observe::LogLevel::kWarn;
    case config::LogLevel::kError:
      return observe::LogLevel::kError;
  }
  return observe::LogLevel::kInfo;
}

observe::LogFormat log_format(const config::LogSpec& log) {
  return log.format == config::LogFormat::kJson ? observe::LogFormat::kJson : observe::LogFormat::kText;
}

int complain(const Error& error) {
  fmt::print(stderr, "weir: error: {}\n", error.message);
  return 1;
}

// All of a running process. Members are destroyed from the last to the first.
class Process final : private SignalHandler {
 public:
  Process(const ProcessOptions& options, config::Spec spec)
      : options_(options), spec_(std::make_shared<const config::Spec>(std::move(spec))) {}

  // Until a signal ends it.
  int run() {
    if (auto started = start(); !started) {
      stop();
      return complain(started.error());
    }
    while (!stopped_) loop_->run_turn(true);
    stop();
    return 0;
  }

 private:
  Result<void> start();
  Result<void> open_around();
  Result<void> start_workers();
  ControlEnvironment control_environment();
  void on_signal(int signal) override;
  void stop();

  const ProcessOptions& options_;
  std::shared_ptr<const config::Spec> spec_;
  std::vector<int> cores_;
  std::size_t workers_count_ = 1;
  bool stopped_ = false;

  std::optional<DescriptorBudget> budget_;
  std::unique_ptr<EpollEngine> engine_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<SignalSource> signals_;
  std::unique_ptr<observe::LogWriter> logs_;
  observe::MetricStore metrics_;
  std::unique_ptr<CaresResolver> resolver_;
  std::optional<InheritedSockets> inherited_;
  std::optional<ServiceManager> service_;
  std::optional<WorkersShared> shared_;
  std::unique_ptr<ControlPlane> control_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<ThreadExecutor> executor_;
};

Result<void> Process::open_around() {
  budget_.emplace(raise_descriptor_limit(), kDescriptorReserve);
  auto engine = EpollEngine::open(*budget_);
  if (!engine) return std::unexpected(std::move(engine.error()));
  engine_ = std::move(*engine);
  loop_ = std::make_unique<EventLoop>(*engine_, options_.seed);
  const int wanted[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
  auto signals = SignalSource::open(*engine_, wanted, *this);
  if (!signals) return std::unexpected(std::move(signals.error()));
  signals_ = std::move(*signals);
  auto logs = observe::LogWriter::start({.workers = static_cast<std::uint32_t>(workers_count_),
                                         .log_path = log_path(spec_->log),
                                         .log_level = log_level(spec_->log),
                                         .log_format = log_format(spec_->log)});
  if (!logs) return std::unexpected(std::move(logs.error()));
  logs_ = std::move(*logs);
  auto resolver = CaresResolver::open(*loop_, {});
  if (!resolver) return std::unexpected(std::move(resolver.error()));
  resolver_ = std::move(*resolver);
  inherited_.emplace(*engine_, environment_of("LISTEN_PID"), environment_of("LISTEN_FDS"));
  service_.emplace(send_to_service_manager(environment_of("NOTIFY_SOCKET")));
  auto executor = ThreadExecutor::start(*loop_);
  if (!executor) return std::unexpected(std::move(executor.error()));
  executor_ = std::move(*executor);
  return {};
}

Result<void> Process::start() {
  cores_ = allowed_cores();
  workers_count_ =
      spec_->workers != 0
          ? spec_->workers
          : automatic_workers(cores_.size(), cgroup_cores([](const std::string& path) { return read_file(path); }));
  if (auto opened = open_around(); !opened) return opened;
  auto compiled = config::compile(spec_, nullptr);
  if (!compiled) return std::unexpected(std::move(compiled.error()));
  shared_.emplace(workers_count_, *budget_, logs_->logger());
  control_ = std::make_unique<ControlPlane>(control_environment());
  if (auto started = start_workers(); !started) return started;
  if (auto started = control_->start(std::move(*compiled), shared_->handles); !started) return started;
  inherited_->close_rest();
  return {};
}

Result<void> Process::start_workers() {
  for (std::size_t i = 0; i < workers_count_; ++i) {
    // More workers than cores share them; with as many or fewer each has its own.
    const int core = cores_[i % cores_.size()];
    auto worker = WorkerThread::start(i, core, options_.seed + 1 + i, control_->events(i), *shared_);
    if (!worker) {
      // The others wait for all at their end.
      shared_->gone.count_down(static_cast<long>(workers_count_ - i));
      return std::unexpected(std::move(worker.error()));
    }
    workers_.push_back(std::move(*worker));
  }
  return {};
}

ControlEnvironment Process::control_environment() {
  ControlEnvironment environment;
  environment.loop = loop_.get();
  environment.executor = executor_.get();
  environment.resolver = resolver_.get();
  environment.metrics = &metrics_;
  environment.logger = &logs_->logger();
  environment.access_logs = logs_.get();
  environment.service = &*service_;
  environment.all_metrics = [this] {
    std::vector<const observe::MetricStore*> all{&metrics_, &logs_->metrics()};
    for (const auto& worker : workers_) all.push_back(&worker->metrics());
    return all;
  };
  environment.workers = workers_count_;
  environment.load = options_.load;
  environment.read_file = read_text_file;
  environment.take_inherited = [this](const SocketAddress& address) { return inherited_->take(address); };
  environment.process_metrics = []() -> std::optional<observe::ProcessMetrics> {
    auto metrics = observe::read_process_metrics();
    if (!metrics) return std::nullopt;
    return *metrics;
  };
  // What the old configuration and the parsing of the new one left behind goes back to the system, or a process that
  // is reloaded often would grow by what lies between.
  environment.on_reloaded = [this] { executor_->submit([] { malloc_trim(0); }, [] {}); };
  environment.configure_log = [this](const config::LogSpec& log) {
    return logs_->set_process_log(log_path(log), log_level(log), log_format(log));
  };
  environment.on_stopped = [this] { stopped_ = true; };
  environment.build = options_.build;
  return environment;
}

void Process::on_signal(int signal) {
  if (!control_) return;
  switch (signal) {
    case SIGTERM:
      return control_->terminate();
    case SIGINT:
      return control_->interrupt();
    case SIGHUP:
      return control_->hang_up();
    case SIGUSR1:
      return control_->reopen_logs();
    case SIGUSR2:
      return control_->upgrade();
    default:
      return;
  }
}

void Process::stop() {
  executor_.reset();
  for (auto& worker : workers_) worker->ask_to_exit();
  for (auto& worker : workers_) worker->join();
  control_.reset();
  workers_.clear();
  // Mail that nobody reads any more may hold logs and handles.
  resolver_.reset();
  signals_.reset();
  loop_.reset();
  if (logs_) logs_->stop(kLogStopTimeout);
}

}  // namespace

int run_process(const ProcessOptions& options) {
  // Few arenas: the threads that allocate much do so from pools of their own.
  mallopt(M_ARENA_MAX, 2);
  // A splice into a connection that is gone, or a line to a closed pipe, is an error value and no end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  LoadedSpec spec = options.load();
  if (!spec) {
    fmt::print(stderr, "{}", spec.error());
    return 1;
  }
  return Process(options, std::move(*spec)).run();
}

}  // namespace weir::server
