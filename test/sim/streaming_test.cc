// Bodies: bounded memory whoever is slow, and nothing lost, doubled or mixed up; copied and spliced.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

constexpr std::size_t kBig = 5'000'000;
constexpr std::size_t kMemoryMax = 256 * 1024;
constexpr std::size_t kWindow = 64 * 1024;  // of HTTP/2: what was let come and has nowhere to go

enum class Framing { length, chunked, until_close };
std::string name_of(Framing framing) {
  return framing == Framing::length ? "length" : framing == Framing::chunked ? "chunked" : "until_close";
}

class Downloads : public OverWiresWith<Framing> {
 protected:
  Script answer(const std::string& body) {
    switch (param()) {
      case Framing::length:
        return {send_bytes(response(body))};
      case Framing::chunked:
        return {send_bytes(chunked_response(body, 10'000))};
      case Framing::until_close:
        return {send_bytes("HTTP/1.1 200 OK\r\n\r\n" + body), then(Action::Kind::half_close)};
    }
    return {};
  }
};

TEST_P(Downloads, ASlowReaderCostsLittle) {
  const std::string body = pattern(1, kBig);
  backend().on("/", answer(body));
  start();
  SimClient& client = connect();
  client.stop_reading();
  client.get("/");
  run(2s);
  EXPECT_LE(proxy_.buffer_bytes_out(), kMemoryMax);
  EXPECT_GT(exchange().unsent(), kBig - 64 * 1024 * 2 - kMemoryMax - 256 * 1024);
  for (int i = 0; i < 10; ++i) {  // in fits and starts
    client.go_on_reading();
    run(2ms);
    client.stop_reading();
    run(20ms);
    EXPECT_LE(proxy_.buffer_bytes_out(), kMemoryMax);
  }
  client.go_on_reading();
  run(5s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_TRUE(client.answers()[0].body == body);
  EXPECT_EQ(last_log("response_bytes"), std::to_string(kBig));
}

TEST_P(Downloads, PartialReadsAndWritesChangeNothing) {
  const std::string body = pattern(1, 700'000);
  backend().on("/", answer(body));
  for (LinkPlan* plan : {&fates_.client, &fates_.backend}) {
    plan->to_connector.short_reads = plan->to_connector.short_writes = true;
    plan->to_listener.short_reads = plan->to_listener.short_writes = true;
  }
  fates_.client.send_buffer_bytes = 7000;
  start();
  SimClient& client = connect();
  client.get("/");
  run(30s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_TRUE(client.answers()[0].body == body);
}

// Bug 3: a reset passed for the end of a body that goes on until the close.
TEST_P(Downloads, ABrokenBackendMeansABrokenMessage) {
  const std::string body = pattern(1, 300'000);
  Script script = answer(body);
  script[0].bytes.resize(script[0].bytes.size() - 1000);
  if (param() == Framing::until_close) script.pop_back();
  script.push_back(wait_for(50ms));
  script.push_back(then(Action::Kind::reset));
  backend().on("/", script);
  start();
  SimClient& client = connect();
  client.get("/");
  run(1s);
  EXPECT_EQ(client.answer_count(), 0U);
  EXPECT_TRUE(broken_off(client));
  EXPECT_EQ(last_log("reason"), "upstream_reset");
  EXPECT_EQ(last_log("status"), "200");
  if (!from_http1()) return;
  SimClient& old = connect();  // to HTTP/1.0 all bodies end with the connection: only a reset tells
  old.raw("GET / HTTP/1.0\r\n\r\n");
  run(1s);
  EXPECT_EQ(old.answer_count(), 0U);
  if (param() != Framing::length) EXPECT_TRUE(old.got_reset());
}

TEST_P(Downloads, AClientThatLeavesStopsTheBackend) {
  backend().on("/", answer(pattern(1, kBig)));
  start();
  SimClient& client = connect();
  client.get("/");
  run(3ms);
  EXPECT_GT(client.received_bytes(), 0U);
  client.close();
  run(10ms);
  EXPECT_TRUE(exchange().stopped());
  EXPECT_EQ(proxy_.live_streams(), 0U);
}

WEIR_OVER_ALL_WIRES_WITH(Downloads, testing::Values(Framing::length, Framing::chunked, Framing::until_close));

class Uploads : public OverWiresWith<Framing> {
 protected:
  std::string request(const std::string& method, const std::string& body) {
    if (param() == Framing::length) {
      return method + " /up HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    return method + " /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 9'999);
  }
};

// Bug 4: a body held back while connecting was never asked for again if it lay between the watermarks then.
TEST_P(Uploads, ASlowBackendCostsLittle) {
  const std::string body = pattern(1, kBig);
  const std::size_t memory_max = kMemoryMax + (from_http1() ? 0 : kWindow);
  start();
  backend().accepts_without_reading = true;
  for (const char* method : {"POST", "PUT"}) {
    SimClient& client = connect();
    client.raw(request(method, body), method);
    run(2s);
    EXPECT_LE(proxy_.buffer_bytes_out(), memory_max);
    EXPECT_GT(client.unsent(), kBig - 64 * 1024 * 2 - kMemoryMax - 256 * 1024);
    BackendConnection& connection = *backend().connections().back();
    for (int i = 0; i < 10; ++i) {
      connection.go_on_reading();
      run(2ms);
      connection.stop_reading();
      run(20ms);
      EXPECT_LE(proxy_.buffer_bytes_out(), memory_max);
    }
    connection.go_on_reading();
    run(5s);
    ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
    EXPECT_TRUE(backend().requests().back().body == body);
    EXPECT_EQ(last_log("request_bytes"), std::to_string(kBig));
    client.close();
    connection.close();
    run(10ms);
  }
}

TEST_P(Uploads, PartialReadsAndWritesChangeNothing) {
  const std::string body = pattern(1, 700'000);
  for (LinkPlan* plan : {&fates_.client, &fates_.backend}) {
    plan->to_connector.short_reads = plan->to_connector.short_writes = true;
    plan->to_listener.short_reads = plan->to_listener.short_writes = true;
  }
  fates_.backend.send_buffer_bytes = 7000;
  start();
  SimClient& client = connect();
  client.raw(request("POST", body), "POST");
  run(30s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_TRUE(backend().requests().back().body == body);
}

TEST_P(Uploads, ABodyIsTriedAgainWhileItIsKept) {
  add_backend("two");
  for (auto& one : backends_) {
    one->greeting = {then(Action::Kind::stop_reading), wait_for(20ms), then(Action::Kind::reset)};
  }
  start();
  SimClient& client = connect();
  const std::string body = pattern(1, 40'000);
  client.raw(request("PUT", body), "PUT");
  run(10ms);
  for (auto& one : backends_) one->greeting.clear();
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 200);
  EXPECT_EQ(backend(0).requests().size() + backend(1).requests().size(), 1U);
  EXPECT_EQ(last_log("attempts"), "2");
  EXPECT_TRUE((backend(0).requests().empty() ? backend(1) : backend(0)).requests()[0].body == body);
}

TEST_P(Uploads, ABodyTooLongToBeKeptIsNotTriedAgain) {
  add_backend("two");
  for (auto& one : backends_) {
    one->greeting = {then(Action::Kind::stop_reading), wait_for(20ms), then(Action::Kind::reset)};
  }
  start();
  SimClient& client = connect();
  client.raw(request("PUT", pattern(1, 150'000)), "PUT");
  run(10ms);
  for (auto& one : backends_) one->greeting.clear();
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_EQ(client.answers()[0].body, "502 upstream_reset\n");
}

WEIR_OVER_ALL_WIRES_WITH(Uploads, testing::Values(Framing::length, Framing::chunked));

class Streaming : public OverWires {};
WEIR_OVER_ALL_WIRES(Streaming);
class StreamingOfHttp1 : public SimTest {};

TEST_P(Streaming, ManyAtOnceNeverMix) {
  for (int i = 0; i < 20; ++i) {
    Handler handler;
    const std::string down =
        pattern(static_cast<std::uint64_t>(100 + i), 50'000 + 20'000 * static_cast<std::size_t>(i));
    handler.at_end = [down, i](const Message&) {
      return Script{send_bytes(i % 2 == 0 ? response(down) : chunked_response(down, 5000))};
    };
    backend().on("/" + std::to_string(100 + i), handler);
  }
  fates_.client.send_buffer_bytes = 10'000;
  start();
  for (int i = 0; i < 20; ++i) {
    SimClient& client = connect();
    const std::string path = "/" + std::to_string(100 + i);
    client.request("POST", path, "",
                   pattern(static_cast<std::uint64_t>(i), 200'000 - 9'000 * static_cast<std::size_t>(i)));
    client.get(path);
  }
  run(10s);
  for (int i = 0; i < 20; ++i) {
    const std::string down =
        pattern(static_cast<std::uint64_t>(100 + i), 50'000 + 20'000 * static_cast<std::size_t>(i));
    ASSERT_EQ(clients_[static_cast<std::size_t>(i)]->answer_count(), 2U);
    EXPECT_TRUE(clients_[static_cast<std::size_t>(i)]->answers()[0].body == down);
    EXPECT_TRUE(clients_[static_cast<std::size_t>(i)]->answers()[1].body == down);
  }
  for (const Message& request : backend().requests()) {
    if (request.method != "POST") continue;
    const auto i = static_cast<std::uint64_t>(std::stoi(request.target.substr(1)) - 100);
    EXPECT_TRUE(request.body == pattern(i, 200'000 - 9'000 * i));
  }
}

// Bug 2: a message whose last byte came just as it was held back was never ended.
TEST_F(StreamingOfHttp1, ALongPipelineOfSmallRequestsIsHeldBackToo) {
  backend().on("/", response(pattern(1, 10'000)));
  start();
  SimClient& client = connect();
  client.stop_reading();
  for (int i = 0; i < 400; ++i) client.get("/");
  run(1s);
  EXPECT_LE(proxy_.buffer_bytes_out(), kMemoryMax);
  client.go_on_reading();
  run(5s);
  EXPECT_EQ(client.answer_count(), 400U);
}

TEST_P(Streaming, WithoutPipesBodiesAreCopied) {
  const std::string body = pattern(1, 600'000);
  backend().on("/", response(body));
  start();
  run(10ms);
  proxy_.descriptors().set_limit(proxy_.descriptors().open() + 8 + 2);
  SimClient& client = connect();
  client.get("/");
  run(5s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_TRUE(client.answers()[0].body == body);
}

// A FIN inside a body ends the request at once, also where the backend doesn't take what came before it: what Weir has
// not read yet can't make it whole any more.
TEST_P(Streaming, AnUploadCutShortEndsAlsoWhileItIsHeldBack) {
  fates_.client.send_buffer_bytes = 600'000;
  backend().greeting = {then(Action::Kind::stop_reading)};
  start();
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::string part = pattern(1, 400'000);
  SimClient& spliced = connect();
  spliced.raw(head + "Content-Length: 5000000\r\n\r\n" + part, "POST");
  SimClient& copied = connect();
  copied.raw(head + "Content-Length: 400001\r\n\r\n" + part, "POST");
  SimClient& chunked = connect();
  chunked.raw(head + "Transfer-Encoding: chunked\r\n\r\n100000\r\n" + part, "POST");
  run(1s);
  EXPECT_EQ(proxy_.live_streams(), 3U);
  for (auto& client : clients_) client->half_close();
  run(1s);
  // The network has taken all of it, the FIN too.
  if (from_http1()) {
    for (auto& client : clients_) EXPECT_EQ(client->unsent(), 0U);
  }
  EXPECT_EQ(proxy_.live_streams(), 0U);
  for (const auto& connection : backend().connections()) connection->go_on_reading();
  if (to_http1()) {
    for (const auto& connection : backend().connections()) EXPECT_TRUE(connection->got_reset());
  } else {
    run(10ms);
    EXPECT_EQ(backend().heads(), 3U);
    EXPECT_EQ(backend().stopped_exchanges(), 3U);
  }
  EXPECT_EQ(last_log("status"), "0");
}

TEST_F(StreamingOfHttp1, AWholeUploadWithAFinBehindItIsFinishedHoweverLate) {
  fates_.client.send_buffer_bytes = 600'000;
  backend().greeting = {then(Action::Kind::stop_reading)};
  start();
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::string body = pattern(1, 250'000);
  connect().raw(head + "Content-Length: 250000\r\n\r\n" + body, "POST");
  connect().raw(head + "Transfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 100'000), "POST");
  for (auto& client : clients_) client->half_close();
  run(5s);
  for (auto& client : clients_) EXPECT_EQ(client->unsent(), 0U);
  EXPECT_EQ(proxy_.live_streams(), 2U);
  for (const auto& connection : backend().connections()) connection->go_on_reading();
  run(1s);
  for (auto& client : clients_) {
    ASSERT_EQ(client->answer_count(), 1U) << client->reader().error();
    EXPECT_EQ(client->answers()[0].status, 200);
  }
  for (const Message& request : backend().requests()) EXPECT_EQ(request.body, body);
}

}  // namespace
}  // namespace weir::sim
