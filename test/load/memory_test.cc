#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "load/backend.h"
#include "load/client.h"
#include "load/harness.h"

namespace weir::load {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

std::string configuration(std::uint16_t backend, std::string_view listener = "") {
  return fmt::format(R"(
workers: 2
admin: {{address: "127.0.0.1:0"}}
listeners: [{{name: web, address: "127.0.0.1:0"{}}}]
clusters: [{{name: app, backends: [{{url: "http://127.0.0.1:{}"}}]}}]
routes: [{{cluster: app}}]
)",
                     listener, backend);
}

TEST(Memory, little_is_resident_when_just_started) {
  Backend backend;
  Weir weir(configuration(backend.port()));
  const std::uint64_t resident = resident_bytes(weir.pid());
  fmt::print("just started: {} KiB resident\n", resident / 1024);
  EXPECT_LE(resident, 16 * kMiB);
}

// As many of those wanted as the limit of descriptors allows.
std::size_t connections_to_open(std::size_t wanted) {
  const std::size_t limit = raise_descriptor_limit();
  return std::min(limit - std::min<std::size_t>(limit / 2, 1000), wanted);
}

// What is resident before the connections that are measured. What the first requests of a worker bring with them is
// not a connection's.
std::uint64_t warm_bytes(Weir& weir) {
  LoadOptions warm_up;
  warm_up.port = weir.port("web");
  warm_up.requests = 2000;
  EXPECT_EQ(run_load(warm_up).failed(), 0U);
  EXPECT_TRUE(weir.wait_for_metric("lb_active_connections", "web", 0));
  return private_bytes(weir.pid());
}

