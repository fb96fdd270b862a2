#include "sim/scenario_h2_backend.h"

#include <algorithm>

#include "sim/h2_client.h"

namespace weir::sim {

std::string_view to_string(H2BackendFault fault) {
  static constexpr std::string_view kNames[] = {"none",
                                                "h2_refuses_stream",
                                                "h2_resets_stream_before_head",
                                                "h2_resets_stream_after_head",
                                                "h2_resets_stream_in_body",
                                                "h2_answers_early_and_resets_stream",
                                                "h2_goes_away_below",
                                                "h2_goes_away_in_two_steps",
                                                "h2_goes_away_and_closes",
                                                "h2_resets_connection",
                                                "h2_closes_in_frame",
                                                "h2_stalls_in_frame",
                                                "h2_stalls_before_head",
                                                "h2_stalls_after_head",
                                                "h2_drips",
                                                "h2_answers_early",
                                                "h2_answers_late",
                                                "h2_stops_reading_stream",
                                                "h2_reads_nothing_more",
                                                "h2_sends_garbage",
                                                "h2_breaks_rules",
                                                "h2_floods",
                                                "h2_changes_streams_max",
                                                "h2_changes_window",
                                                "h2_grpc_unavailable"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(H2BackendFault::count_));
  return kNames[static_cast<std::size_t>(fault)];
}

std::string_view to_string(H2ConnectionKind kind) {
  static constexpr std::string_view kNames[] = {"usual",
                                                "h2_allows_few_streams",
                                                "h2_has_small_windows",
                                                "h2_offers_no_tunnels",
                                                "h2_has_late_preface",
                                                "h2_has_no_preface"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(H2ConnectionKind::count_));
  return kNames[static_cast<std::size_t>(kind)];
}

namespace {

using Kind = Action::Kind;

Action raw(std::string bytes) {
  return {Kind::raw, std::move(bytes), {}, 0};
}

// Of the stream that it is said on.
Action frame(std::uint8_t type, std::uint8_t flags, std::string_view payload) {
  return {Kind::raw, h2_frame(type, flags, 0, payload), {}, 1};
}

Action some_wait(Rng& rng, std::uint64_t ms_at_most) {
  return wait_for(std::chrono::milliseconds(rng.below(ms_at_most)));
}

// Frames that a server may not send, each of another kind.
Action broken_rule(Rng& rng) {
  const std::string nothing(4, '\0');
  const Action rules[] = {
      raw(h2_frame(0, 0, 0, "data")),                           // DATA of the connection
      raw(h2_frame(8, 0, 0, std::string("\x7f\xff\xff\xff"))),  // a window of more than 2^31
      raw(h2_frame(1, 5, 2, "\x88")),                           // a stream that a server opens
      raw(h2_frame(3, 0, 1'000'001, nothing)),                  // the end of one that is idle
      raw(h2_frame(4, 0, 0, std::string("\0\4\xff\xff\xff\xff", 6))),
      raw(h2_frame(4, 1, 0, std::string(6, '\0'))),
      raw(h2_frame(6, 0, 0, "seven b")),
      raw(h2_frame(7, 0, 1, std::string(8, '\0'))),
      raw(std::string("\xff\xff\xff\0\0\0\0\0\1", 9)),  // longer than allowed
      frame(1, 5, "\xff\xff\xff\xff\xff\xff"),          // no HPACK
      frame(9, 4, ""),                                  // CONTINUATION of nothing
      frame(5, 4, nothing + "\x82"),                    // PUSH_PROMISE
      frame(0, 1, "evil"),                              // a body without a head
      frame(8, 0, nothing),                             // a window opened by 0
      frame(1, 5, h2_block({{"x-number", "1"}})),
      frame(1, 5, h2_block({{":status", "101"}})),
      frame(1, 5, h2_block({{":status", "200"}, {"X-Upper", "1"}})),
      frame(1, 5, h2_block({{":status", "200"}, {"connection", "close"}})),
      frame(1, 5, h2_block({{":status", "200"}, {"content-length", "3"}})),
      frame(1, 4, h2_block({{":status", "200"}})),  // another final head follows
      frame(1, 5, h2_block({{":status", "103"}})),  // ends before it has begun
  };
  return rules[rng.below(std::size(rules))];
}

Script flood(Rng& rng) {
  constexpr std::size_t kTimes = 3000;
  // Whoever counts the acknowledgements must know of each.
  if (rng.chance(0.3)) return Script(kTimes, then(Kind::window, 65'535));
  const std::string one = rng.chance(0.5) ? h2_frame(6, 0, 0, "12345678") : h2_frame(2, 0, 0, "12345");
  std::string all;
  for (std::size_t i = 0; i < kTimes; ++i) all += one;
  return {raw(std::move(all))};
}

// The answer as it should be, and its two ends.
struct Answer {
  Script whole;
  std::string bytes;
  std::size_t head_end;
  std::uint64_t number;
  std::string begin_of_body;  // or more, if it is short
  std::string head() const { return bytes.substr(0, head_end); }
};

void append(Script& to, const Script& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// What goes wrong with this stream alone; false if `fault` is of another kind.
bool plan_stream_fault(AnswerPlan& plan, const Answer& answer, H2BackendFault fault, Rng& rng) {
  static constexpr std::uint32_t kCodes[] = {kH2ProtocolError, kH2InternalError, kH2Cancel, kH2EnhanceYourCalm};
  const Action reset = then(Kind::reset_stream, kCodes[rng.below(std::size(kCodes))]);
  switch (fault) {
    case H2BackendFault::refuses_stream:
      (rng.chance(0.5) ? plan.at_head : plan.at_end) = {then(Kind::reset_stream, kH2RefusedStream), wait_for(kForever)};
      return true;
    case H2BackendFault::resets_stream_before_head:
      (rng.chance(0.5) ? plan.at_head : plan.at_end) = {reset, wait_for(kForever)};
      return true;
    case H2BackendFault::resets_stream_after_head:
      plan.at_end = {send_bytes(answer.head()), some_wait(rng, 20), reset};
      return true;
    case H2BackendFault::resets_stream_in_body:
      plan.at_end = {send_bytes(answer.bytes.substr(0, rng.between(answer.head_end, answer.bytes.size()))),
                     some_wait(rng, 20), reset};
      return true;
    case H2BackendFault::answers_early_and_resets_stream:
      append(plan.at_head, answer.whole);
      plan.at_head.push_back(then(Kind::reset_stream, kH2NoError));
      return true;
    case H2BackendFault::grpc_unavailable:
      plan.at_end = {send_bytes(grpc_unavailable(answer.number))};
      return true;
    case H2BackendFault::stalls_before_head:
      plan.at_end = {wait_for(kForever)};
      return true;
    case H2BackendFault::stalls_after_head:
      plan.at_end = {send_bytes(answer.head()), wait_for(kForever)};
      return true;
    case H2BackendFault::drips:
      for (std::size_t at = 0; at < answer.bytes.size(); at += 1 + answer.bytes.size() / 20) {
        plan.at_end.push_back(send_bytes(answer.bytes.substr(at, 1 + answer.bytes.size() / 20)));
        plan.at_end.push_back(some_wait(rng, 60));
      }
      plan.at_end.insert(plan.at_end.end(), answer.whole.begin() + 1, answer.whole.end());
      return true;
    case H2BackendFault::answers_early:
      append(plan.at_head, answer.whole);
      return true;
    case H2BackendFault::answers_late:
      plan.at_end = {some_wait(rng, 1500)};
      append(plan.at_end, answer.whole);
      return true;
    case H2BackendFault::stops_reading_stream:
      append(plan.at_head, {then(Kind::stop_reading), some_wait(rng, 2500), then(Kind::go_on_reading)});
      plan.at_end = answer.whole;
      return true;
    default:
      return false;
  }
}

// What goes wrong with the connection, and so with all that it carries.
void plan_connection_fault(AnswerPlan& plan, const Answer& answer, H2BackendFault fault, Rng& rng) {
  Script& script = plan.at_end;
  const bool head_first = rng.chance(0.5);
  if (head_first && (fault == H2BackendFault::closes_in_frame || fault == H2BackendFault::stalls_in_frame ||
                     fault == H2BackendFault::resets_connection)) {
    script.push_back(send_bytes(answer.head()));
  }
  const Action most_of_a_frame = frame(head_first ? 0 : 1, 0, head_first ? answer.begin_of_body : "\x88\x88\x88");
  const Action cut{Kind::raw, most_of_a_frame.bytes.substr(0, rng.between(9, most_of_a_frame.bytes.size() - 1)), {}, 1};
  switch (fault) {
    case H2BackendFault::goes_away_below:
      plan.at_head = {then(Kind::go_away, 1), some_wait(rng, 300), then(Kind::close, 1)};
      return;
    case H2BackendFault::goes_away_in_two_steps:
      script = {then(Kind::warn_to_go), some_wait(rng, 200), then(Kind::go_away)};
      return append(script, answer.whole);
    case H2BackendFault::goes_away_and_closes:
      script = {then(Kind::go_away)};
      append(script, answer.whole);
      return append(script, {some_wait(rng, 50), then(Kind::close, 1)});
    case H2BackendFault::resets_connection:
      return append(script, {wait_for(1ms), then(Kind::reset)});
    case H2BackendFault::closes_in_frame:
      return append(script, {cut, then(Kind::mute), some_wait(rng, 20), then(Kind::close, 1)});
    case H2BackendFault::stalls_in_frame:
      return append(script, {cut, then(Kind::mute), then(Kind::deaf), wait_for(kForever)});
    case H2BackendFault::reads_nothing_more:
      (rng.chance(0.5) ? plan.at_head : script) = {then(Kind::deaf), wait_for(kForever)};
      return;
    case H2BackendFault::sends_garbage:
      script = {raw("\x01\x02 garbage\r\n\r\n"), wait_for(kForever)};
      return;
    case H2BackendFault::breaks_rules:
      (rng.chance(0.3) ? plan.at_head : script) = {broken_rule(rng)};
      return append(script, answer.whole);
    case H2BackendFault::floods:
      script = flood(rng);
      return append(script, answer.whole);
    case H2BackendFault::changes_streams_max:
      plan.at_head.push_back(then(Kind::streams_max, static_cast<std::uint32_t>(rng.below(4))));
      script = {some_wait(rng, 100)};
      append(script, answer.whole);
      return append(script, {some_wait(rng, 300), then(Kind::streams_max, static_cast<std::uint32_t>(rng.below(50)))});
    case H2BackendFault::changes_window:
      plan.at_head.push_back(then(Kind::window, static_cast<std::uint32_t>(rng.below(1000))));
      script = {some_wait(rng, 100)};
      append(script, answer.whole);
      return append(script, {some_wait(rng, 300), then(Kind::window, static_cast<std::uint32_t>(rng.below(200'000)))});
    default:
      script = answer.whole;
  }
}

}  // namespace

AnswerPlan plan_http2_answer(const Message& request, H2BackendFault fault, Rng& rng) {
  const std::uint64_t number = number_of(request);
  const bool tunnel = request.field("upgrade") == "websocket";
  AnswerPlan plan;
  if (tunnel && fault == H2BackendFault::none) return {{}, accept_upgrade(request, number, rng)};
  Answer answer;
  answer.number = number;
  bool until_close = tunnel;
  answer.bytes =
      tunnel ? switching_head(request, number) + pattern(number, 5000) : proper_answer(request, number, until_close);
  answer.head_end = answer.bytes.find("\r\n\r\n", answer.bytes.find("X-Number")) + 4;
  const std::size_t begin = std::clamp<std::size_t>(answer_bytes(number), 1, 200);
  answer.begin_of_body = pattern(tunnel ? number : number + 1'000'000, begin);
  answer.whole = {send_bytes(answer.bytes)};
  if (until_close) answer.whole.push_back(then(Kind::half_close));
  if (!request.field("expect").empty() && rng.chance(0.8)) plan.at_head = {send_bytes("HTTP/1.1 100 Continue\r\n\r\n")};
  if (!plan_stream_fault(plan, answer, fault, rng)) plan_connection_fault(plan, answer, fault, rng);
  return plan;
}

void prepare_connection(SimBackend& backend, H2ConnectionKind kind, Rng& rng) {
  H2ServerOptions options{.streams_max = 100, .offers_tunnels = true};
  backend.http2_mute = Duration{};
  switch (kind) {
    case H2ConnectionKind::allows_few_streams:
      options.streams_max = rng.chance(0.1) ? 0 : static_cast<std::uint32_t>(rng.between(1, 4));
      break;
    case H2ConnectionKind::has_small_windows:
      options.stream_window = rng.chance(0.1) ? 0 : static_cast<std::uint32_t>(rng.below(500));
      break;
    case H2ConnectionKind::offers_no_tunnels:
      options.offers_tunnels = false;
      break;
    case H2ConnectionKind::has_late_preface:
      backend.http2_mute = std::chrono::milliseconds(rng.between(1, 500));
      break;
    case H2ConnectionKind::has_no_preface:
      backend.http2_mute = kForever;
      break;
    default:
      break;
  }
  backend.http2 = options;
}

}  // namespace weir::sim
