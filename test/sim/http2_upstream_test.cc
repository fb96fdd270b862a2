// HTTP/2 towards backends, against an independent implementation with faults of its own. Clients speak both.

#include <gmock/gmock.h>

#include "sim/bugs.h"

namespace weir::sim {
namespace {

using testing::SizeIs;
using Kind = Action::Kind;

class Http2Upstream : public OverWires {
 protected:
  // As many requests at once, each of a client of its own.
  std::vector<SimClient*> ask(std::size_t count, std::string_view target = "/") {
    std::vector<SimClient*> asked;
    for (std::size_t i = 0; i < count; ++i) {
      SimClient& client = connect();
      client.request("GET", target);
      asked.push_back(&client);
    }
    return asked;
  }
  // A client that has asked for a WebSocket.
  SimClient& upgrade(const std::string& target) {
    SimClient& client = connect();
    client.raw("GET " + target +
               " HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    run(100ms);
    return client;
  }
  static std::size_t answered(const std::vector<SimClient*>& clients, int status = 200) {
    return static_cast<std::size_t>(std::ranges::count_if(clients, [status](const SimClient* client) {
      return client->answers().size() == 1 && client->answers().back().status == status;
    }));
  }
  // Answers its first request like this, all others with 200.
  void on_first(Script script, bool at_head = true) {
    const auto first = std::make_shared<bool>(true);
    const auto act = [first, script = std::move(script)](const Message&) {
      return std::exchange(*first, false) ? script : Script{};
    };
    const auto answer = [first_at_end = std::make_shared<bool>(true)](const Message&) {
      return std::exchange(*first_at_end, false) ? Script{} : Script{send_bytes(response("again\n"))};
    };
    if (at_head) {
      backend().on("/", Handler{act, [](const Message&) { return Script{send_bytes(response("again\n"))}; }});
    } else {
      backend().on("/", Handler{{}, [act, answer](const Message& request) {
                                  Script script_of_first = act(request);
                                  return script_of_first.empty() ? Script{send_bytes(response("again\n"))}
                                                                 : script_of_first;
                                }});
    }
  }
  H2Server& server(std::size_t connection, std::size_t at = 0) {
    return *backend(at).connections()[connection]->http2();
  }
};
INSTANTIATE_TEST_SUITE_P(, Http2Upstream, testing::ValuesIn(kWiresToHttp2),
                         [](const testing::TestParamInfo<Wires>& info) { return name_of(info.param); });

TEST_P(Http2Upstream, OneConnectionCarriesWhatSettingsAllow) {
  backend().on("/slow", Script{wait_for(100ms), send_bytes(response("slow\n"))});
  start();
  const auto clients = ask(100, "/slow");
  run(1s);
  EXPECT_EQ(answered(clients), 100U);
  EXPECT_THAT(backend().connections(), SizeIs(1));
  EXPECT_EQ(server(0).error(), "");
}

TEST_P(Http2Upstream, AtTheLimitAnotherConnectionIsOpenedAndNobodyWaits) {
  speak_http2(0, {.streams_max = 2});
  backend().on("/slow", Script{wait_for(10s), send_bytes(response("slow\n"))});
  start();
  get("/");
  const auto slow = ask(5, "/slow");
  run(1s);
  const auto quick = ask(1, "/");
  run(1s);
  EXPECT_EQ(answered(quick), 1U);
  EXPECT_THAT(backend().connections(), SizeIs(3));
  for (const auto& connection : backend().connections()) EXPECT_LE(connection->http2()->open_streams(), 2U);
  run(10s);
  EXPECT_EQ(answered(slow), 5U);
}

TEST_P(Http2Upstream, TheLeastLoadedConnectionIsUsed) {
  speak_http2(0, {.streams_max = 4});
  backend().on("/short", Script{wait_for(1s), send_bytes(response("short\n"))});
  backend().on("/long", Script{wait_for(10s), send_bytes(response("long\n"))});
  start();
  get("/");
  ask(4, "/short");
  run(10ms);
  ask(3, "/long");
  run(2s);
  ASSERT_THAT(backend().connections(), SizeIs(2));
  ASSERT_EQ(server(0).open_streams(), 0U);
  ASSERT_EQ(server(1).open_streams(), 3U);
  ask(2, "/long");
  run(1s);
  EXPECT_EQ(server(0).open_streams(), 2U);
  run(20s);
}

TEST_P(Http2Upstream, ARefusedStreamIsTriedAgainWhateverItsMethod) {
  on_first({then(Kind::reset_stream, kH2RefusedStream)});
  start();
  SimClient& client = connect();
  client.request("POST", "/", "", "body");
  run(1s);
  ASSERT_THAT(client.answers(), SizeIs(1));
  EXPECT_EQ(client.answers().back().status, 200);
  EXPECT_EQ(backend().heads(), 2U);
  EXPECT_EQ(last_log("attempts"), "2");
}

TEST_P(Http2Upstream, WhatGoAwayLeftUnprocessedIsTriedAgainWhateverItsMethod) {
  on_first({then(Kind::go_away, 1)});
  start();
  SimClient& client = connect();
  client.request("POST", "/", "", "body");
  run(1s);
  ASSERT_THAT(client.answers(), SizeIs(1));
  EXPECT_EQ(client.answers().back().body, "again\n");
  EXPECT_THAT(backend().connections(), SizeIs(2));
}

TEST_P(Http2Upstream, NobodyWaitsBehindAConnectionThatCloses) {
  on_first({then(Kind::go_away), wait_for(5s), send_bytes(response("late\n"))}, false);
  start();
  const auto old = ask(1);
  run(100ms);
  const auto fresh = ask(10);
  run(100ms);
  EXPECT_EQ(answered(fresh), 10U);
  EXPECT_EQ(answered(old), 0U);
  EXPECT_THAT(backend().connections(), SizeIs(2));
  run(10s);
  EXPECT_EQ(answered(old), 1U);
  EXPECT_EQ(backend().open_connections(), 1U);
}

TEST_P(Http2Upstream, AResetStreamIsTriedAgainOnlyIfThatIsSafe) {
  for (const std::string_view method : {"POST", "GET"}) {
    on_first({then(Kind::reset_stream, kH2InternalError)}, false);
    if (backend().connections().empty()) start();
    const std::size_t heads = backend().heads();
    SimClient& client = connect();
    client.request(method, "/", "", method == "POST" ? "body" : "");
    run(1s);
    ASSERT_THAT(client.answers(), SizeIs(1));
    const bool again = method == "GET";
    EXPECT_EQ(client.answers().back().status, again ? 200 : 502);
    EXPECT_EQ(backend().heads() - heads, again ? 2U : 1U);
  }
  EXPECT_THAT(backend().connections(), SizeIs(1));  // one stream's trouble is nobody else's
}

TEST_P(Http2Upstream, TinyWindowsLetTheWholeBodyThrough) {
  speak_http2(0, {.stream_window = 100});
  start();
  const std::string body = pattern(1, 20'000);
  SimClient& client = connect();
  client.request("POST", "/", "", body);
  run(10s);
  ASSERT_THAT(client.answers(), SizeIs(1));
  ASSERT_THAT(backend().requests(), SizeIs(1));
  EXPECT_TRUE(backend().requests().front().body == body);
}

TEST_P(Http2Upstream, ABackendThatStopsTakingABodySlowsNoOtherStream) {
  backend().on("/stuck", Handler{[](const Message&) {
                                   return Script{then(Kind::stop_reading), wait_for(20s), then(Kind::go_on_reading)};
                                 },
                                 [](const Message&) { return Script{send_bytes(response("at last\n"))}; }});
  start();
  SimClient& stuck = connect();
  stuck.request("POST", "/stuck", "", pattern(1, 1'000'000));
  run(1s);
  const auto others = ask(20);
  run(1s);
  EXPECT_EQ(answered(others), 20U);
  EXPECT_THAT(stuck.answers(), SizeIs(0));
  run(30s);
  EXPECT_THAT(stuck.answers(), SizeIs(1));
  EXPECT_THAT(backend().connections(), SizeIs(1));
}

TEST_P(Http2Upstream, LateSettingsHoldNothingUpBehindThem) {
  backend().http2_mute = 500ms;
  start();
  const auto clients = ask(3);
  run(400ms);
  EXPECT_EQ(backend().heads(), 3U);  // sent without waiting for them
  run(200ms);
  EXPECT_EQ(answered(clients), 3U);
}

TEST_P(Http2Upstream, OneThatHangsIsATimeout) {
  backend().http2_mute = kForever;
  cluster().timeouts.request = 2s;
  start();
  SimClient& client = get("/");
  run(3s);
  expect_local_reply(client, 504, "upstream_timeout");
}

TEST_P(Http2Upstream, OneThatHasTurnedIntoHttp1IsServedAllTheSame) {
  for (const auto how : {SimBackend::OnPreface::bad_request, SimBackend::OnPreface::close}) {
    SimBackend& changed = backend();
    changed.http2.reset();
    changed.on_preface = how;
    proxy_.setup.clusters.front().members[0].backend->set_protocol(SpokenProtocol::http2);
    if (changed.connections().empty()) start();
    SimClient& client = connect();
    // Who closes without a word may have acted on the request.
    const bool says_why = how == SimBackend::OnPreface::bad_request;
    client.request(says_why ? "POST" : "GET", "/", "", says_why ? "body" : "");
    run(1s);
    ASSERT_THAT(client.answers(), SizeIs(1));
    EXPECT_EQ(client.answers().back().status, 200);
  }
}

TEST_P(Http2Upstream, APingAsksWhetherASilentBackendIsStillThere) {
  cluster().timeouts.request = kForever;
  backend().on("/slow", Script{wait_for(100s), send_bytes(response("slow\n"))});
  start();
  const auto patient = ask(1, "/slow");
  run(35s);
  EXPECT_EQ(server(0).pings(), 1U);
  run(70s);
  EXPECT_EQ(answered(patient), 1U);
}

TEST_P(Http2Upstream, OneThatAnswersNoPingIsGivenUp) {
  cluster().timeouts.request = kForever;
  cluster().retry.attempts = 1;
  backend().on("/dead", Script{wait_for(kForever)});
  start();
  const auto clients = ask(1, "/dead");
  run(1s);
  backend().connections()[0]->stop_reading();
  run(35s);
  EXPECT_EQ(answered(clients, 502), 0U);
  run(10s);
  EXPECT_EQ(answered(clients, 502), 1U);
}

TEST_P(Http2Upstream, IdleConnectionsCloseInTimeAndOldOnesGiveWay) {
  start();
  get("/");
  run(80s);
  EXPECT_EQ(backend().open_connections(), 1U);
  run(20s);
  EXPECT_EQ(backend().open_connections(), 0U);
  for (int minute = 0; minute < 150; ++minute) {
    SimClient& client = get("/");
    ASSERT_THAT(client.answers(), SizeIs(1));
    ASSERT_EQ(client.answers().back().status, 200);
    client.close();
    run(1min - 100ms);
  }
  EXPECT_GE(backend().connections().size(), 3U);
  EXPECT_LE(backend().connections().size(), 5U);
}

TEST_P(Http2Upstream, WebSocketGoesThroughAStreamUntouched) {
  backend().on("/chat", Handler{{}, [](const Message& request) {
                                  return Script{send_bytes(switching(request)), send_bytes("\x89\x02pi")};
                                }});
  start();
  SimClient& client = upgrade("/chat");
  ASSERT_THAT(client.answers(), SizeIs(1));
  EXPECT_EQ(client.answers().back().status, 101);
  client.raw("\x88\x02\x03\xe8");
  run(100ms);
  EXPECT_EQ(client.reader().tunnel, "\x89\x02pi");
  EXPECT_EQ(exchange().tunnel(), "\x88\x02\x03\xe8");
  EXPECT_EQ(backend().http2_connections(), 1U);
  // Other requests share the connection with it.
  const auto others = ask(10);
  run(100ms);
  EXPECT_EQ(answered(others), 10U);
  EXPECT_THAT(backend().connections(), SizeIs(1));
}

TEST_P(Http2Upstream, WithoutExtendedConnectWebSocketHasAConnectionOfHttp1) {
  speak_http2(0, {.streams_max = 100, .offers_tunnels = false});
  backend().on("/chat", Handler{{}, [](const Message& request) {
                                  return Script{send_bytes(switching(request)), then(Kind::tunnel)};
                                }});
  start();
  get("/");
  backend().http2.reset();  // what comes now finds HTTP/1.1
  SimClient& client = upgrade("/chat");
  ASSERT_THAT(client.answers(), SizeIs(1));
  EXPECT_EQ(client.answers().back().status, 101);
  client.raw("hello");
  run(100ms);
  ASSERT_THAT(backend().connections(), SizeIs(2));
  EXPECT_EQ(exchange(1).tunnel(), "hello");
  get("/");
  EXPECT_EQ(backend().connections()[0]->requests(), 2U);
}

// A request goes out before SETTINGS have come, so that there is an answer to it, whatever they allow.
TEST_F(BugsOfHttp2, Case053ABackendThatAllowsNoStreamIsNotConnectedToForEver) {
  fates_.backend.delay = 1ms;
  speak_http2(0, {.streams_max = 0});
  start();
  for (std::size_t request = 1; request <= 3; ++request) {
    SimClient& client = get("/");
    ASSERT_EQ(client.answer_count(), 1U);
    EXPECT_EQ(client.answers().back().status, 502);
    EXPECT_LE(backend().connections().size(), request * cluster().retry.attempts);
  }
  EXPECT_EQ(backend().heads(), 0U);
}

// A unix socket tells a writer at once that its peer has closed; what the peer had said is read later.
TEST_F(BugsOfHttp2, Case054AWriteThatFailsIsNotTriedForEver) {
  const SocketAddress path = *SocketAddress::parse("unix:/run/backend.sock");
  backends_[0] = std::make_unique<SimBackend>(outside_, "one", path);
  proxy_.setup.clusters.front().members[0].backend = make_backend("one", path);
  fates_.backend.to_connector.drip_bytes = 200;
  fates_.backend.to_connector.drip_interval = 10ms;
  speak_http2(0, {.streams_max = 100, .stream_window = 1'000'000});
  backend().on("/download", Script{then(Kind::deaf), send_bytes(response(pattern(1, 20'000)))});
  start();
  SimClient& download = connect();
  download.get("/download");
  SimH2Client& uploads = connect_h2();
  for (int i = 0; i < 4; ++i) uploads.post("/", pattern(2, 200'000));
  run(200ms);
  ASSERT_EQ(backend().http2_connections(), 1U);
  backend().connections()[0]->close();
  run(5s);
  EXPECT_TRUE(broken_off(download));
  EXPECT_EQ(uploads.complete_answers(), 4U);
}

}  // namespace
}  // namespace weir::sim
