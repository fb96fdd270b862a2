#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "backend_connection.h"
#include "backend_server_fixture.h"
#include "http/http2/session_test_util.h"
#include "http2_connection.h"

namespace weir::backend {
namespace {

using http2::ErrorCode;
using http2::Role;
using http2::test::OwnedStream;
using http2::test::Owner;
using testing::ElementsAre;
using testing::HasSubstr;

// One connection that speaks HTTP/2 to the server.
class Client {
 public:
  Client(RawPeer& peer, http2::SessionLimits limits) : owner(Role::client, limits), peer(peer) {
    owner.keeps_bodies = false;
    owner.on_step = [this](const http2::Step& step) {
      if (step.event == http2::Event::body) bodies[step.stream->id()] += step.body;
    };
    peer.on_data([this](RawPeer& from) {
      const std::string bytes = from.received();
      from.forget();
      owner.feed(bytes);
      send();
    });
    send();
  }
  // Returns the stream's id.
  std::uint32_t ask(std::string path, std::string method = "GET", std::string_view body = {}, bool length = true) {
    const auto fill = [&](http::RequestHead& head) {
      Arena& arena = head.fields.arena();
      head.method = http::parse_method(method);
      head.method_text = arena.copy(method);
      head.path = head.target = arena.copy(path);
      if (!body.empty() && length) head.fields.add_copy("content-length", fmt::format("{}", body.size()));
    };
    OwnedStream& stream = owner.open(fill, body.empty());
    if (!body.empty()) {
      owner.session.send_body(stream, body);
      owner.session.send_end(stream, nullptr);
    }
    send();
    return stream.id();
  }
  void send() { peer.send(owner.take_all()); }
  const OwnedStream& stream(std::uint32_t id) { return owner.stream(id); }
  int status(std::uint32_t id) { return owner.stream(id).response.status; }
  std::string field(std::uint32_t id, std::string_view name) {
    const http::Field* found = owner.stream(id).response.fields.find(name);
    return found == nullptr ? "" : std::string(found->value());
  }

