#include "sim/scenario_http2.h"

#include <fmt/format.h>

#include <algorithm>

namespace weir::sim {

namespace {

bool can_send(const ScenarioClient& client) {
  return client.h2->is_open() && !client.h2->ended();
}

}  // namespace

ClientFault Http2Clients::draw_fault() {
  static constexpr ClientFault kFaults[] = {ClientFault::aborts,          ClientFault::half_closes,
                                            ClientFault::reads_slowly,    ClientFault::stops_reading,
                                            ClientFault::sends_slowly,    ClientFault::h2_resets_streams,
                                            ClientFault::h2_tiny_windows, ClientFault::h2_holds_windows,
                                            ClientFault::h2_goes_away,    ClientFault::h2_stalls_in_frame,
                                            ClientFault::h2_breaks_rules};
  return rng_.chance(0.5) ? ClientFault::none : kFaults[rng_.below(std::size(kFaults))];
}

void Http2Clients::begin(ScenarioClient& client, const SocketAddress& proxy) {
  H2Options options;
  if (client.fault == ClientFault::h2_tiny_windows) options.stream_window = static_cast<std::uint32_t>(rng_.below(300));
  client.h2 = std::make_unique<SimH2Client>(outside_, proxy, options, client.opening, client.tls.get());
  client.h2->on_progress = [this, &client] { go_on(client); };
  misbehave(client);
  for (std::size_t i = 0; i < client.requests.size(); ++i) {
    later(rng_.chance(0.5) ? 5ms : 400ms, [this, &client, i] { send(client, i); });
  }
}

void Http2Clients::misbehave(ScenarioClient& client) {
  SimH2Client& peer = *client.h2;
  switch (client.fault) {
    case ClientFault::aborts:
      return later(500ms, [&peer] { peer.reset(); });
    case ClientFault::half_closes:
      return later(500ms, [&peer] { peer.half_close(); });
    case ClientFault::stops_reading:
      return later(50ms, [&peer] { peer.stop_reading(); });
    case ClientFault::reads_slowly:
      return toggle_reading(client, 100);
    case ClientFault::h2_goes_away:
      return later(400ms, [&client, &peer] {
        if (can_send(client)) peer.go_away();
      });
    case ClientFault::h2_stalls_in_frame:
      peer.hold_back_after(rng_.between(1, 300));
      return later(1500ms, [&peer] { peer.release(); });
    case ClientFault::h2_breaks_rules:
      return later(400ms, [this, &client, &peer] {
        const std::string wrong[] = {h2_frame(0, 0, 0, "data"), h2_frame(8, 0, 0, std::string("\x7f\xff\xff\xff", 4)),
                                     h2_frame(1, 5, 2, "\x82"), h2_frame(1, 5, 4001, "\xff\xff\xff\xff\xff\xff"),
                                     h2_frame(9, 4, 1, ""),     h2_frame(5, 4, 1, "")};
        if (can_send(client)) peer.raw(wrong[rng_.below(std::size(wrong))]);
      });
    default:
      return;
  }
}

void Http2Clients::toggle_reading(ScenarioClient& client, int times) {
  times % 2 == 0 ? client.h2->stop_reading() : client.h2->go_on_reading();
  if (times == 0) return client.h2->go_on_reading();
  later(20ms, [this, &client, times] { toggle_reading(client, times - 1); });
}

void Http2Clients::send(ScenarioClient& client, std::size_t index) {
  if (!can_send(client)) return;
  SimH2Client& peer = *client.h2;
  const RequestPlan& request = client.requests[index];
  ++client.sent;
  outside_.world().trace("client {} requests {} {} by HTTP/2", client.index, request.method, request.id);
  Message::Fields fields = request.fields();
  std::int32_t stream = 0;
  if (request.upgrade) {
    stream = peer.websocket(request.target(), fields);
  } else {
    if (request.expect) fields.emplace_back("expect", "100-continue");
    const bool sized = request.body_bytes > 0 || request.method == "POST" || request.method == "PUT";
    if (!request.chunked && sized) fields.emplace_back("content-length", std::to_string(request.body_bytes));
    if (request.body_bytes == 0 && !request.trailers) {
      stream = peer.bodiless(request.method, request.target(), fields);
    } else {
      stream = peer.open(request.method, request.target(), fields);
      later(request.expect ? 50ms : 1ms, [this, &client, stream, index] { send_body(client, stream, index, 0); });
    }
  }
  client.streams[stream] = index;
  if (client.fault == ClientFault::h2_resets_streams) {
    later(rng_.chance(0.5) ? 1ms : 300ms, [&client, &peer, stream] {
      if (can_send(client)) peer.reset_stream(stream);
    });
  }
  if (client.fault == ClientFault::h2_holds_windows) {
    peer.engine().hold_window(stream);
    if (rng_.chance(0.7)) {
      later(800ms, [&client, &peer, stream] {
        if (can_send(client)) peer.open_window(stream);
      });
    }
  }
}

// All at once, or in pieces.
void Http2Clients::send_body(ScenarioClient& client, std::int32_t stream, std::size_t index, std::size_t from) {
  if (!can_send(client) || client.h2->answer(stream).closed) return;
  const RequestPlan& request = client.requests[index];
  const std::string whole = pattern(request.number, request.body_bytes);
  const bool in_pieces = client.fault == ClientFault::sends_slowly;
  const std::size_t size = in_pieces ? std::min(whole.size() - from, 1 + whole.size() / 10) : whole.size();
  client.h2->body(stream, whole.substr(from, size));
  if (from + size == whole.size()) {
    return client.h2->end(stream, request.trailers ? Message::Fields{{"x-trailer", "t"}} : Message::Fields{});
  }
  later(30ms, [this, &client, stream, index, at = from + size] { send_body(client, stream, index, at); });
}

// Who has got a tunnel uses it for a while.
void Http2Clients::go_on(ScenarioClient& client) {
  for (const auto& [stream, index] : client.streams) {
    const H2Answer& answer = client.h2->answer(stream);
    if (!client.requests[index].upgrade || !answer.head_seen || answer.message.status != 200) continue;
    if (!client.tunnels.insert(stream).second) continue;
    later(1ms, [&client, stream, number = client.requests[index].number] {
      if (can_send(client)) client.h2->body(stream, pattern(number + 5, 2000));
    });
    outside_.world().after(1ms + some_time(500ms), [&client, stream] {
      if (can_send(client)) client.h2->end(stream);
    });
  }
}

}  // namespace weir::sim
