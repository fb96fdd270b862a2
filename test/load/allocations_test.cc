#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "load/backend.h"
#include "load/client.h"
#include "load/harness.h"

namespace weir::load {
namespace {

// What count_allocations.c shares with us.
struct Count {
  std::atomic<std::uint64_t> watching;
  std::atomic<std::uint64_t> allocations;
  std::atomic<std::uint64_t> traced;
};

class Counted {
 public:
  Counted() : path_(folder_.write("count", std::string(4096, '\0'))) {
    const Descriptor file(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    count_ = static_cast<Count*>(::mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  }
  ~Counted() { ::munmap(count_, sizeof(Count)); }
  Environment environment() const { return {{"LD_PRELOAD", ALLOCATION_COUNTER}, {"ALLOCATION_COUNT", path_}}; }
  std::uint64_t allocations() const { return count_->allocations; }
  void watch(bool on) { count_->watching = on ? 1 : 0; }

 private:
  TempFolder folder_;
  const std::string path_;
  Count* count_;
};

std::string configuration(const Backend& one, const Backend& two) {
  return fmt::format(R"(
workers: 2
admin: {{address: "127.0.0.1:0"}}
listeners:
  - name: web
    address: "127.0.0.1:0"
    access_log: {{path: access.log, format: json}}
clusters:
  - name: app
    backends: [{{url: "http://127.0.0.1:{}"}}, {{url: "http://127.0.0.1:{}"}}]
routes:
  - name: posts
    match: {{path_prefix: /post, methods: [POST]}}
    cluster: app
    filters: [{{request_headers: {{set: {{x-env: prod}}}}}}, {{response_headers: {{remove: [server]}}}}]
  - name: all
    cluster: app
)",
                     one.port(), two.port());
}

constexpr std::uint64_t kWarmUp = 20'000;

// What the process allocates while it answers `requests` requests of `load`, which follow a warm-up on the same
// connections. Before them come kWarmUp on more connections: a pool that has never held so many takes the difference
// from the heap once. load.requests is then how many followed those.
std::uint64_t allocations_of(Counted& counted, LoadOptions& load, std::uint64_t requests) {
  load.connections = 64;
  load.requests = kWarmUp;
  EXPECT_EQ(run_load(load).failed(), 0U);
  std::uint64_t before = 0, after = 0;
  load.connections = 32;
  load.requests = kWarmUp + requests + 1000;
  load.go_on = [&](std::uint64_t answered) {
    if (before == 0 && answered >= kWarmUp) {
      before = counted.allocations();
      counted.watch(true);
    }
    if (after == 0 && answered >= kWarmUp + requests) {
      after = counted.allocations();
      counted.watch(false);
    }
    return true;
  };
  EXPECT_EQ(run_load(load).failed(), 0U);
  load.go_on = nullptr;
  return after - before;
}

// With metrics, request ids and the access log on, no thread of the process allocates while requests are served.
// Nothing is excluded: the log writer's thread, the control thread and all workers are counted, from the first request
// after the warm-up to the last answer.
TEST(Allocations, none_per_request_in_the_steady_state) {
  const std::uint64_t requests = number_from_environment("WEIR_ALLOCATION_REQUESTS", 20'000);
  Backend one, two;
  Counted counted;
  Weir weir(configuration(one, two), counted.environment());
  ASSERT_GT(counted.allocations(), 100U) << "nothing is counted: " << weir.log();

  LoadOptions load;
  load.port = weir.port("web");
  load.make = [](std::uint64_t number, std::string& out) {
    number % 2 == 0 ? append_get(out, "/a/page?x=1") : append_chunked_post(out, "/post/form");
  };
  const std::uint64_t allocations = allocations_of(counted, load, requests);
  EXPECT_EQ(allocations, 0U) << "over " << requests << " requests; where: " << weir.log();
  RecordProperty("allocations", static_cast<int>(allocations));
  EXPECT_EQ(weir.metric("lb_requests_total"), static_cast<double>(load.requests + kWarmUp));
  EXPECT_EQ(weir.terminate(), 0);
}

// Polls until `condition`.
template <typename Condition>
bool until(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

int end_of(Child& child) {
  const int status = child.wait();
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Clients of HTTP/2: many streams on few connections.
TEST(Allocations, none_per_request_of_http2_clients) {
  const std::uint64_t requests = number_from_environment("WEIR_ALLOCATION_REQUESTS", 20'000);
  const std::uint64_t warm_up = 20'000;
  Backend one, two;
  Counted counted;
  Weir weir(configuration(one, two), counted.environment());
  const auto load = [&](std::uint64_t number, int connections, int streams) {
    return start_program({"/bin/sh", "-c",
                          fmt::format("exec h2load -n {} -c {} -m {} -H 'accept: text/html' -H 'accept-language: en' "
                                      "-H 'cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark' "
                                      "'http://127.0.0.1:{}/a/page?x=1' > {}",
                                      number, connections, streams, weir.port("web"), weir.folder().file("h2load"))});
  };
  const auto answered = [&] { return one.counts().requests + two.counts().requests; };
  Child first = load(warm_up, 16, 8);  // more at once than later
  const int status = end_of(first);
  if (status == 127) GTEST_SKIP() << "h2load is not installed";
  ASSERT_EQ(status, 0);
  const std::uint64_t seen = answered();  // those that look for the backends' protocol too
  Child second = load(warm_up + requests + 5000, 8, 8);
  ASSERT_TRUE(until([&] { return answered() >= seen + warm_up; }));
  const std::uint64_t before = counted.allocations();
  counted.watch(true);
  ASSERT_TRUE(until([&] { return answered() >= seen + warm_up + requests; }));
  const std::uint64_t after = counted.allocations();
  counted.watch(false);
  EXPECT_EQ(end_of(second), 0);
  EXPECT_EQ(after - before, 0U) << "over " << requests << " requests; where: " << weir.log();
  EXPECT_EQ(weir.metric("lb_requests_total", "200"), static_cast<double>(2 * warm_up + requests + 5000));
  EXPECT_EQ(weir.terminate(), 0);
}

// A backend of HTTP/2: one connection for each worker carries all of them.
TEST(Allocations, none_per_request_to_an_http2_backend) {
  const std::uint64_t requests = number_from_environment("WEIR_ALLOCATION_REQUESTS", 20'000);
  TempFolder folder;
  const std::string socket = folder.file("backend");
  Child backend = start_program({program("weir-backend"), "--listen", "unix:" + socket, "--protocol", "http2"});
  ASSERT_TRUE(until([&] { return ::access(socket.c_str(), F_OK) == 0; }));
  Counted counted;
  Weir weir(fmt::format(R"(
workers: 2
admin: {{address: "127.0.0.1:0"}}
listeners:
  - name: web
    address: "127.0.0.1:0"
    access_log: {{path: access.log, format: json}}
clusters:
  - name: app
    protocol: http2
    backends: [{{url: "unix:{}"}}]
routes:
  - cluster: app
)",
                        socket),
            counted.environment());
  LoadOptions load;
  load.port = weir.port("web");
  load.make = [](std::uint64_t number, std::string& out) {
    number % 2 == 0 ? append_get(out, "/bytes?size=64") : append_chunked_post(out, "/echo");
  };
  EXPECT_EQ(allocations_of(counted, load, requests), 0U) << "over " << requests << "; where: " << weir.log();
  EXPECT_LE(weir.metric("lb_pool_connections"), 4.0);
  EXPECT_EQ(weir.terminate(), 0);
}

}  // namespace
}  // namespace weir::load
