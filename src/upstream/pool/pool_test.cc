// One pool with its connections over the simulated network: where each state leads, and that the counts stay true.

#include "tls/client_context.h"
#include "upstream/pool/pool_fixture.h"

namespace weir {
namespace {

TEST_F(PoolTest, ConnectsLendsAndKeeps) {
  make();
  Try& one = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  check(1, 0);
  run();
  ASSERT_NE(one.lent, nullptr);
  EXPECT_FALSE(one.lent->reused());
  EXPECT_EQ(context.leases_out, 1U);
  one.send();
  run();
  answer(accept(), kAnswer);
  EXPECT_TRUE(one.ended);
  EXPECT_EQ(one.body, "ok");
  check(1, 1);
  Try& two = ask();
  EXPECT_EQ(acquired.status, Status::ready);
  EXPECT_TRUE(two.lent->reused());
  two.lent->cancel();
  check(0, 0);
}

TEST_F(PoolTest, ARefusalIsToldAndGivesThePlaceBack) {
  make();
  outside.close(listener);
  Try& one = ask();
  run();
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::connect_refused);
  EXPECT_TRUE(refused);
  check(0, 0);
}

TEST_F(PoolTest, ConnectingTakesItsTime) {
  configured->timeouts.connect = 1s;
  plan.link.blackhole = true;
  make();
  Try& one = ask();
  run(900ms);
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::none);
  run(200ms);
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::connect_timeout);
  EXPECT_FALSE(refused);
  EXPECT_EQ(failures, 1);
  check(0, 0);
}

TEST_F(PoolTest, OwnTroubleIsNotTheBackends) {
  plan.link.connect_errno = EADDRNOTAVAIL;
  make();
  ask();
  EXPECT_EQ(acquired.status, Status::refused);
  EXPECT_EQ(acquired.error.failure, UpstreamFailure::own_trouble);
  EXPECT_EQ(failures, 0);
  check(0, 0);
}

TEST_F(PoolTest, WhoGivesUpLeavesItsConnectionToTheOthers) {
  make();
  Try& one = ask();
  Try& two = ask();
  pool->give_up(one);
  run();
  EXPECT_EQ(one.lent, nullptr);
  ASSERT_NE(two.lent, nullptr);
  check(2, 1);
  two.lent->cancel();
  check(1, 1);
}

TEST_F(PoolTest, TheLimitHoldsAndAnIdleConnectionElsewhereIsAskedFor) {
  make(1);
  Try& one = ask();
  run();
  ask();
  EXPECT_EQ(acquired.status, Status::refused);
  EXPECT_EQ(acquired.error.failure, UpstreamFailure::overloaded);
  EXPECT_EQ(reclaims, 0);
  one.lent->cancel();
  ASSERT_TRUE(backend->take_connection_slot());  // another worker's
  Try& three = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  EXPECT_EQ(reclaims, 1);
  Try& four = ask();
  EXPECT_EQ(reclaims, 1);
  backend->give_connection_slot();
  pool->reclaimed(1);
  run();
  ASSERT_NE(three.lent, nullptr);
  // Who came last goes without: the connection is for the one before.
  EXPECT_EQ(four.lent, nullptr);
  EXPECT_EQ(four.lease_error.failure, UpstreamFailure::overloaded);
  three.lent->cancel();
}

TEST_F(PoolTest, NothingToReclaimFailsThoseThatWait) {
  make(1);
  ASSERT_TRUE(backend->take_connection_slot());
  Try& one = ask();
  EXPECT_EQ(acquired.status, Status::pending);
  pool->reclaimed(0);
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::overloaded);
  backend->give_connection_slot();
}

// The other workers' answer does not reach a pool whose backend has left.
TEST_F(PoolTest, ARetiredPoolWaitsForNobody) {
  make(1);
  ASSERT_TRUE(backend->take_connection_slot());
  Try& one = ask();
  pool->retire();
  run();
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::overloaded);
  backend->give_connection_slot();
}

TEST_F(PoolTest, ARetiredPoolKeepsNothing) {
  make();
  Try& one = ask();
  run();
  one.send();
  pool->retire();
  run();
  answer(accept(), kAnswer);
  EXPECT_TRUE(one.ended);
  check(0, 0);
}

