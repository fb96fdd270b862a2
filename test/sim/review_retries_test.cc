// What a try costs that failed.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

using Kind = Action::Kind;
using observe::Family;

// A stream that its backend reset or refused, on a connection that had served others, passed for the end of a stale
// connection: it was tried three times more than `attempts` say, at once, outside of the budget.
TEST_F(BugsOfHttp2, Case134AResetOnALiveConnectionIsAnAttempt) {
  speak_http2(0, {.streams_max = 1000});
  start();
  for (const std::uint32_t code : {kH2RefusedStream, kH2InternalError}) {
    backend().on("/x", Script{then(Kind::reset_stream, code)});
    get("/");
    const std::size_t before = backend().heads();
    const SimClient& client = get("/x");
    run(1s);
    expect_local_reply(client, 502, "upstream_reset");
    EXPECT_EQ(backend().heads() - before, 2U) << code;
    EXPECT_EQ(last_log("attempts"), "2") << code;
  }
  EXPECT_EQ(backend().connections().size(), 1U);
}

// A backend that is full says so by refusing: what it was not asked to do costs nothing, but is not asked again there.
TEST_F(BugsOfHttp2, Case135ABackendThatRefusedAStreamIsNotTheFirstToBeAskedAgain) {
  add_backend("two");
  proxy_.setup.clusters.front().members[0].weight = 20;
  for (std::size_t i = 0; i < 2; ++i) speak_http2(i);
  start();
  for (int i = 0; i < 50; ++i) get("/");
  for (const std::uint32_t code : {kH2RefusedStream, kH2InternalError}) {
    backend().on("/x", Script{then(Kind::reset_stream, code)});
    for (int i = 0; i < 10; ++i) {
      const std::size_t before = backend().heads();
      const SimClient& client = get("/x");
      ASSERT_EQ(client.answer_count(), 1U);
      EXPECT_EQ(client.answers()[0].status, 200) << code;
      EXPECT_LE(backend().heads() - before, 1U) << code;
    }
  }
}

// The budget bounds what may have been done already, and nothing else.
TEST_F(BugsOfHttp2, Case136ResetsOnALiveConnectionAreInTheBudget) {
  speak_http2(0, {.streams_max = 1000});
  start();
  for (const std::uint32_t code : {kH2RefusedStream, kH2InternalError}) {
    backend().on("/x", Script{then(Kind::reset_stream, code)});
    get("/");
    run(20s);
    const std::size_t before = backend().heads();
    for (int i = 0; i < 150; ++i) connect().get("/x");
    run(2s);
    EXPECT_EQ(backend().heads() - before, code == kH2RefusedStream ? 300U : 250U);
  }
}

}  // namespace
}  // namespace weir::sim
