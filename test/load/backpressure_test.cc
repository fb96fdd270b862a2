#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>

#include "load/harness.h"

namespace weir::load {
namespace {

constexpr std::uint64_t kHeldMax = 256 * 1024;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

enum class Framing { length, chunked, close };

const char* name_of(Framing framing) {
  switch (framing) {
    case Framing::length:
      return "length";
    case Framing::chunked:
      return "chunked";
    case Framing::close:
      return "close";
  }
  return "";
}

std::string configuration(std::uint16_t backend) {
  return fmt::format(R"(
workers: 2
admin: {{address: "127.0.0.1:0"}}
listeners: [{{name: web, address: "127.0.0.1:0"}}]
clusters: [{{name: app, protocol: http1, backends: [{{url: "http://127.0.0.1:{}"}}]}}]
routes: [{{cluster: app}}]
)",
                     backend);
}

// The body's byte of a position: no period that a buffer's size could hide.
char byte_at(std::uint64_t position) {
  return static_cast<char>((position * 2654435761U) >> 16);
}

std::string body_piece(std::uint64_t from, std::size_t size) {
  std::string piece(size, '\0');
  for (std::size_t i = 0; i < size; ++i) piece[i] = byte_at(from + i);
  return piece;
}

// Sends a message of which the other side takes as much as it likes.
struct Sender {
  explicit Sender(Descriptor given, std::string head, Framing framing)
      : socket(std::move(given)), pending(std::move(head)), chunked(framing == Framing::chunked) {
    set_nonblocking(socket.get());
  }
  // Writes until the socket is full.
  void push() {
    static const std::string plain = body_piece(0, 64 * 1024);
    static const std::string chunk = fmt::format("{:x}\r\n{}\r\n", plain.size(), plain);
    for (;;) {
      if (pending.empty()) pending = chunked ? chunk : plain;
      const ssize_t count = ::send(socket.get(), pending.data(), pending.size(), MSG_NOSIGNAL);
      if (count <= 0) {
        broken = errno != EAGAIN;
        return;
      }
      written += static_cast<std::uint64_t>(count);
      pending.erase(0, static_cast<std::size_t>(count));
    }
  }
  Descriptor socket;
  std::string pending;
  bool chunked;
  bool broken = false;
  std::uint64_t written = 0;
};

// The one that does not read, and what it has read all the same.
struct Reader {
  Descriptor socket;
  std::uint64_t read = 0;
};

struct Flow {
  std::unique_ptr<Sender> sender;
  Reader reader;
  std::uint16_t sender_port, sender_peer, reader_port, reader_peer;
};

// Lets all senders write until none has got rid of a byte for a while.
void push_until_stuck(std::vector<Flow>& flows) {
  for (;;) {
    std::vector<pollfd> waiting;
    for (const Flow& flow : flows) waiting.push_back({flow.sender->socket.get(), POLLOUT, 0});
    if (::poll(waiting.data(), waiting.size(), 300) <= 0) return;
    for (std::size_t i = 0; i < flows.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      flows[i].sender->push();
      ASSERT_FALSE(flows[i].sender->broken) << i;
    }
  }
}

// What of each flow's bytes lies neither in a socket nor at either end: it must be in Weir.
std::uint64_t held_at_most(const std::vector<Flow>& flows) {
  auto queues = tcp_queues();
  std::uint64_t most = 0;
  for (const Flow& flow : flows) {
    const std::uint64_t on_the_way_in = queues[{flow.sender_port, flow.sender_peer}].unacknowledged +
                                        queues[{flow.sender_peer, flow.sender_port}].unread;
    const std::uint64_t on_the_way_out = queues[{flow.reader_peer, flow.reader_port}].unacknowledged +
                                         queues[{flow.reader_port, flow.reader_peer}].unread;
    const std::uint64_t taken = flow.sender->written - on_the_way_in;
    const std::uint64_t given = flow.reader.read + on_the_way_out;
    if (taken > given) most = std::max(most, taken - given);
  }
  return most;
}

class BackPressure : public testing::TestWithParam<Framing> {
 protected:
  BackPressure() : listener_(listen_on_loopback(&port_)), weir_(configuration(port_)) {
    raise_descriptor_limit();
    // What is accepted inherits it.
    const int small = 16 * 1024;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }

