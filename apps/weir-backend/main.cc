#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend_server.h"
#include "net/epoll_engine.h"
#include "net/event_loop.h"
#include "options.h"
#include "server/cpu_count.h"
#include "server/thread.h"

namespace weir::backend {
namespace {

constexpr int kRunFailed = 1;
constexpr int kWrongUsage = 2;

int complain(int code, std::string_view message) {
  fmt::print(stderr, "weir-backend: {}\n", message);
  return code;
}

// A loop with its server. Made and destroyed in the main thread, run in a thread of its own.
class Worker {
 public:
  // `budget` and `options` outlive it.
  static Result<std::unique_ptr<Worker>> open(DescriptorBudget& budget, const Options& options) {
    auto engine = EpollEngine::open(budget);
    if (!engine) return std::unexpected(engine.error());
    return std::unique_ptr<Worker>(new Worker(std::move(*engine), options));
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  BackendServer& server() { return server_; }
  // Returns after stop().
  void run() {
    while (!stopped_) loop_.run_turn(true);
  }
  // From any thread.
  void stop() {
    loop_.post([this] { stopped_ = true; });
  }

 private:
  Worker(std::unique_ptr<EpollEngine> engine, const Options& options)
      : engine_(std::move(engine)),
        loop_(*engine_, static_cast<std::uint64_t>(engine_->now().time_since_epoch().count())),
        server_(loop_, options) {}

  std::unique_ptr<EpollEngine> engine_;
  EventLoop loop_;
  BackendServer server_;
  bool stopped_ = false;  // of the worker's thread
};

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// Each worker has a core to itself if there is one for each; otherwise the kernel knows better, since other processes
// may count on the same cores.
Result<std::vector<std::unique_ptr<server::Thread>>> start_threads(std::vector<std::unique_ptr<Worker>>& workers) {
  const std::vector<int> cores = server::allowed_cores();
  const bool pinned = workers.size() > 1 && workers.size() == cores.size();
  std::vector<std::unique_ptr<server::Thread>> threads;
  for (std::size_t i = 0; i < workers.size(); ++i) {
    auto thread = server::Thread::start(fmt::format("worker-{}", i), pinned ? cores[i] : server::Thread::kAnyCore,
                                        [&worker = *workers[i]] { worker.run(); });
    if (!thread) {
      for (const auto& worker : workers) worker->stop();
      return std::unexpected(std::move(thread.error()));
    }
    threads.push_back(std::move(*thread));
  }
  return threads;
}

int serve(const Options& options, std::size_t count) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  DescriptorBudget budget(raise_descriptor_limit(), 0);
  std::vector<std::unique_ptr<Worker>> workers;
  while (workers.size() < count) {
    auto worker = Worker::open(budget, options);
    if (!worker) return complain(kRunFailed, worker.error().message);
    workers.push_back(std::move(*worker));
  }
  BackendServer& first = workers.front()->server();
  if (const auto started = first.start(); !started) return complain(kRunFailed, started.error().message);
  std::vector<BackendServer*> others;
  for (std::size_t i = 1; i < count; ++i) others.push_back(&workers[i]->server());
  if (!others.empty()) first.lead(others);
  const auto threads = start_threads(workers);
  if (!threads) return complain(kRunFailed, threads.error().message);
  fmt::print("{} listening on {}\n", first.name(), first.address().to_string());
  std::fflush(stdout);
  int caught = 0;
  sigwait(&signals, &caught);
  for (const auto& worker : workers) worker->stop();
  for (const auto& thread : *threads) thread->join();
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app("Weir's test server: /echo, /health, /bytes?size=N, /hash[?input=S], /metrics, else 404.");
  app.footer(
      "Environment: BACKEND_NAME (--name wins), BASE_DELAY_MS and JITTER_MS (before the head of an answer),\n"
      "FAIL_PCT (that share of the requests is answered 500). Answers carry x-backend-name.");
  std::string listen;
  std::string workers = "1";
  Options options;
  app.add_option("--listen", listen, "Where to listen: 127.0.0.1:8001, [::1]:8001 or unix:/path; port 0 picks one")
      ->required();
  app.add_option("--name", options.name, "Its name; default: $BACKEND_NAME, or backend-PORT");
  const std::map<std::string, Protocol> protocols = {
      {"auto", Protocol::any}, {"http1", Protocol::http1}, {"http2", Protocol::http2}};
  app.add_option("--protocol", options.protocol,
                 "auto (tells by the first bytes), http1 or http2 (in the clear, by preface)")
      ->transform(CLI::CheckedTransformer(protocols))
      ->option_text("auto|http1|http2");
  app.add_option("--workers", workers, "Threads that serve, or auto: one for each core it may use; default: 1");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  const auto address = SocketAddress::parse(listen);
  if (!address)
    return complain(kWrongUsage, fmt::format("--listen {}: not host:port, [v6]:port or unix:/path", listen));
  options.listen = *address;
  if (const auto read = read_environment(options, [](const char* name) -> const char* { return std::getenv(name); });
      !read) {
    return complain(kWrongUsage, read.error().message);
  }
  if (!http::is_field_value(options.name)) return complain(kWrongUsage, "the name can't stand in a header field");
  const auto count = parse_workers(
      workers, server::automatic_workers(server::allowed_cores().size(), server::cgroup_cores(server::read_file)));
  if (!count) return complain(kWrongUsage, fmt::format("--workers {}: not auto or a number from 1 to 256", workers));
  return serve(options, *count);
}

}  // namespace
}  // namespace weir::backend

int main(int argc, char** argv) {
  return weir::backend::run(argc, argv);
}
