// What came to light when the tests of behaviour first ran towards HTTP/2 backends too.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

// An HTTP/1.0 request without Host went on without one: HTTP/1.1 backends may refuse that, and to HTTP/2 it is
// malformed.
TEST_P(Bugs, Case041ARequestWithoutHostNamesTheBackend) {
  if (!from_http1()) return;  // HTTP/2 has always an authority
  add_backend("two");
  backend(0).on("/", Script{then(Action::Kind::reset)});
  start();
  for (int i = 0; i < 2; ++i) {
    SimClient& old = connect();
    old.raw("GET / HTTP/1.0\r\n\r\n");
    run(100ms);
    ASSERT_EQ(old.answer_count(), 1U);
    EXPECT_EQ(old.answers()[0].status, 200);
  }
  EXPECT_EQ(backend(0).requests().at(0).field("host"), "10.1.0.1:80");
  ASSERT_EQ(backend(1).requests().size(), 2U);
  for (const Message& request : backend(1).requests()) {
    EXPECT_EQ(request.field("host"), "10.1.0.2:80");
    EXPECT_EQ(request.count("host"), 1U);
    EXPECT_EQ(request.field("x-forwarded-host"), "");
  }
}

// A body of which HTTP/2's windows had let something go was held for up to twice stream_idle: when it had gone was not
// asked before the time was over.
TEST_P(Bugs, Case042AHeldUploadEndsInTime) {
  cluster().timeouts.stream_idle = 20s;
  backend().on("/", Handler{[](const Message&) { return Script{then(Action::Kind::stop_reading)}; }, {}});
  start();
  SimClient& client = connect();
  const TimePoint begin = now();
  client.request("POST", "/", {}, pattern(1, 900'000));
  run(45s);
  expect_local_reply(client, 504, "upstream_timeout");
  EXPECT_LE(client.last_byte_at() - begin, 21s);
}

// A backend that had closed its half of a tunnel and then reset it was not heard over HTTP/2: Case022 again. Nor was
// one that says so without an error.
TEST_P(Bugs, Case043AResetBehindATunnelsHalfCloseIsHeard) {
  backend().on("/ws", Handler{{}, [](const Message& request) {
                                return Script{send_bytes(switching(request)),
                                              then(Action::Kind::tunnel),
                                              then(Action::Kind::half_close),
                                              wait_for(1s),
                                              then(Action::Kind::reset_stream, kH2NoError),
                                              then(Action::Kind::reset)};
                              }});
  start();
  SimClient& client = connect();
  client.raw(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  run(500ms);
  EXPECT_EQ(proxy_.live_streams(), 1U);
  run(600ms);
  client.send("still there?");
  run(100ms);
  EXPECT_EQ(proxy_.live_streams(), 0U);
}

}  // namespace
}  // namespace weir::sim
