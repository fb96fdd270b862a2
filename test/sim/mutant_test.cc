// What no other test noticed when tools/mutants planted a bug.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

class Mutants : public OverWires {};
WEIR_OVER_ALL_WIRES(Mutants);

TEST_P(Mutants, TrailersStayWithTheirResponse) {
  backend().on("/first", chunked_response("abc", 2, "X-T: of the first\r\n"));
  backend().on("/second", chunked_response("def", 2));
  start();
  SimClient& client = connect();
  for (const char* path : {"/first", "/second"}) {
    client.get(path);
    run(10ms);
  }
  ASSERT_EQ(client.answer_count(), 2U) << client.reader().error();
  ASSERT_EQ(backend().connections().size(), 1U);
  EXPECT_EQ(client.answers()[0].trailer("x-t"), "of the first");
  EXPECT_TRUE(client.answers()[1].trailers.empty());
}

// With no body there is nothing that could not be sent again, only the method that forbids it.
TEST_P(Mutants, AnEmptyPostOnAStaleConnectionIsNeverSentTwice) {
  fates_.backend.delay = 1ms;
  start();
  SimClient& client = get("/");
  backend().connections()[0]->close();
  client.raw("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST");
  run(1s);
  expect_local_reply(client, 502, "upstream_reset");
  EXPECT_EQ(backend().connections().size(), 1U);
  EXPECT_EQ(proxy_.metric(Family::kRetries), 0);
}

TEST_P(Mutants, AnEmptyPostThatWasResetIsNotTriedAgain) {
  SimBackend& two = add_backend("two");
  for (auto& one : backends_) one->on("/", Script{then(Action::Kind::reset)});
  start();
  SimClient& client = connect();
  client.raw("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "POST");
  run(1s);
  expect_local_reply(client, 502, "upstream_reset");
  EXPECT_EQ(backend().heads() + two.heads(), 1U);
}

TEST_P(Mutants, AnswersDuringADrainSayThatTheyAreTheLast) {
  backend().on("/", Script{wait_for(1s), send_bytes(response("late"))});
  start();
  SimClient& client = connect();
  client.get("/");
  run(100ms);
  proxy_.drain(10s);
  run(2s);
  ASSERT_EQ(client.answer_count(), 1U);
  EXPECT_EQ(client.answers()[0].body, "late");
  expect_last(client);
  EXPECT_TRUE(client.got_fin());
}

TEST_P(Mutants, RefusedConnectionsAreNoLoadOfTheirWorker) {
  listener().max_connections = 1;
  start();
  SimClient& served = get("/");
  SimClient& refused = connect();
  run(100ms);
  ASSERT_TRUE(refused.got_fin());
  // Before its handshake nothing can be said.
  if (!from_tls()) EXPECT_THAT(refused.received(), testing::StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(proxy_.board().count(0), 1U);
  served.close();
  run(100ms);
  EXPECT_EQ(proxy_.board().count(0), 0U);
}

}  // namespace
}  // namespace weir::sim
