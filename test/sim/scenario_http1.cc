#include "sim/scenario_http1.h"

#include <algorithm>

namespace weir::sim {

ClientFault Http1Clients::draw_fault() {
  if (rng_.chance(0.5)) return ClientFault::none;
  return static_cast<ClientFault>(rng_.between(1, static_cast<std::uint64_t>(kLastHttp1Fault)));
}

void Http1Clients::begin(ScenarioClient& client, const SocketAddress& proxy) {
  client.peer = std::make_unique<SimClient>(outside_, proxy, Protocol::http1, client.tls.get(), client.opening);
  if (client.tls_fault == TlsClientFault::sends_garbage) return;
  client.peer->on_progress = [this, &client] { go_on(client); };
  switch (client.fault) {
    case ClientFault::says_nothing:
      return;
    case ClientFault::sends_garbage:
      return client.peer->raw("\x16\x03\x01 not http\r\n\r\n");
    case ClientFault::aborts:
      outside_.world().after(some_time(500ms), [&client] { client.peer->reset(); });
      break;
    case ClientFault::stops_reading:
      client.peer->stop_reading();
      break;
    case ClientFault::reads_slowly:
      toggle_reading(client, 100);
      break;
    default:
      break;
  }
  send_next(client);
  if (client.fault == ClientFault::pipelines) {
    while (client.sent < client.requests.size()) send_next(client);
  }
}

void Http1Clients::toggle_reading(ScenarioClient& client, int times) {
  times % 2 == 0 ? client.peer->stop_reading() : client.peer->go_on_reading();
  if (times == 0) return client.peer->go_on_reading();
  outside_.world().after(some_time(20ms), [this, &client, times] { toggle_reading(client, times - 1); });
}

void Http1Clients::go_on(ScenarioClient& client) {
  SimClient& peer = *client.peer;
  if (peer.reader().in_tunnel && !client.in_tunnel) {
    client.in_tunnel = true;
    peer.send(pattern(client.requests[client.sent - 1].number + 5, 2000));
    outside_.world().after(some_time(500ms), [&peer] { peer.half_close(); });
  }
  if (client.in_tunnel || client.body_pending || client.sent == client.requests.size()) return;
  // Whatever it sent now would be the rest of a body that it owes.
  if (client.fault == ClientFault::stalls_inside_body) return;
  if (peer.answer_count() < client.sent || peer.reader().broken() || client.sent == 0) return;
  client.body_pending = true;  // until it has thought about the next one
  outside_.world().after(some_time(rng_.chance(0.8) ? 10ms : 800ms), [this, &client] {
    client.body_pending = false;
    if (client.peer->is_open() && !client.peer->ended()) send_next(client);
  });
}

void Http1Clients::send_next(ScenarioClient& client) {
  const RequestPlan& request = client.requests[client.sent++];
  SimClient& peer = *client.peer;
  outside_.world().trace("client {} requests {} {}", client.index, request.method, request.id);
  peer.raw("", request.method);
  const std::string head = request.head();
  const std::string body = request.body();
  const bool last = client.sent == client.requests.size();
  switch (client.fault) {
    case ClientFault::stalls_inside_head:
      return peer.send(head.substr(0, rng_.between(1, head.size() - 1)));
    case ClientFault::stalls_inside_body:
      return peer.send(head + body.substr(0, rng_.below(body.size() + 1)));
    case ClientFault::closes_inside_request:
      peer.send((head + body).substr(0, rng_.between(1, head.size() + body.size())));
      return rng_.chance(0.5) ? peer.half_close() : peer.close();
    case ClientFault::sends_slowly:
      return send_in_pieces(client, head + body);
    default:
      break;
  }
  if (request.expect && client.fault != ClientFault::pipelines) {
    peer.send(head);
    client.body_pending = true;
    outside_.world().after(some_time(50ms), [this, &client, body] {
      client.body_pending = false;
      client.peer->send(body);
      go_on(client);
    });
  } else {
    peer.send(head + body);
  }
  if (client.fault == ClientFault::half_closes && last && !client.body_pending) peer.half_close();
}

void Http1Clients::send_in_pieces(ScenarioClient& client, std::string text) {
  const std::size_t size = std::min<std::size_t>(text.size(), 1 + text.size() / 20);
  client.peer->send(text.substr(0, size));
  text.erase(0, size);
  client.body_pending = !text.empty();
  if (text.empty()) return go_on(client);
  outside_.world().after(
      some_time(30ms), [this, &client, text = std::move(text)]() mutable { send_in_pieces(client, std::move(text)); });
}

}  // namespace weir::sim