  // A response that nobody reads.
  Flow download(Framing framing) {
    Flow flow;
    flow.reader.socket = connect_to(weir_.port("web"), 16 * 1024);
    send_all(flow.reader.socket.get(), "GET /big HTTP/1.1\r\nhost: a\r\n\r\n");
    Descriptor backend = accept_from(listener_.get());
    read_until(backend.get(), "\r\n\r\n");
    std::string head = "HTTP/1.1 200 OK\r\n";
    if (framing == Framing::length) head += fmt::format("content-length: {}\r\n", kGiB);
    if (framing == Framing::chunked) head += "transfer-encoding: chunked\r\n";
    if (framing == Framing::close) head += "connection: close\r\n";
    flow.sender = std::make_unique<Sender>(std::move(backend), head + "\r\n", framing);
    return noted(std::move(flow));
  }

  // A request that nobody reads. `method`: PUT may be sent again, so Weir keeps the beginning of it.
  Flow upload(Framing framing, std::string_view method) {
    Descriptor client = connect_to(weir_.port("web"));
    std::string head = fmt::format("{} /big HTTP/1.1\r\nhost: a\r\n", method);
    head += framing == Framing::length ? fmt::format("content-length: {}\r\n", kGiB) : "transfer-encoding: chunked\r\n";
    Flow flow;
    flow.sender = std::make_unique<Sender>(std::move(client), head + "\r\n", framing);
    flow.sender->push();
    flow.reader.socket = accept_from(listener_.get());
    return noted(std::move(flow));
  }

  static Flow noted(Flow flow) {
    flow.sender_port = local_port(flow.sender->socket.get());
    flow.sender_peer = peer_port(flow.sender->socket.get());
    flow.reader_port = local_port(flow.reader.socket.get());
    flow.reader_peer = peer_port(flow.reader.socket.get());
    return flow;
  }

  // All stuck; then each reader takes a little, and all are stuck again.
  void expect_bounded(std::vector<Flow>& flows, std::uint64_t resident_before) {
    for (int round = 0; round < 2; ++round) {
      push_until_stuck(flows);
      EXPECT_LE(held_at_most(flows), kHeldMax);
      const std::uint64_t grown = private_bytes(weir_.pid()) - resident_before;
      // A quarter of a MiB besides for what is not a body: slab blocks, metric series.
      EXPECT_LE(grown, flows.size() * kHeldMax + 256 * 1024);
      fmt::print("{} flows, round {}: at most {} KiB of one in Weir, resident +{} KiB\n", flows.size(), round,
                 held_at_most(flows) / 1024, static_cast<std::int64_t>(grown) / 1024);
      for (Flow& flow : flows) {
        std::string taken;
        read_up_to(flow.reader.socket.get(), taken, 512 * 1024);
        flow.reader.read += taken.size();
        flow.sender->push();
      }
    }
  }

