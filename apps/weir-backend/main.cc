#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "backend_server.h"
#include "net/epoll_engine.h"
#include "net/event_loop.h"
#include "options.h"

namespace weir::backend {
namespace {

constexpr int kRunFailed = 1;
constexpr int kWrongUsage = 2;

int complain(int code, std::string_view message) {
  fmt::print(stderr, "weir-backend: {}\n", message);
  return code;
}

// Tells the loop of TERM and INT, which are blocked.
class StopSignal final : public ReadinessHandler {
 public:
  explicit StopSignal(const sigset_t& signals) : descriptor_(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC)) {}
  ~StopSignal() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  void on_ready(Readiness readiness) override { came_ = came_ || readiness.can_read(); }
  int descriptor() const { return descriptor_; }
  bool came() const { return came_; }

 private:
  const int descriptor_;
  bool came_ = false;
};

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

int serve(const Options& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  DescriptorBudget budget(raise_descriptor_limit(), 0);
  const auto engine = EpollEngine::open(budget);
  if (!engine) return complain(kRunFailed, engine.error().message);
  EventLoop loop(**engine, static_cast<std::uint64_t>((*engine)->now().time_since_epoch().count()));
  StopSignal stop(signals);
  if (stop.descriptor() < 0) return complain(kRunFailed, std::strerror(errno));
  if (const auto watched = (*engine)->watch(stop.descriptor(), stop); !watched) {
    return complain(kRunFailed, watched.error().message);
  }
  BackendServer server(loop, options);
  if (const auto started = server.start(); !started) return complain(kRunFailed, started.error().message);
  fmt::print("{} listening on {}\n", server.name(), server.address().to_string());
  std::fflush(stdout);
  while (!stop.came()) loop.run_turn(true);
  return 0;
}

int run(int argc, char** argv) {
  CLI::App app("Weir's test server: /echo, /health, /bytes?size=N, /hash[?input=S], else 404.");
  app.footer(
      "Environment: BACKEND_NAME (--name wins), BASE_DELAY_MS and JITTER_MS (before the head of an answer),\n"
      "FAIL_PCT (that share of the requests is answered 500). Answers carry x-backend-name.");
  std::string listen;
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
  return serve(options);
}

}  // namespace
}  // namespace weir::backend

int main(int argc, char** argv) {
  return weir::backend::run(argc, argv);
}