// Under a load that never lets a connection idle, those from before a change of trust were lent on for ever; and those
// whose handshake was under way joined them.
TEST_F(PoolTest, AChangeOfTrustLeavesNoConnectionFromBefore) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  const SocketId first = accept();
  plan.link.blackhole = true;
  Try& two = ask();
  run();
  check(2, 0);
  plan.link = {};
  const auto changed = std::make_shared<ClusterSettings>(*configured);
  changed->tls = *tls::ClientContext::make({.verify = false});
  pool->configure(changed);
  check(1, 0);
  run();
  ASSERT_NE(two.lent, nullptr);
  check(2, 0);
  answer(first, kAnswer);
  EXPECT_TRUE(one.ended);
  check(1, 0);
  two.send();
  run();
  answer(accept(), kAnswer);
  EXPECT_TRUE(two.ended);
  check(1, 1);
}

TEST_F(PoolTest, AFinClosesAnIdleConnection) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  const SocketId socket = accept();
  answer(socket, kAnswer);
  outside.close(socket);
  run();
  check(0, 0);
}

TEST_F(PoolTest, AnErrorSaysHowFarItCame) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  const SocketId socket = accept();
  answer(socket, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
  EXPECT_EQ(one.interim, 1);
  EXPECT_EQ(one.status, 200);
  outside.close(socket);
  run();
  EXPECT_EQ(one.error.failure, UpstreamFailure::reset);
  EXPECT_TRUE(one.error.written);
  EXPECT_TRUE(one.error.answered);
  EXPECT_FALSE(one.error.reused);
  check(0, 0);
}

TEST_F(PoolTest, WhatIsNoHttpIsToldApart) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  answer(accept(), "SSH-2.0-OpenSSH\r\n");
  EXPECT_EQ(one.error.failure, UpstreamFailure::protocol_error);
  check(0, 0);
}

