// Bodies that are spliced while something else happens: ends that come early, and wake-ups that no edge gives.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

std::string upload(std::size_t size, std::string_view path = "/up") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
}

// A relay whose source had ended was made anew in each turn, for as long as 64 KiB of the body were missing.
TEST_P(Bugs, Case006ASplicedDownloadThatIsCutShortIsNotSplicedAgain) {
  Script script{send_bytes(response(pattern(1, 900'000))), wait_for(50ms), then(Action::Kind::half_close)};
  script[0].bytes.resize(400'000);
  backend().on("/", script);
  start();
  SimClient& client = get("/");
  EXPECT_TRUE(broken_off(client));
  EXPECT_EQ(last_log("reason"), "upstream_reset");
}

TEST_P(Bugs, Case007ASplicedUploadThatIsCutShortIsNotSplicedAgain) {
  know_http1();
  start();
  SimClient& client = connect();
  client.raw(upload(900'000) + pattern(1, 400'000), "POST");
  client.half_close();
  run(100ms);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(proxy_.live_streams(), 0U);
  EXPECT_EQ(last_log("status"), "0");
}

// An upload's relay that had used up its share of a turn was never asked again: no edge comes for what waits already.
TEST_P(Bugs, Case008ASplicedUploadGoesOnAfterItsShareOfATurn) {
  fates_.client.send_buffer_bytes = fates_.backend.send_buffer_bytes = 16 * 1024 * 1024;
  start();
  SimClient& client = connect();
  const std::string body = pattern(1, 7'000'000);
  client.raw(upload(body.size()) + body, "POST");
  run(1s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_TRUE(backend().requests().at(0).body == body);
}

// The answer ended while the request's body was being spliced: the decoder was not told how much had been taken, and
// took the following request for the rest of the body.
TEST_P(Bugs, Case009AnEarlyAnswerToASplicedUploadKeepsTheRequestsApart) {
  Handler handler;
  handler.at_head = [](const Message&) {
    return Script{wait_for(20ms), send_bytes(response("early", "", "403 Forbidden"))};
  };
  backend().on("/early", handler);
  know_http1();
  start();
  SimClient& client = connect();
  client.raw(upload(600'000, "/early") + std::string(500'000, 'a'), "POST");
  run(50ms);
  ASSERT_EQ(client.answer_count(), 1U);
  client.send(std::string(100'000, 'b'));
  client.get("/x");
  run(50ms);
  ASSERT_EQ(client.answer_count(), 2U) << client.reader().error();
  EXPECT_EQ(client.answers()[1].body, "hello\n");
}

// A backend that stops reading in the middle of an upload held the request for ever: no timer ran.
TEST_P(Bugs, Case010ABackendThatStopsReadingDoesNotHoldAnUploadForEver) {
  cluster().timeouts.stream_idle = 20s;
  start();
  backend().accepts_without_reading = true;
  for (const bool splice : {true, false}) {
    SimClient& client = connect();
    const std::string body = pattern(1, 900'000);
    client.raw(splice ? upload(body.size()) + body
                      : "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 9999),
               "POST");
    run(15s);
    EXPECT_EQ(client.answer_count(), 0U);
    run(20s);
    ASSERT_EQ(client.answer_count(), 1U) << splice;
    expect_local_reply(client, 504, "upstream_timeout");
  }
}

// The same for one that reads, but so slowly that no watermark is reached within stream_idle: that is no silence.
TEST_P(Review, SlowIsNotSilent) {
  cluster().timeouts.stream_idle = 2s;
  fates_.backend.send_buffer_bytes = 3000;
  fates_.backend.delay = 5ms;
  start();
  backend().accepts_without_reading = true;
  SimClient& up = connect();
  const std::string body = pattern(1, 200'000);
  up.raw("POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 9999), "POST");
  run(100ms);
  BackendConnection& connection = *backend().connections().at(0);
  for (int i = 0; i < 20; ++i) {  // 3 KB a second: 48 KiB take 16 s
    connection.go_on_reading();
    run(1ms);
    connection.stop_reading();
    run(1s);
  }
  EXPECT_EQ(up.answer_count(), 0U);
  connection.go_on_reading();
  run(5s);
  ASSERT_EQ(up.answer_count(), 1U);
  EXPECT_EQ(up.answers()[0].status, 200);
}

TEST_P(Bugs, Case012ASlowReaderIsNotSilent) {
  cluster().timeouts.stream_idle = 2s;
  fates_.client.send_buffer_bytes = 3000;
  fates_.client.delay = 5ms;
  const std::string body = pattern(1, 200'000);
  backend().on("/", chunked_response(body, 9999));
  start();
  SimClient& client = connect();
  client.stop_reading();
  client.get("/");
  run(100ms);
  for (int i = 0; i < 20; ++i) {
    client.go_on_reading();
    run(1ms);
    client.stop_reading();
    run(1s);
  }
  EXPECT_EQ(client.answer_count(), 0U);
  client.go_on_reading();
  run(5s);
  ASSERT_EQ(client.answer_count(), 1U) << client.reader().error();
  EXPECT_TRUE(client.answers()[0].body == body);
}

}  // namespace
}  // namespace weir::sim
