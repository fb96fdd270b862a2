#include "sim/h2_translator.h"

#include <algorithm>
#include <array>

namespace weir::sim {
namespace {

bool is_of_http1(std::string_view name) {
  constexpr std::array<std::string_view, 7> kNames = {"connection",        "keep-alive", "proxy-connection", "te",
                                                      "transfer-encoding", "upgrade",    "http2-settings"};
  return std::ranges::find(kNames, name) != kNames.end();
}

}  // namespace

void H2Translator::request_bytes(std::string_view bytes) {
  if (upgrade_ != 0) return engine_.body(upgrade_, bytes);
  requests_.feed(bytes);
  if (requests_.broken()) return answers_.give_up("the test's request: " + requests_.error());
  while (!requests_.messages.empty()) {
    pass_on(requests_.messages.front(), true);
    requests_.messages.pop_front();
  }
  if (requests_.in_body()) pass_on(requests_.current, false);
}

void H2Translator::pass_on(const Message& request, bool complete) {
  if (current_ == 0) {
    Message::Fields fields;
    const bool upgrade = request.field("upgrade") == "websocket";
    if (upgrade) fields.emplace_back(":protocol", "websocket");
    for (const auto& field : request.fields) {
      if (!is_of_http1(field.first) && field.first != "sec-websocket-key") fields.push_back(field);
    }
    const bool whole = complete && request.body.empty() && request.trailers.empty() && !upgrade;
    current_ = engine_.submit(upgrade ? "CONNECT" : request.method, request.target, fields, whole);
    open_.push_back(current_);
    body_sent_ = 0;
    if (upgrade) upgrade_ = current_;
    if (whole || upgrade) {
      current_ = 0;
      return;
    }
  }
  if (request.body.size() > body_sent_) engine_.body(current_, std::string_view(request.body).substr(body_sent_));
  body_sent_ = request.body.size();
  if (!complete) return;
  engine_.end(current_, request.trailers);
  current_ = 0;
}

void H2Translator::end_tunnel() {
  if (upgrade_ != 0) engine_.end(upgrade_);
}

void H2Translator::feed(std::string_view bytes) {
  engine_.feed(bytes);
  if (!engine_.error().empty()) answers_.give_up(engine_.error());
  look_at_answers();
}

void H2Translator::look_at_answers() {
  std::erase_if(open_, [this](std::int32_t stream) { return look_at(stream); });
}

// True if the stream has told all that it will.
bool H2Translator::look_at(std::int32_t stream) {
  const H2Answer& answer = engine_.answer(stream);
  for (; interim_told_ < answer.interim.size(); ++interim_told_)
    answers_.interim.push_back(answer.interim[interim_told_]);
  if (stream == upgrade_ && answer.head_seen && answer.message.status == 200) {
    if (!std::exchange(answers_.in_tunnel, true)) {
      Message switched = answer.message;
      switched.status = 101;
      switched.body.clear();
      answers_.deliver(std::move(switched));
    }
    answers_.tunnel.append(answer.message.body, tunnel_read_);
    tunnel_read_ = answer.message.body.size();
    tunnel_ended_ = answer.message.complete;
    if (answer.reset) answers_.give_up("the tunnel was reset");
    return answer.closed;
  }
  if (answer.message.complete) {
    answers_.deliver(answer.message);
    if (stream == upgrade_) upgrade_ = 0;
    interim_told_ = 0;
    return true;
  }
  if (answer.reset) {
    answers_.give_up("the stream was reset");
    return true;
  }
  if (stream != open_.front()) return false;
  Message& seen = answers_.current;
  if (seen.status == 0) {
    seen = answer.message;
  } else {
    seen.body.append(answer.message.body, seen.body.size());
  }
  return false;
}

}  // namespace weir::sim
