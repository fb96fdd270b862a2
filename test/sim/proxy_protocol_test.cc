// PROXY headers before the first request: who is believed to be the client, and what becomes of broken ones.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

using observe::Family;

constexpr std::string_view kLine = "PROXY TCP4 192.0.2.7 192.0.2.80 40000 80\r\n";

class ProxyProtocol : public SimTest {
 protected:
  ProxyProtocol() { listener().proxy_protocol = true; }

  // The address that the backend was told of last.
  std::string_view client_at_backend() {
    return backend().requests().empty() ? "none" : backend().requests().back().field("x-forwarded-for");
  }
  SimClient& get_after(std::string_view header, std::string_view more = {}) {
    SimClient& client = connect();
    client.send(header);
    client.request("GET", "/", more);
    run(100ms);
    return client;
  }
  std::int64_t refused(std::string_view reason) const {
    return proxy_.metric(Family::kConnectionsRefused, {"web", reason});
  }
};

TEST_F(ProxyProtocol, TheAddressOfTheHeaderIsTheClients) {
  start();
  SimClient& client = get_after(kLine);
  EXPECT_EQ(client.answers().at(0).status, 200);
  EXPECT_EQ(client_at_backend(), "192.0.2.7");
  EXPECT_EQ(last_log("client"), "192.0.2.7");
  // It holds for the whole connection.
  client.get("/");
  run(100ms);
  EXPECT_EQ(client_at_backend(), "192.0.2.7");
  EXPECT_EQ(backend().requests().size(), 2U);
}

TEST_F(ProxyProtocol, ALocalHeaderLeavesThePeer) {
  outside_.set_ip("10.9.9.9");
  start();
  get_after(std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16));
  EXPECT_EQ(client_at_backend(), "10.9.9.9");
  get_after("PROXY UNKNOWN\r\n");
  EXPECT_EQ(client_at_backend(), "10.9.9.9");
}

TEST_F(ProxyProtocol, OnlyNamedProxiesMaySendOne) {
  listener().trusted_proxies = {*Cidr::parse("10.8.0.0/16")};
  outside_.set_ip("10.9.9.9");
  start();
  SimClient& stranger = get_after(kLine);
  EXPECT_TRUE(stranger.ended());
  EXPECT_EQ(stranger.received_bytes(), 0U);
  EXPECT_EQ(refused("proxy_not_trusted"), 1);
  outside_.set_ip("10.8.0.1");
  // The client behind the proxy is not trusted: what it says of itself is not believed.
  EXPECT_EQ(get_after(kLine, "x-forwarded-for: 203.0.113.1\r\n").answers().at(0).status, 200);
  EXPECT_EQ(client_at_backend(), "192.0.2.7");
  EXPECT_EQ(proxy_.metric(Family::kRequests), 1);
}

TEST_F(ProxyProtocol, AHeaderMayDripIn) {
  start();
  SimClient& client = connect();
  for (const char byte : kLine) {
    client.send({&byte, 1});
    run(10ms);
  }
  run(9s);  // header_timeout is over, but not that of the first request
  client.get("/");
  run(100ms);
  EXPECT_EQ(client.answers().at(0).status, 200);
  EXPECT_EQ(client_at_backend(), "192.0.2.7");
}

TEST_F(ProxyProtocol, WithoutAGoodHeaderTheConnectionIsClosed) {
  start();
  SimClient& none = get_after("");
  EXPECT_TRUE(none.ended());
  EXPECT_EQ(none.received_bytes(), 0U);
  SimClient& cut = connect();
  cut.send(kLine.substr(0, 20));
  cut.half_close();
  run(100ms);
  EXPECT_TRUE(cut.ended());
  EXPECT_EQ(refused("proxy_header_broken"), 2);
  SimClient& empty = connect();
  empty.half_close();
  SimClient& late = connect();
  late.send(kLine.substr(0, 20));
  run(9900ms);
  EXPECT_TRUE(empty.ended());
  EXPECT_FALSE(late.ended());
  run(200ms);
  EXPECT_TRUE(late.ended());
  EXPECT_EQ(refused("proxy_header_timeout"), 1);
  EXPECT_EQ(refused("proxy_header_broken"), 2);
  EXPECT_EQ(proxy_.metric(Family::kRequests), 0);
  EXPECT_EQ(proxy_.metric(Family::kActiveConnections), 0);
}

TEST_F(ProxyProtocol, WhatComesBehindTheHeaderIsKept) {
  start();
  SimClient& client = connect();
  const std::string body(30'000, 'x');
  client.send(kLine);
  client.request("POST", "/", "", body);
  run(100ms);
  ASSERT_EQ(backend().requests().size(), 1U);
  EXPECT_EQ(backend().requests().back().body, body);
}

TEST_F(ProxyProtocol, ADrainWaitsForTheFirstRequestAndCutsTheRest) {
  start();
  SimClient& early = connect();
  SimClient& silent = connect();
  early.send(kLine);
  run(100ms);
  proxy_.drain(2s);
  early.get("/");
  run(500ms);
  EXPECT_EQ(early.answers().at(0).status, 200);
  EXPECT_FALSE(silent.ended());
  run(2s);
  EXPECT_TRUE(silent.ended());
}

}  // namespace
}  // namespace weir::sim
