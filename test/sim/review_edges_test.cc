// What a client may do to its connection, and what it then is owed.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

std::string upload(std::size_t size, std::string_view more = {}) {
  return "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n" + std::string(more) +
         "\r\n";
}

// Who didn't read its answers and sent a body that nobody wanted was read on and on: what broke the body's framing, or
// made it too long, had ended nothing as long as the answers had not gone out. All of it was kept, and copied each
// time, and each read put the connection's timeout off.
TEST_F(BugsOfHttp1, Case082AnUnwantedBodyIsNotReadBehindItsEnd) {
  listener().idle_timeout = 5s;
  fates_.client.send_buffer_bytes = 16 * 1024;
  proxy_.setup.routes.front()->match.path_prefix = "/app";
  backend().on("/app", response(std::string(60'000, 'a')));
  start();
  std::string tiny_chunks = in_chunks(std::string(600'000, 'c'), 1);
  for (const std::string& body : {"zz\r\n" + std::string(3'000'000, 'x'), tiny_chunks}) {
    SimClient& client = connect();
    client.stop_reading();
    client.get("/app");
    run(100ms);
    client.raw("POST /none HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "POST");
    const TimePoint begin = now();
    for (std::size_t sent = 0; sent < body.size() && !client.ended(); sent += 40'000) {
      client.send(std::string_view(body).substr(sent, 40'000));
      run(100ms);
      EXPECT_LE(proxy_.buffer_bytes_out(), 256U * 1024);
    }
    EXPECT_TRUE(client.ended());
    EXPECT_LE(now() - begin, 12s);
  }
}

// Over TLS the end of the body may wait in the layer, where nobody counted it: a client that had sent a whole request
// and closed its half was taken for one that had broken off.
TEST_P(Bugs, Case083AWholeRequestWithAFinBehindItIsAnswered) {
  if (!from_http1()) return;
  fates_.client.send_buffer_bytes = 1024 * 1024;
  for (const std::size_t size : {5'000U, 20'000U, 60'000U, 100'000U, 300'000U}) {
    if (size == 5'000U) start();
    SimClient& client = connect();
    run(50ms);
    const std::string body = pattern(1, size);
    client.raw(upload(size) + body, "POST");
    client.half_close();
    run(200ms);
    ASSERT_EQ(client.answer_count(), 1U) << size;
    EXPECT_EQ(client.answers()[0].status, 200);
    EXPECT_TRUE(backend().requests().back().body == body);
  }
}

// The same where the backend holds the body back.
TEST_P(Bugs, Case115AWholeRequestWithAFinBehindItIsAnsweredHoweverLate) {
  if (!from_http1()) return;
  fates_.client.send_buffer_bytes = 1024 * 1024;
  backend().greeting = {then(Action::Kind::stop_reading)};
  start();
  const std::string body = pattern(1, 120'000);
  connect().raw(upload(body.size()) + body, "POST");
  connect().raw("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 100'000),
                "POST");
  for (auto& client : clients_) client->half_close();
  run(5s);
  EXPECT_EQ(proxy_.live_streams(), 2U);
  EXPECT_LE(proxy_.buffer_bytes_out(), 2 * 256U * 1024);
  for (const auto& connection : backend().connections()) connection->go_on_reading();
  run(1s);
  for (auto& client : clients_) {
    ASSERT_EQ(client->answer_count(), 1U) << client->reader().error();
    EXPECT_EQ(client->answers()[0].status, 200);
  }
  for (const Message& request : backend().requests()) EXPECT_TRUE(request.body == body);
}

// The same where the FIN came alone, behind a body that had been held back for a while.
TEST_P(Bugs, Case138AFinThatComesLaterEndsNoWholeRequest) {
  if (!from_http1()) return;
  fates_.client.send_buffer_bytes = 1024 * 1024;
  backend().greeting = {then(Action::Kind::stop_reading)};
  start();
  const std::string body = pattern(1, 400'000);
  connect().raw(upload(body.size()) + body, "POST");
  connect().raw("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 100'000),
                "POST");
  run(1s);
  for (auto& client : clients_) client->half_close();
  run(5s);
  EXPECT_EQ(proxy_.live_streams(), 2U);
  for (const auto& connection : backend().connections()) connection->go_on_reading();
  run(1s);
  for (auto& client : clients_) {
    ASSERT_EQ(client->answer_count(), 1U) << client->reader().error();
    EXPECT_EQ(client->answers()[0].status, 200);
  }
  for (const Message& request : backend().requests()) EXPECT_TRUE(request.body == body);
}

// What is read ahead to tell whether a request is whole has bounds, for a connection and for all of a worker. Beyond
// them nobody's request is taken for cut short.
TEST_P(Review, UploadsThatAreHeldBackBehindTheirFinAreBounded) {
  if (!from_http1()) return;
  constexpr std::size_t kUploads = 20, kBytes = 1'300'000;
  fates_.client.send_buffer_bytes = 2 * 1024 * 1024;
  backend().greeting = {then(Action::Kind::stop_reading)};
  start();
  const std::string body = pattern(1, kBytes);
  for (std::size_t i = 0; i < kUploads; ++i) connect().raw(upload(kBytes) + body, "POST");
  run(1s);
  for (auto& client : clients_) client->half_close();
  run(1s);
  EXPECT_EQ(proxy_.live_streams(), kUploads);
  EXPECT_LE(proxy_.buffer_bytes_out(), 17U * 1024 * 1024 + kUploads * 256 * 1024);
  for (const auto& connection : backend().connections()) connection->go_on_reading();
  run(2s);
  for (auto& client : clients_) ASSERT_EQ(client->answer_count(), 1U) << client->reader().error();
  ASSERT_EQ(backend().requests().size(), kUploads);
  for (const Message& request : backend().requests()) EXPECT_TRUE(request.body == body);
}

// A first request whose method is not known yet is not cut short by a drain.
TEST_F(ReviewOfHttp1, ADrainLeavesTheBeginningOfARequestItsTime) {
  start();
  SimClient& client = connect();
  client.raw("P", "POST");
  run(100ms);
  proxy_.drain(30s);
  run(2s);
  client.send("OST / HTTP/1.1\r\nHost: a\r\n");
  run(2s);
  client.send("Content-Length: 0\r\n\r\n");
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 200);
  expect_last(client);
}

// A client that does not wait for its 100, and whose body is spliced, was waited for without end.
TEST_P(Bugs, Case084ASplicedBodyAwaitsNo100) {
  listener().body_timeout = 2s;
  cluster().timeouts.request = 60s;
  backend().on("/", Handler{[](const Message&) { return Script{wait_for(1h)}; }, {}});
  start();
  SimClient& client = connect();
  client.raw(upload(100'000, "Expect: 100-continue\r\n"), "POST");
  run(100ms);
  client.send(std::string(10'000, 'b'));
  const TimePoint begin = now();
  run(30s);
  expect_local_reply(client, 408, "request_timeout");
  EXPECT_LE(client.last_byte_at() - begin, 3s);
}

// The queue of connections was dropped by a drain for want of a descriptor, while idle ones to backends held some.
TEST_F(BugsOfHttp1, Case087ADrainAtTheDescriptorLimitServesTheQueue) {
  backend().on("/slow", Script{wait_for(20ms), send_bytes(response("slow"))});
  start();
  SimClient* busy[] = {&connect(), &connect()};
  for (SimClient* client : busy) client->get("/slow");
  run(10ms);
  proxy_.descriptors().set_limit(proxy_.descriptors().open());
  SimClient& client = connect();  // accepting pauses: there is none to be had
  client.get("/");
  run(20ms);
  ASSERT_EQ(proxy_.accept_pauses, 1U);
  ASSERT_EQ(proxy_.connections(), 2U);
  ASSERT_EQ(proxy_.metric(observe::Family::kPoolConnections, {"idle"}), 2);
  proxy_.drain(10s);
  run(1s);
  for (const SimClient* each : busy) EXPECT_EQ(each->answer_count(), 1U);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].status, 200);
}

}  // namespace
}  // namespace weir::sim
