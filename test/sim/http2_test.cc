// HTTP/2 towards clients: what the protocol adds to what every request has.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

class Http2 : public SimTest {};

TEST_F(Http2, AGetGoesThrough) {
  backend().on("/x", response("hi", "X-Thing: 1\r\n"));
  start();
  SimH2Client& client = connect_h2();
  const auto stream = client.get("/x?a=b", {{"user-agent", "me"}});
  run(10ms);
  EXPECT_EQ(client.engine().error(), "");
  const Message& answer = client.answer(stream).message;
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hi");
  EXPECT_EQ(answer.field("x-thing"), "1");
  EXPECT_EQ(answer.count("connection"), 0U);
  ASSERT_EQ(backend().requests().size(), 1U);
  const Message& seen = backend().requests()[0];
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.target, "/x?a=b");
  EXPECT_EQ(seen.field("host"), "example.com");
  EXPECT_EQ(seen.count("host"), 1U);
  EXPECT_EQ(seen.field("x-forwarded-proto"), "http");
  EXPECT_EQ(last_log("protocol"), "HTTP/2.0");
  EXPECT_EQ(last_log("user_agent"), "me");
  EXPECT_EQ(proxy_.metric(observe::Family::kActiveConnections), 1);
  EXPECT_GT(proxy_.metric(observe::Family::kBytes, {"received"}), 60);
  EXPECT_EQ(proxy_.metric(observe::Family::kBytes, {"sent"}), static_cast<std::int64_t>(client.received_bytes()));
}

}  // namespace
}  // namespace weir::sim