  std::uint16_t port_ = 0;
  Descriptor listener_;
  Weir weir_;
};

// Requests and responses of 1 GiB that the other side does not read: what Weir holds of each is at most 256 KiB, by
// what the sender could write less what the sockets hold, and by the growth of resident memory.
TEST_P(BackPressure, hundred_unread_responses) {
  static_cast<void>(get(weir_.admin_port(), "/livez"));
  const std::uint64_t before = private_bytes(weir_.pid());
  std::vector<Flow> flows;
  for (int i = 0; i < 100; ++i) flows.push_back(download(GetParam()));
  expect_bounded(flows, before);
  // The clients leave: nobody goes on sending for them.
  for (Flow& flow : flows) flow.reader.socket.close();
  for (Flow& flow : flows) EXPECT_TRUE(wait_for(flow.sender->socket.get(), POLLIN, kPatience));
  EXPECT_TRUE(weir_.wait_for_metric("lb_active_connections", "web", 0));
  EXPECT_TRUE(weir_.wait_for_metric("lb_pool_connections", "active", 0));
  EXPECT_EQ(weir_.terminate(), 0);
}

TEST_P(BackPressure, hundred_unread_requests) {
  if (GetParam() == Framing::close) GTEST_SKIP() << "no request ends with the connection";
  static_cast<void>(get(weir_.admin_port(), "/livez"));
  const std::uint64_t before = private_bytes(weir_.pid());
  std::vector<Flow> flows;
  for (int i = 0; i < 100; ++i) flows.push_back(upload(GetParam(), i % 2 == 0 ? "POST" : "PUT"));
  expect_bounded(flows, before);
  // The clients are gone, with a reset: a FIN behind a part of the body would wait there for it to be read.
  for (Flow& flow : flows) {
    const linger at_once{1, 0};
    ::setsockopt(flow.sender->socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    flow.sender->socket.close();
  }
  for (Flow& flow : flows) EXPECT_TRUE(wait_for(flow.reader.socket.get(), POLLIN, kPatience));
  EXPECT_TRUE(weir_.wait_for_metric("lb_active_connections", "web", 0));
  EXPECT_EQ(weir_.terminate(), 0);
}

std::string plain_body(const std::string& message, Framing framing) {
  const std::size_t head = message.find("\r\n\r\n") + 4;
  if (framing != Framing::chunked) return message.substr(head);
  std::string body;
  for (std::size_t at = head; at < message.size();) {
    const std::size_t size = std::strtoull(message.c_str() + at, nullptr, 16);
    if (size == 0) break;
    at = message.find("\r\n", at) + 2;
    body.append(message, at, size);
    at += size + 2;
  }
  return body;
}

// A body whose reader was slow arrives complete and unchanged.
TEST_P(BackPressure, a_slow_reader_gets_every_byte) {
  constexpr std::size_t kSize = 24 * 1024 * 1024;
  const std::string body = body_piece(7, kSize);
  const Framing framing = GetParam();
  const auto framed = [&](std::string head) {
    if (framing == Framing::length) head += fmt::format("content-length: {}\r\n", kSize);
    if (framing == Framing::chunked) head += "transfer-encoding: chunked\r\n";
    head += "\r\n";
    if (framing != Framing::chunked) return head + body;
    for (std::size_t at = 0; at < kSize; at += 1'000'003) {
      const std::size_t size = std::min<std::size_t>(1'000'003, kSize - at);
      head += fmt::format("{:x}\r\n{}\r\n", size, std::string_view(body).substr(at, size));
    }
    return head + "0\r\n\r\n";
  };
  for (const bool response : {true, false}) {
    if (!response && framing == Framing::close) continue;
    Descriptor client = connect_to(weir_.port("web"), response ? 32 * 1024 : 0);
    std::string message;
    std::jthread sender;
    Descriptor backend;
    if (response) {
      send_all(client.get(), "GET /big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      backend = accept_from(listener_.get());
      read_until(backend.get(), "\r\n\r\n");
      sender = std::jthread([&] {
        send_all(backend.get(), framed("HTTP/1.1 200 OK\r\nconnection: close\r\n"));
        backend.close();
      });
      message = read_to_end(client.get());
    } else {
      sender = std::jthread([&] { send_all(client.get(), framed("PUT /big HTTP/1.1\r\nhost: a\r\n")); });
      backend = accept_from(listener_.get());
      if (framing == Framing::length) {
        message = read_until(backend.get(), "\r\n\r\n");
        const std::size_t head = message.find("\r\n\r\n") + 4;
        read_up_to(backend.get(), message, head + kSize);
      } else {
        while (!message.ends_with("\r\n0\r\n\r\n")) read_up_to(backend.get(), message, message.size() + 1);
      }
    }
    sender.join();
    // A client of HTTP/1.1 gets chunks where the backend just closes.
    const Framing arrived = framing == Framing::close ? Framing::chunked : framing;
    EXPECT_TRUE(plain_body(message, arrived) == body) << (response ? "response" : "request");
  }
  EXPECT_EQ(weir_.terminate(), 0);
}

INSTANTIATE_TEST_SUITE_P(Framings, BackPressure, testing::Values(Framing::length, Framing::chunked, Framing::close),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace weir::load