// As many kept connections as the limit of descriptors allows, each after one request.
TEST(Memory, an_idle_connection_costs_at_most_512_bytes) {
  const std::size_t count = connections_to_open(number_from_environment("WEIR_IDLE_CONNECTIONS", 50'000));
  Backend backend;
  Weir weir(configuration(backend.port(), ", limits: {idle_timeout: 5m}"));
  const std::uint64_t before = warm_bytes(weir);

  std::vector<Descriptor> idle;
  std::string request;
  append_get(request, "/");
  for (std::size_t i = 0; i < count; ++i) {
    idle.push_back(connect_to(weir.port("web")));
    send_all(idle.back().get(), request);
    if (i % 64 != 63 && i + 1 != count) continue;
    for (std::size_t k = i / 64 * 64; k <= i; ++k) {
      ASSERT_TRUE(read_until(idle[k].get(), "\r\n\r\n").starts_with("HTTP/1.1 200 ")) << k;
    }
  }
  EXPECT_EQ(weir.metric("lb_active_connections", "web"), static_cast<double>(count));
  EXPECT_EQ(weir.metric("lb_connections_refused_total"), 0);
  const std::uint64_t after = private_bytes(weir.pid());
  const double each = (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(count);
  fmt::print("{} idle connections: {:.0f} bytes resident each\n", count, each);
  EXPECT_LE(each, 512);
  idle.clear();
  EXPECT_TRUE(weir.wait_for_metric("lb_active_connections", "web", 0));
}

// A frame of HTTP/2 by hand.
std::string http2_frame(char type, char flags, char stream, std::string_view payload) {
  std::string frame{'\0', '\0', static_cast<char>(payload.size()), type, flags, '\0', '\0', '\0', stream};
  return frame += payload;
}

// The same over HTTP/2. The client puts nothing into HPACK's table.
TEST(Memory, an_idle_http2_connection_costs_at_most_2_KiB) {
  const std::size_t count = connections_to_open(number_from_environment("WEIR_IDLE_HTTP2_CONNECTIONS", 20'000));
  Backend backend;
  Weir weir(configuration(backend.port(), ", limits: {idle_timeout: 5m}"));
  const std::uint64_t before = warm_bytes(weir);

  // GET, http, "/", and an authority that enters no table; a PING whose answer shows that all was read.
  const std::string request = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(4, 0, 0, "") +
                              http2_frame(1, 5, 1, std::string("\x82\x86\x84\x01\x01") + "a");
  const std::string acknowledge = http2_frame(4, 1, 0, "") + http2_frame(6, 0, 0, "all read");
  std::vector<Descriptor> idle;
  for (std::size_t i = 0; i < count; ++i) {
    idle.push_back(connect_to(weir.port("web")));
    send_all(idle.back().get(), request);
    if (i % 64 != 63 && i + 1 != count) continue;
    for (std::size_t k = i / 64 * 64; k <= i; ++k) {
      read_until(idle[k].get(), "abcde\n");
      send_all(idle[k].get(), acknowledge);
      read_until(idle[k].get(), "all read");
    }
  }
  EXPECT_EQ(weir.metric("lb_active_connections", "web"), static_cast<double>(count));
  const std::uint64_t after = private_bytes(weir.pid());
  const double each = (static_cast<double>(after) - static_cast<double>(before)) / static_cast<double>(count);
  fmt::print("{} idle HTTP/2 connections: {:.0f} bytes resident each\n", count, each);
  EXPECT_LE(each, 2048);
  idle.clear();
  EXPECT_TRUE(weir.wait_for_metric("lb_active_connections", "web", 0));
}

std::string many_routes(std::uint16_t backend) {
  std::string text =
      "workers: 2\nadmin: {address: \"127.0.0.1:0\"}\nlisteners: [{name: web, address: \"127.0.0.1:0\"}]\n"
      "clusters:\n";
  const auto out = std::back_inserter(text);
  for (int i = 0; i < 8; ++i) {
    fmt::format_to(out, "  - {{name: c{}, backends: [{{name: b{}, url: \"http://127.0.0.1:{}\"}}]}}\n", i, i, backend);
  }
  text += "routes:\n";
  for (int host = 0; host < 1000; ++host) {
    for (int prefix = 0; prefix < 10; ++prefix) {
      fmt::format_to(out, "  - match: {{host: host{}.example.com, path_prefix: /part{}}}\n    cluster: c{}\n", host,
                     prefix, (host + prefix) % 8);
    }
  }
  return text;
}

TEST(Memory, ten_thousand_routes_start_soon_and_small) {
  Backend backend;
  const std::string text = many_routes(backend.port());
  std::chrono::microseconds soonest = 1h;
  for (int round = 0; round < 3; ++round) {
    const auto began = std::chrono::steady_clock::now();
    Weir weir(text);
    const Answer answer =
        ask(weir.port("web"), "GET /part9/x HTTP/1.1\r\nhost: host999.example.com\r\nconnection: close\r\n\r\n");
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
    EXPECT_EQ(answer.status, 200);
    const std::uint64_t resident = resident_bytes(weir.pid());
    fmt::print("10,000 routes: {} ms to the first answer, {} KiB resident, {} ms of processor time\n",
               took.count() / 1000, resident / 1024, processor_time(weir.pid()).count() / 1000);
    EXPECT_LE(resident, 40 * kMiB);
    soonest = std::min(soonest, took);
  }
  EXPECT_LT(soonest, 300ms);  // the best of three: the machine may be busy with other things
}

// What one worker did, by its counter, as a share of what it would be if all did the same.
TEST(Workers, share_the_requests) {
  Backend one, two;
  Weir weir(configuration(one.port()));
  LoadOptions load;
  load.port = weir.port("web");
  load.connections = 256;
  load.requests = 10'000;
  load.even = true;  // or the worker whose core has other things to do would be asked less
  ASSERT_EQ(run_load(load).failed(), 0U);
  const double first = weir.metric("lb_worker_requests_total", "worker=\"0\"");
  const double second = weir.metric("lb_worker_requests_total", "worker=\"1\"");
  EXPECT_EQ(first + second, 10'000);
  fmt::print("two workers, 256 connections, 10,000 requests: {} and {}\n", first, second);
  EXPECT_LE(std::abs(first - 5000), 500);
}

}  // namespace
}  // namespace weir::load
