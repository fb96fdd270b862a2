#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "load/backend.h"
#include "load/client.h"
#include "load/harness.h"

namespace weir::load {
namespace {

// The access log goes into a pipe that nobody empties: requests are served as if nothing was, and the lines that had no
// room are counted; those that had come when the pipe is read.
TEST(AccessLog, a_blocked_pipe_stalls_nobody_and_lost_lines_are_counted) {
  constexpr std::uint64_t kRequests = 40'000;
  Backend backend;
  const TempFolder folder;
  const std::string path = folder.file("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const Descriptor reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  Weir weir(fmt::format(R"(
workers: 2
admin: {{address: "127.0.0.1:0"}}
listeners: [{{name: web, address: "127.0.0.1:0", access_log: {{path: {}}}}}]
clusters: [{{name: app, backends: [{{url: "http://127.0.0.1:{}"}}]}}]
routes: [{{cluster: app}}]
)",
                        path, backend.port()));
  LoadOptions load;
  load.port = weir.port("web");
  load.requests = kRequests;
  const LoadResult result = run_load(load);
  EXPECT_EQ(result.failed(), 0U);
  EXPECT_LT(result.longest, 1s);
  EXPECT_GT(weir.metric("lb_access_log_lost_total", "web"), 0);

  // Every request is a line in the pipe, or one that was lost.
  std::uint64_t lines = 0;
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const auto lost = [&] { return static_cast<std::uint64_t>(weir.metric("lb_access_log_lost_total", "web")); };
  std::string piece(64 * 1024, '\0');
  while (lines + lost() < kRequests && std::chrono::steady_clock::now() < until) {
    while (wait_for(reader.get(), POLLIN, 100ms)) {
      const ssize_t count = ::read(reader.get(), piece.data(), piece.size());
      if (count <= 0) break;
      lines += static_cast<std::uint64_t>(std::count(piece.begin(), piece.begin() + count, '\n'));
    }
  }
  EXPECT_EQ(lines + lost(), kRequests);
  EXPECT_GT(lines, 0U);
  fmt::print("{} lines came, {} were lost, the longest request took {} us\n", lines, lost(), result.longest.count());
  EXPECT_EQ(weir.terminate(), 0);
}

}  // namespace
}  // namespace weir::load