  Owner owner;
  RawPeer& peer;
  std::map<std::uint32_t, std::string> bodies;
};

class BackendHttp2Test : public BackendServerTest {
 protected:
  ~BackendHttp2Test() override { speakers.clear(); }
  Client& speak(http2::SessionLimits limits = {}) {
    speakers.push_back(std::make_unique<Client>(connect(), limits));
    return *speakers.back();
  }
  std::vector<std::unique_ptr<Client>> speakers;
};

TEST_F(BackendHttp2Test, AnswersAsOverHttp1) {
  Client& client = speak();
  const std::uint32_t name = client.ask("/echo");
  const std::uint32_t echo = client.ask("/echo", "POST", "hello");
  const std::uint32_t health = client.ask("/health");
  const std::uint32_t hash = client.ask("/hash?input=weir");
  const std::uint32_t bytes = client.ask("/bytes?size=100");
  const std::uint32_t none = client.ask("/bytes?size=0");
  const std::uint32_t bad = client.ask("/bytes?size=x");
  const std::uint32_t missing = client.ask("/nix", "POST", "a body that nobody wants");
  const std::uint32_t head = client.ask("/bytes?size=700000", "HEAD");
  run(1s);
  EXPECT_EQ(client.bodies[name], "backend-8001\n");
  EXPECT_EQ(client.status(name), 200);
  EXPECT_EQ(client.field(name, "date"), "Thu, 01 Jan 2026 00:00:00 GMT");
  EXPECT_EQ(client.field(name, "content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(client.field(name, "x-backend-name"), "backend-8001");
  EXPECT_EQ(client.field(name, "content-length"), "13");
  EXPECT_EQ(client.bodies[echo], "hello");
  EXPECT_EQ(client.field(echo, "content-length"), "5");
  EXPECT_EQ(client.bodies[health], "ok\n");
  EXPECT_THAT(client.bodies[hash], HasSubstr(hash_rounds("weir")));
  EXPECT_EQ(client.field(hash, "content-type"), "application/json");
  EXPECT_EQ(client.bodies[bytes], make_pattern(100));
  EXPECT_EQ(client.field(none, "content-length"), "0");
  EXPECT_EQ(client.status(bad), 400);
  EXPECT_EQ(client.status(missing), 404);
  EXPECT_EQ(client.field(head, "content-length"), "700000");
  EXPECT_EQ(client.bodies[head], "");
  for (std::uint32_t id = name; id <= head; id += 2) {
    EXPECT_TRUE(client.stream(id).ended && client.stream(id).detached()) << id;
  }
}

TEST_F(BackendHttp2Test, EchoesBodiesOfUnknownLengthWithTrailers) {
  Client& client = speak();
  Arena arena(client.owner.pool);
  http::FieldList trailers(arena);
  trailers.add("x-sum", "7", http::FieldId::other);
  OwnedStream& stream = client.owner.open([](http::RequestHead& head) { head.path = "/echo"; }, false);
  client.owner.session.send_body(stream, "in pieces ");
  client.send();
  run(1s);
  EXPECT_EQ(client.bodies[stream.id()], "in pieces ");
  client.owner.session.send_body(stream, "and an end");
  client.owner.session.send_end(stream, &trailers);
  client.send();
  run(1s);
  EXPECT_EQ(client.bodies[stream.id()], "in pieces and an end");
  EXPECT_EQ(http2::test::describe(stream.trailers), " x-sum=7");
  EXPECT_EQ(client.field(stream.id(), "content-length"), "");
}

TEST_F(BackendHttp2Test, LongBodiesShareTheConnectionBothWays) {
  for (DirectionPlan* plan : {&fate.plan.to_listener, &fate.plan.to_connector}) {
    plan->short_reads = plan->short_writes = true;
  }
  Client& client = speak();
  const std::string body = make_pattern(1'500'000);
  const std::uint32_t up = client.ask("/echo", "POST", body);
  const std::uint32_t down = client.ask("/bytes?size=2000001");
  const std::uint32_t also = client.ask("/bytes?size=65537");
  run(20s);
  EXPECT_TRUE(client.bodies[up] == body);
  EXPECT_TRUE(client.bodies[down] == make_pattern(2'000'001));
  EXPECT_TRUE(client.bodies[also] == make_pattern(65'537));
}

TEST_F(BackendHttp2Test, ManyRequestsAtOnceAreAnsweredInOneWrite) {
  Client& client = speak();
  run(1s);
  std::size_t reads = 0;
  client.peer.on_data([&](RawPeer& from) {
    ++reads;
    client.owner.feed(from.received());
    from.forget();
  });
  for (int i = 0; i < 50; ++i) {
    OwnedStream& stream = client.owner.open([](http::RequestHead& head) { head.path = "/health"; });
    client.bodies[stream.id()];
  }
  client.send();
  run(1s);
  EXPECT_EQ(reads, 1u);
  ASSERT_EQ(client.bodies.size(), 50u);
  for (const auto& [id, body] : client.bodies) EXPECT_EQ(body, "ok\n") << id;
}

TEST_F(BackendHttp2Test, DelaysAndFailuresAreTheRequestsOwn) {
  options.base_delay_ms = 200;
  Client& client = speak();
  const std::uint32_t first = client.ask("/health");
  run(100ms);
  const std::uint32_t second = client.ask("/echo", "POST", "abc");
  run(110ms);
  EXPECT_EQ(client.bodies[first], "ok\n");
  EXPECT_EQ(client.status(second), 0);
  run(100ms);
  EXPECT_EQ(client.bodies[second], "abc");
  options.base_delay_ms = 0;
  options.fail_percent = 100;
  const std::uint32_t failed = client.ask("/echo", "POST", "abc");
  run(1s);
  EXPECT_EQ(client.status(failed), 500);
}

TEST_F(BackendHttp2Test, AReaderThatStopsHoldsOnlyItsStreamBack) {
  Client& client = speak();
  client.owner.consumes = false;
  const std::uint32_t stalled = client.ask("/bytes?size=50000000");
  run(1s);
  client.owner.consumes = true;
  const std::uint32_t other = client.ask("/bytes?size=1000000");
  run(10s);
  EXPECT_EQ(client.bodies[stalled].size(), 64u * 1024);
  EXPECT_EQ(client.bodies[other].size(), 1'000'000u);
  EXPECT_LE(loop.buffers().outstanding() * kSliceBytes, Http2Connection::kOutputHigh);
  client.owner.session.reset(client.owner.stream(stalled), ErrorCode::cancel);
  client.send();
  run(1s);
  EXPECT_EQ(loop.buffers().outstanding(), 0u);
}

TEST_F(BackendHttp2Test, AClientThatReadsNothingIsNotReadEither) {
  RawPeer& peer = connect();
  peer.pause(true);
  std::string bytes = http2::test::kServerStart;
  const std::string block =
      "\x82\x86" + http2::test::field(":path", "/bytes?size=16000") + http2::test::field(":authority", "a");
  for (std::uint32_t id = 1; id < 2000; id += 2) bytes += http2::test::headers(id, block);
  bytes += http2::test::window_update(0, 1u << 30);
  for (int i = 0; i < 300'000; ++i) bytes += http2::test::frame(http2::FrameType::ping, 0, 0, "12345678");
  peer.send(bytes);
  run(5s);
  EXPECT_GT(peer.unsent(), 1'000'000u);
  peer.close();
  run(1s);
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(BackendHttp2Test, MalformedRequestsAreRefusedAloneBrokenFramesEndTheConnection) {
  RawPeer& peer = connect();
  const auto frames = [&] {
    std::vector<std::string> lines = http2::test::describe_frames(peer.received());
    peer.forget();
    return lines;
  };
  peer.send(http2::test::kServerStart);
  run(1s);
  frames();
  peer.send(http2::test::headers(1, http2::test::kGet + http2::test::field("Capital", "x")));
  run(1s);
  EXPECT_THAT(frames(), ElementsAre(testing::StartsWith("HEADERS 1"), testing::StartsWith("DATA 1"),
                                    "RST_STREAM 1 PROTOCOL_ERROR"));
  peer.send(http2::test::frame(http2::FrameType::ping, 0, 0, "short"));
  run(1s);
  EXPECT_THAT(frames(), ElementsAre("GOAWAY 0 last=1 FRAME_SIZE_ERROR"));
  EXPECT_TRUE(peer.ended());
  run(5s);
  EXPECT_EQ(server->connections(), 0u);
}

TEST_F(BackendHttp2Test, TellsTheProtocolByTheFirstBytesHoweverTheyCome) {
  const std::string start = http2::test::kServerStart;
  for (std::size_t cut = 1; cut < start.size(); ++cut) {
    RawPeer& peer = connect();
    peer.send(start.substr(0, cut));
    run(10ms);
    peer.send(start.substr(cut));
    run(10ms);
    EXPECT_THAT(http2::test::describe_frames(peer.received()), testing::Contains("SETTINGS 0 len=0 ACK")) << cut;
    peer.close();
  }
  RawPeer& peer = connect();
  peer.send("P");
  run(10ms);
  peer.send("OST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
  run(10ms);
  EXPECT_THAT(peer.received(), testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  // Behind a request it is HTTP/1 for good.
  peer.send(http2::Session::kPreface);
  run(10ms);
  EXPECT_THAT(peer.received(), HasSubstr("HTTP/1.1 505"));
}

TEST_F(BackendHttp2Test, SpeaksOnlyWhatItIsTold) {
  options.protocol = Protocol::http2;
  RawPeer& one = connect();
  one.send("GET /health HTTP/1.1\r\nhost: a\r\n\r\n");
  run(5s);
  EXPECT_THAT(http2::test::describe_frames(one.received()), testing::Contains("GOAWAY 0 last=0 PROTOCOL_ERROR"));
  EXPECT_TRUE(one.ended());
  Client& two = speak();
  const std::uint32_t id = two.ask("/health");
  run(1s);
  EXPECT_EQ(two.bodies[id], "ok\n");
  options.protocol = Protocol::http1;
  EXPECT_THAT(exchange(http2::test::kServerStart), testing::StartsWith("HTTP/1.1 505 "));
}

TEST_F(BackendHttp2Test, ClientsThatVanishLeaveNothing) {
  options.jitter_ms = 20;
  for (int i = 0; i < 30; ++i) {
    Client& client = speak();
    client.ask("/bytes?size=900000000");
    client.ask("/echo", "POST", make_pattern(300'000));
    run(i * 1ms);
    if (i % 2 == 0) {
      client.peer.reset();
    } else {
      client.peer.close();
    }
  }
  run(5s);
  EXPECT_EQ(server->connections(), 0u);
}

}  // namespace
}  // namespace weir::backend
