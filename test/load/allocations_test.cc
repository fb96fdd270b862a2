#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

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
  load.connections = 64;
  load.make = [](std::uint64_t number, std::string& out) {
    number % 2 == 0 ? append_get(out, "/a/page?x=1") : append_chunked_post(out, "/post/form");
  };
  // First more at once than later: a pool that has never held so many takes the difference from the heap once.
  load.requests = 20'000;
  ASSERT_EQ(run_load(load).failed(), 0U);
  load.connections = 32;
  // One load of warm-up and what is counted, so that the connections are the same ones.
  const std::uint64_t warm_up = 20'000;
  std::uint64_t before = 0, after = 0;
  load.requests = warm_up + requests + 1000;
  load.go_on = [&](std::uint64_t answered) {
    if (before == 0 && answered >= warm_up) {
      before = counted.allocations();
      counted.watch(true);
    }
    if (after == 0 && answered >= warm_up + requests) {
      after = counted.allocations();
      counted.watch(false);
    }
    return true;
  };
  const LoadResult result = run_load(load);
  EXPECT_EQ(result.failed(), 0U);
  EXPECT_EQ(after - before, 0U) << "over " << requests << " requests; where: " << weir.log();
  RecordProperty("allocations", static_cast<int>(after - before));
  EXPECT_EQ(weir.metric("lb_requests_total"), static_cast<double>(load.requests + 20'000));
  EXPECT_EQ(weir.terminate(), 0);
}

}  // namespace
}  // namespace weir::load
