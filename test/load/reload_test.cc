#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <exception>
#include <latch>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "load/backend.h"
#include "load/client.h"
#include "load/harness.h"

namespace weir::load {
namespace {

constexpr std::size_t kSlowBytes = 4 * 1024 * 1024;
constexpr std::size_t kUploadBytes = 2 * 1024 * 1024;

// Answers /slow with kSlowBytes, takes uploads, and echoes what comes through tunnels. A thread for each connection.
class PatientBackend {
 public:
  PatientBackend()
      : listener_(listen_on_loopback(&port_)), accepting_([this](const std::stop_token& stop) { accept(stop); }) {}
  std::uint16_t port() const { return port_; }

 private:
  void accept(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (!wait_for(listener_.get(), POLLIN, 50ms)) continue;
      auto socket = std::make_shared<Descriptor>(accept_from(listener_.get()));
      connections_.emplace_back([socket](const std::stop_token& ended) {
        try {
          serve(*socket, ended);
        } catch (const std::exception&) {
          // The connection ended in the middle of something; whoever cares has noticed.
        }
      });
    }
  }

  static void serve(Descriptor& socket, const std::stop_token& stop) {
    for (;;) {
      while (!wait_for(socket.get(), POLLIN, 50ms)) {
        if (stop.stop_requested()) return;
      }
      std::string in = read_until(socket.get(), "\r\n\r\n");
      if (in.find("upgrade: websocket") != std::string::npos) return echo(socket, stop);
      if (in.starts_with("PUT ")) {
        read_up_to(socket.get(), in, in.find("\r\n\r\n") + 4 + kUploadBytes);
        send_all(socket.get(), "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n");
      } else {
        send_all(socket.get(), fmt::format("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", kSlowBytes));
        send_all(socket.get(), std::string(kSlowBytes, 's'));
      }
    }
  }

  static void echo(Descriptor& socket, const std::stop_token& stop) {
    send_all(socket.get(), "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    char piece[4096];
    while (!stop.stop_requested()) {
      if (!wait_for(socket.get(), POLLIN, 50ms)) continue;
      const ssize_t count = ::recv(socket.get(), piece, sizeof piece, 0);
      if (count <= 0) return;
      send_all(socket.get(), {piece, static_cast<std::size_t>(count)});
    }
  }

  std::uint16_t port_ = 0;
  Descriptor listener_;
  std::list<std::jthread> connections_;  // of the accepting thread
  std::jthread accepting_;
};

// Below the range that the kernel takes ports of outgoing connections from.
std::uint16_t free_low_port() {
  for (std::uint16_t port = 21'000; port < 31'000; ++port) {
    const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return port;
  }
  throw std::runtime_error("no free port");
}

class Reloads : public testing::Test {
 protected:
  // The configuration of the reload of a number: something of each kind differs from the one before.
  std::string configuration(std::uint64_t number) const {
    std::string text = fmt::format(R"(
workers: 2
admin: {{address: "127.0.0.1:0"}}
listeners:
  - name: web
    address: "127.0.0.1:0"
    limits: {{header_timeout: {}s}}
    access_log: {{path: access-{}.log, format: {}}}
)",
                                   10 + number % 2, number / 2 % 2, number % 3 == 0 ? "json" : "combined");
    if (number % 3 != 1)
      text += fmt::format("  - {{name: moving-{}, address: \"127.0.0.1:{}\"}}\n", number % 2, moving_port_);
    text += "clusters:\n  - name: app\n";
    text += number % 5 == 0 ? "    balance: least_connections\n" : "";
    text += fmt::format("    timeouts: {{connect: {}s}}\n    backends:\n", 5 + number % 2);
    for (std::size_t i = 0; i < backends_.size(); ++i) {
      if (i == 2 && number % 3 == 0) continue;
      text += fmt::format("      - {{name: b{}, url: \"http://127.0.0.1:{}\", weight: {}}}\n", i, backends_[i]->port(),
                          1 + (number + i) % 3);
    }
    text +=
        fmt::format("  - {{name: patient, backends: [{{name: p, url: \"http://127.0.0.1:{}\"}}]}}\n", patient_.port());
    text += fmt::format("  - {{name: extra-{}, backends: [{{name: x{}, url: \"http://127.0.0.1:{}\"}}]}}\n", number % 5,
                        number % 2, backends_[number % 2]->port());
    text += "routes:\n  - {name: patient, match: {path_prefix: /patient}, cluster: patient}\n";
    for (std::uint64_t i = 0; i < 1 + number % 4; ++i) {
      text += fmt::format("  - {{name: r{}, match: {{path_prefix: /r{}}}, cluster: {}}}\n", (number + i) % 7, i,
                          i % 2 == 0 ? fmt::format("extra-{}", number % 5) : "app");
    }
    return text + "  - {name: rest, cluster: app}\n";
  }

  Descriptor open_tunnel() const {
    Descriptor socket = connect_to(weir_->port("web"));
    send_all(socket.get(),
             "GET /patient/ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
             "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n");
    const std::string head = read_until(socket.get(), "\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
    return socket;
  }

  // Runs `once` again and again beside the reloads; what it throws is a failed request.
  template <typename Once>
  std::jthread keep_doing(Once once) {
    return std::jthread([this, once](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        try {
          once();
          ++beside_;
        } catch (const std::exception& error) {
          const std::lock_guard lock(mutex_);
          failures_.push_back(error.what());
          return;
        }
      }
    });
  }