TEST_F(PoolTest, AHeldBackResponseWaits) {
  make();
  Try& one = ask();
  run();
  one.send();
  run();
  const SocketId socket = accept();
  answer(socket, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab");
  one.lent->pause_response();
  answer(socket, "cd");
  EXPECT_EQ(one.body, "ab");
  EXPECT_FALSE(one.ended);
  one.lent->resume_response();
  run();
  EXPECT_EQ(one.body, "abcd");
  EXPECT_TRUE(one.ended);
  check(1, 1);
}

TEST_F(PoolTest, TheLongestIdleOneMakesRoom) {
  make();
  Try& one = ask();
  Try& two = ask();
  run();
  pool->give_up(one);
  one.send();
  two.send();
  run();
  answer(accept(), kAnswer);
  answer(accept(), kAnswer);
  check(2, 2);
  EXPECT_TRUE(context.close_longest_idle());
  check(1, 1);
  EXPECT_TRUE(context.close_longest_idle());
  EXPECT_FALSE(context.close_longest_idle());
}

class BugsOfHttp1 : public PoolTest {
 protected:
  void write(SocketId socket, std::string_view bytes) {
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    ASSERT_EQ(outside.write(socket, {&piece, 1}, false).bytes, bytes.size());
  }
};

// Bytes that were there before a request had been sent were taken for its answer, if the connection had just been
// used: then it is lent without a look.
TEST_F(BugsOfHttp1, Case086WhatCameBeforeTheRequestIsNotItsAnswer) {
  make();
  Try& one = ask();
  Try& two = ask();
  run();
  one.send();
  two.send();
  run();
  const SocketId first = accept();
  const SocketId second = accept();
  write(first, kAnswer);
  run(2ms);
  ASSERT_TRUE(one.ended);
  check(2, 1);
  // Its end, and in the same turn what nobody has asked for.
  two.at_end = [&] { ask().send(); };
  write(second, kAnswer);
  write(first, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray");
  run();
  ASSERT_TRUE(two.ended);
  ASSERT_EQ(tries.size(), 3U);
  EXPECT_EQ(acquired.status, Status::ready);
  EXPECT_EQ(tries.back().body, "");
  EXPECT_EQ(tries.back().error.failure, UpstreamFailure::reset);
  EXPECT_TRUE(tries.back().error.reused);
  EXPECT_FALSE(tries.back().error.written);
  check(1, 1);
}

// At the limit it waited beside the idle connection that it did not want, and all others behind it.
TEST_F(BugsOfHttp1, Case180AFreshConnectionTakesThePlaceOfAnIdleOne) {
  make(2);
  ASSERT_TRUE(backend->take_connection_slot());  // another worker's
  Try& one = ask();
  run();
  one.send();
  run();
  answer(accept(), kAnswer);
  EXPECT_EQ(pool->idle_connections(), 1U);
  Try& two = ask(true);
  EXPECT_EQ(acquired.status, Status::pending);
  EXPECT_EQ(reclaims, 0);
  run();
  ASSERT_NE(two.lent, nullptr);
  EXPECT_NE(accept(), kNoSocket);
  two.lent->cancel();
  backend->give_connection_slot();
}

// What such a backend says was looked for without a pause, until it had been said.
TEST_F(BugsOfHttp1, Case184AFailedWriteDoesNotKeepTheWorkerBusy) {
  make_unix();
  Try& one = ask();
  run();
  one.head.method_text = "POST";
  one.head.body = http::BodyKind::length;
  one.head.content_length = 2;
  one.lent->send_head(one.head);
  run();
  const SocketId socket = accept();
  write(socket, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + std::string(1000, 'x'));
  char request[1000];
  EXPECT_EQ(outside.read(socket, request).status, IoStatus::ok);
  outside.close(socket);
  one.lent->send_body("ab");
  run_quietly(400ms);
  EXPECT_FALSE(one.ended);
  EXPECT_EQ(one.error.failure, UpstreamFailure::none);
  run_quietly(400ms);
  EXPECT_TRUE(one.ended);
}

// A client that stays kept a pool for each backend that it had ever been sent to.
TEST_F(BugsOfHttp1, Case189AClientsPoolGoesWithItsLastConnection) {
  configured->proxy_protocol = ProxyVersion::v2;
  configured->timeouts.idle = 1s;
  Pool& all = make(1);
  ClientPools client;
  Try& one = tries.emplace_back(loop.buffers());
  EXPECT_EQ(all.make_for(client, {}).acquire(one).status, Status::pending);
  run();
  // Refused: nothing was ever connected for this one.
  ClientPools other;
  Try& two = tries.emplace_back(loop.buffers());
  EXPECT_EQ(all.make_for(other, {}).acquire(two).status, Status::refused);
  loop.post([] {});
  run();
  EXPECT_EQ(all.find_for(other), nullptr);
  one.send();
  run();
  answer(accept(), kAnswer);
  ASSERT_TRUE(one.ended);
  EXPECT_NE(all.find_for(client), nullptr);
  run(2s);
  EXPECT_EQ(all.find_for(client), nullptr);
  EXPECT_EQ(all.make_for(client, {}).acquire(one).status, Status::pending);
  all.find_for(client)->give_up(one);
  client.finish();
  other.finish();
  check(0, 0);
}

// ... and where nothing ever came of it.
TEST_F(BugsOfHttp1, Case191AClientsPoolGoesWithTheFailureToConnect) {
  configured->proxy_protocol = ProxyVersion::v2;
  Pool& all = make();
  outside.close(listener);
  ClientPools client;
  Try& one = tries.emplace_back(loop.buffers());
  EXPECT_EQ(all.make_for(client, {}).acquire(one).status, Status::pending);
  run();
  EXPECT_EQ(one.lease_error.failure, UpstreamFailure::connect_refused);
  EXPECT_EQ(all.find_for(client), nullptr);
  client.finish();
}

// What idles may turn out to be closed in the turn in which its pool is used again.
TEST_F(BugsOfHttp1, Case190AClientsPoolThatIsUsedAgainStays) {
  configured->proxy_protocol = ProxyVersion::v2;
  Pool& all = make();
  ClientPools client;
  Try& one = tries.emplace_back(loop.buffers());
  Pool& own = all.make_for(client, {});
  EXPECT_EQ(own.acquire(one).status, Status::pending);
  run();
  one.send();
  run();
  const SocketId socket = accept();
  answer(socket, kAnswer);
  ASSERT_TRUE(one.ended);
  loop.post([&] {
    ASSERT_TRUE(all.close_one_idle());
    EXPECT_EQ(all.find_for(client), &own);
    EXPECT_EQ(own.acquire(one).status, Status::pending);
  });
  one.lent = nullptr;
  run();
  ASSERT_NE(one.lent, nullptr);
  EXPECT_EQ(all.find_for(client), &own);
  one.lent->cancel();
  client.finish();
  run();
}

}  // namespace
}  // namespace weir
