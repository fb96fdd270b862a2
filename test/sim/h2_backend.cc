#include "sim/h2_backend.h"

#include <algorithm>
#include <array>

namespace weir::sim {
namespace {

bool is_of_http1(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {"connection",        "keep-alive", "proxy-connection",
                                                      "transfer-encoding", "upgrade",    "sec-websocket-accept"};
  return std::ranges::find(kNames, name) != kNames.end();
}

Message::Fields without_those_of_http1(const Message::Fields& fields) {
  Message::Fields kept;
  std::ranges::copy_if(fields, std::back_inserter(kept), [](const auto& field) { return !is_of_http1(field.first); });
  return kept;
}

// The frame is this stream's.
std::string on_stream(std::int32_t id, std::string frame) {
  for (int i = 0; i < 4; ++i) frame[5 + static_cast<std::size_t>(i)] = static_cast<char>(id >> (24 - 8 * i));
  return frame;
}

}  // namespace

H2BackendSide::H2BackendSide(SimBackend& backend, BackendConnection& connection, const H2ServerOptions& options,
                             Duration output_after)
    : backend_(backend),
      connection_(connection),
      server_(options),
      mute_(output_after > Duration{}),
      begins_late_(mute_ && output_after != kForever) {
  if (!backend.keep_bodies) server_.compare_bodies();
  if (begins_late_) {
    connection_.outside().world().after(output_after, [this] {
      mute_ = begins_late_ = false;  // nothing was said that could have muted it since
      flush();
      if (!server_.error().empty()) connection_.close();
    });
  }
}

void H2BackendSide::on_bytes(std::string_view bytes) {
  server_.feed(bytes);
  look();
  flush();
  if (!server_.error().empty() && !begins_late_) connection_.close();
}

void H2BackendSide::flush() {
  if (mute_ || connection_.silent() || !connection_.is_open()) return;
  const std::string output = server_.take_output();
  if (!output.empty()) connection_.send(output);
}

void H2BackendSide::look() {
  for (const auto& [id, request] : server_.requests()) {
    Stream& stream = streams_[id];
    if (stream.end_seen || !request.head_seen) continue;
    const Handler* handler = backend_.handler_for(request.message);
    if (!stream.head_seen) {
      stream.head_seen = true;
      stream.answer.expect(request.message.method);
      backend_.note_head(request.message, connection_, id);
      connection_.note_id(request.message);
      if (id > last_) {
        disown(id);
        continue;
      }
      if (handler != nullptr && handler->at_head) run(id, handler->at_head(request.message));
    }
    if (stream.end_seen) continue;  // the head's script saw to it
    if (!request.message.complete && request.message.field("upgrade").empty()) continue;
    stream.end_seen = true;
    backend_.requests_.push_back(request.message);
    connection_.count_request();
    if (handler == nullptr) {
      run(id, {send_bytes(response("hello\n"))});
    } else if (handler->at_end) {
      run(id, handler->at_end(request.message));
    }
  }
}

void H2BackendSide::run(std::int32_t id, Script script) {
  Stream& stream = streams_[id];
  stream.script.insert(stream.script.end(), std::make_move_iterator(script.begin()),
                       std::make_move_iterator(script.end()));
  if (!stream.waiting) go_on(id);
}

void H2BackendSide::go_on(std::int32_t id) {
  Stream& stream = streams_[id];
  while (stream.next < stream.script.size()) {
    const Action action = stream.script[stream.next++];
    if (!act(id, action)) return;
  }
  stream.script.clear();
  stream.next = 0;
}

bool H2BackendSide::act(std::int32_t id, const Action& action) {
  Stream& stream = streams_[id];
  switch (action.kind) {
    case Action::Kind::send:
      stream.answer.feed(action.bytes);
      translate(id);
      break;
    case Action::Kind::send_streamed:
      server_.stream_body(id, action.code);
      stream.end_told = true;
      break;
    case Action::Kind::half_close:
      if (stream.tunnel) {
        server_.end(id);
        break;
      }
      if (end_with_connection(id)) break;
      flush();
      connection_.half_close();
      break;
    case Action::Kind::close:
    case Action::Kind::abandon:
      if (action.code == 0 && end_with_connection(id)) break;
      flush();
      action.kind == Action::Kind::close ? connection_.close() : connection_.abandon();
      break;
    case Action::Kind::reset:
      connection_.reset();
      break;
    case Action::Kind::stop_reading:
      server_.hold_window(id);
      break;
    case Action::Kind::go_on_reading:
      server_.open_window(id);
      break;
    case Action::Kind::tunnel:
      stream.tunnel = true;
      break;
    case Action::Kind::reset_stream:
      flush();  // what was said before it
      if (action.code == kH2RefusedStream && !stream.head_told) disown(id);
      server_.reset(id, action.code);
      break;
    case Action::Kind::go_away:
      go_away(action.code == 0 ? id : std::max(id - 2, 0));
      break;
    case Action::Kind::warn_to_go:
      server_.warn_to_go();
      break;
    case Action::Kind::streams_max:
      server_.allow_streams(action.code);
      break;
    case Action::Kind::window:
      server_.set_window(action.code);
      break;
    case Action::Kind::raw:
      flush();
      if (!mute_) connection_.send(action.code == 0 ? action.bytes : on_stream(id, action.bytes));
      break;
    case Action::Kind::mute:
      mute_ = true;
      break;
    case Action::Kind::deaf:
      connection_.stop_reading();
      break;
    case Action::Kind::wait:
      wait(id, action.wait);
      return false;
  }
  return true;
}

void H2BackendSide::wait(std::int32_t id, Duration duration) {
  streams_[id].waiting = true;
  if (duration == kForever) return;
  connection_.outside().world().after(duration, [this, id] {
    streams_[id].waiting = false;
    go_on(id);
    flush();
  });
}

// Neither what is there already, nor what is on its way.
void H2BackendSide::go_away(std::int32_t last) {
  server_.go_away(last);
  last_ = std::min(last_, last);
  for (auto& [id, stream] : streams_) {
    if (id > last_ && stream.head_seen) disown(id);
  }
}

// The proxy was told that the request has not been processed, and may send it again.
void H2BackendSide::disown(std::int32_t id) {
  Stream& stream = streams_[id];
  if (std::exchange(stream.disowned, true)) return;
  stream.end_seen = true;
  stream.script.clear();
  backend_.note_disowned(server_.requests().at(id).message);
}

// A body whose end is the connection's end in HTTP/1 has one of its own here.
bool H2BackendSide::end_with_connection(std::int32_t id) {
  Stream& stream = streams_[id];
  if (!stream.answer.current.until_close || stream.tunnel) return false;
  stream.answer.end(false);
  translate(id);
  return true;
}

void H2BackendSide::translate(std::int32_t id) {
  Stream& stream = streams_[id];
  MessageReader& answer = stream.answer;
  if (answer.broken()) return server_.reset(id, kH2InternalError);
  for (; stream.interim_told < answer.interim.size(); ++stream.interim_told) {
    const Message& interim = answer.interim[stream.interim_told];
    server_.head(id, interim.status, without_those_of_http1(interim.fields), false);
  }
  const bool complete = !answer.messages.empty();
  if (!complete && !answer.in_body()) return;
  const Message& message = complete ? answer.messages.front() : answer.current;
  const bool whole = complete && message.body.empty() && message.trailers.empty() && message.status != 101;
  if (!stream.head_told) {
    stream.head_told = true;
    stream.tunnel = message.status == 101;
    server_.head(id, stream.tunnel ? 200 : message.status, without_those_of_http1(message.fields), whole);
    if (whole) stream.end_told = true;
  }
  if (stream.tunnel) {
    server_.body(id, std::string_view(answer.tunnel).substr(stream.tunnel_told));
    stream.tunnel_told = answer.tunnel.size();
    return;
  }
  server_.body(id, std::string_view(message.body).substr(stream.body_told));
  stream.body_told = message.body.size();
  if (complete && !std::exchange(stream.end_told, true)) server_.end(id, message.trailers);
}

bool H2BackendSide::busy() const {
  const auto runs = [](const auto& entry) { return !entry.second.script.empty(); };
  return server_.unsent() > 0 || std::ranges::any_of(streams_, runs);
}

}  // namespace weir::sim