  void download_slowly() const {
    const Descriptor socket = connect_to(weir_->port("web"), 16 * 1024);
    send_all(socket.get(), "GET /patient/slow HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    const std::string all = read_to_end(socket.get());
    if (all.size() != all.find("\r\n\r\n") + 4 + kSlowBytes)
      throw std::runtime_error("download cut short: " + all.substr(0, 300));
  }

  void upload() const {
    const Descriptor socket = connect_to(weir_->port("web"), 16 * 1024);
    send_all(socket.get(),
             fmt::format("PUT /patient/upload HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", kUploadBytes));
    send_all(socket.get(), std::string(kUploadBytes, 'u'));
    const std::string answer = read_until(socket.get(), "ok\n");
    if (!answer.starts_with("HTTP/1.1 200 ")) throw std::runtime_error("upload: " + answer);
  }

  void reload(std::uint64_t number) {
    weir_->write_configuration(configuration(number));
    const Answer answer = weir_->reload();
    if (answer.status != 200)
      throw std::runtime_error(fmt::format("reload {}: {} {}", number, answer.status, answer.body));
  }

  const std::uint16_t moving_port_ = free_low_port();
  std::vector<std::unique_ptr<Backend>> backends_;
  PatientBackend patient_;
  std::unique_ptr<Weir> weir_;
  std::atomic<std::uint64_t> beside_ = 0;
  std::mutex mutex_;
  std::vector<std::string> failures_;
};

// Each reload adds, removes or changes listeners, clusters, backends and routes. Meanwhile nothing fails: requests at
// full load, uploads, slow downloads, 100 tunnels. WEIR_RELOADS makes it longer.
TEST_F(Reloads, lose_nothing_and_leak_nothing) {
  const std::uint64_t reloads = number_from_environment("WEIR_RELOADS", 60);
  for (int i = 0; i < 3; ++i) backends_.push_back(std::make_unique<Backend>());
  weir_ = std::make_unique<Weir>(configuration(0));
  std::vector<Descriptor> tunnels;
  for (int i = 0; i < 100; ++i) tunnels.push_back(open_tunnel());
  std::vector<std::jthread> beside;
  for (int i = 0; i < 3; ++i) beside.push_back(keep_doing([this] { download_slowly(); }));
  for (int i = 0; i < 3; ++i) beside.push_back(keep_doing([this] { upload(); }));

  std::uint64_t after_ten = 0, at_the_end = 0;
  std::atomic<bool> reloaded = false;
  std::string trouble;
  // Reloading begins with pools, rings and histograms as large as this load makes them: growth after that is the
  // reloads'.
  std::latch warm(1);
  std::jthread reloading([&] {
    warm.wait();
    try {
      for (std::uint64_t i = 1; i <= reloads; ++i) {
        reload(i);
        const int tunnel = tunnels[i % tunnels.size()].get();
        const std::string word = fmt::format("through reload {}\n", i);
        send_all(tunnel, word);
        if (read_until(tunnel, "\n") != word) throw std::runtime_error("a tunnel says something else");
        if (i == 10) after_ten = private_bytes(weir_->pid());
      }
      at_the_end = private_bytes(weir_->pid());
    } catch (const std::exception& error) {
      trouble = error.what();
    }
    reloaded = true;
  });
  LoadOptions load;
  load.port = weir_->port("web");
  load.requests = UINT64_MAX;
  load.make = [](std::uint64_t number, std::string& out) {
    const std::string path = fmt::format("/r{}/x", number % 9);
    number % 4 == 0 ? append_chunked_post(out, path) : append_get(out, path);
  };
  load.go_on = [&, began = false](std::uint64_t answered) mutable {
    if (!began && answered >= 40'000) {
      began = true;
      warm.count_down();
    }
    return !reloaded;
  };
  const LoadResult result = run_load(load);
  reloading.join();
  EXPECT_EQ(trouble, "") << weir_->log();
  for (auto& thread : beside) thread.request_stop();
  beside.clear();
  for (const std::string& failure : failures_) ADD_FAILURE() << failure;
  for (const auto& [status, count] : result.statuses) {
    if (status != 200) ADD_FAILURE() << count << " times " << status << "\n" << weir_->metrics();
  }
  EXPECT_EQ(result.broken, 0U);
  for (const Descriptor& tunnel : tunnels) {
    send_all(tunnel.get(), "still there\n");
    EXPECT_EQ(read_until(tunnel.get(), "\n"), "still there\n");
  }
  EXPECT_EQ(weir_->metric("lb_config_generation"), static_cast<double>(reloads + 1));
  fmt::print("{} reloads, {} requests and {} uploads and downloads beside; {} KiB after 10, {} KiB at the end\n",
             reloads, result.answered, beside_.load(), after_ten / 1024, at_the_end / 1024);
  if (reloads >= 100) EXPECT_LE(at_the_end, after_ten + after_ten / 10);
  tunnels.clear();
  EXPECT_TRUE(weir_->wait_for_metric("lb_active_connections", "web", 0));
  EXPECT_EQ(weir_->terminate(), 0);
}

}  // namespace
}  // namespace weir::load
