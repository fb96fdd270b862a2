#include "sim/scenario_plan.h"

#include <fmt/format.h>

#include <cerrno>

namespace weir::sim {

std::string_view to_string(BackendFault fault) {
  static constexpr std::string_view kNames[] = {"none",
                                                "h1_resets_before_head",
                                                "h1_resets_inside_head",
                                                "h1_resets_after_head",
                                                "h1_closes_at_byte_n",
                                                "h1_stalls_before_head",
                                                "h1_stalls_after_head",
                                                "h1_sends_garbage",
                                                "h1_sends_bad_chunks",
                                                "h1_sends_both_framings",
                                                "h1_sends_more_than_it_said",
                                                "h1_switches_unasked",
                                                "h1_drips",
                                                "h1_answers_early",
                                                "h1_answers_early_and_closes",
                                                "h1_closes_after_answer",
                                                "h1_answers_late",
                                                "h1_stops_reading",
                                                "grpc_unavailable"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(BackendFault::count_));
  return kNames[static_cast<std::size_t>(fault)];
}

std::string_view to_string(ClientFault fault) {
  static constexpr std::string_view kNames[] = {"none",
                                                "client_aborts",
                                                "client_closes_inside_request",
                                                "client_half_closes",
                                                "client_reads_slowly",
                                                "client_stops_reading",
                                                "client_sends_slowly",
                                                "client_stalls_inside_head",
                                                "client_stalls_inside_body",
                                                "client_sends_garbage",
                                                "client_pipelines",
                                                "client_speaks_http10",
                                                "client_says_nothing",
                                                "client_h2_resets_streams",
                                                "client_h2_tiny_windows",
                                                "client_h2_holds_windows",
                                                "client_h2_goes_away",
                                                "client_h2_stalls_in_frame",
                                                "client_h2_breaks_rules"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(ClientFault::count_));
  return kNames[static_cast<std::size_t>(fault)];
}

std::string_view to_string(TlsClientFault fault) {
  static constexpr std::string_view kNames[] = {"none",
                                                "tls_client_leaves_in_handshake",
                                                "tls_client_stalls_in_handshake",
                                                "tls_client_sends_garbage",
                                                "tls_client_speaks_in_clear",
                                                "tls_client_refuses_certificate",
                                                "tls_client_offers_unknown_protocol",
                                                "tls_client_is_too_old",
                                                "tls_client_leaves_without_goodbye",
                                                "tls_client_breaks_record",
                                                "tls_client_sends_alert"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(TlsClientFault::count_));
  return kNames[static_cast<std::size_t>(fault)];
}

std::string_view to_string(TlsBackendFault fault) {
  static constexpr std::string_view kNames[] = {"none",
                                                "tls_backend_leaves_in_handshake",
                                                "tls_backend_stalls_in_handshake",
                                                "tls_backend_sends_garbage",
                                                "tls_backend_answers_in_clear",
                                                "tls_backend_offers_unknown_protocol",
                                                "tls_backend_has_wrong_name",
                                                "tls_backend_is_unknown",
                                                "tls_backend_has_expired",
                                                "tls_backend_leaves_without_goodbye",
                                                "tls_backend_breaks_record",
                                                "tls_backend_sends_alert"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(TlsBackendFault::count_));
  return kNames[static_cast<std::size_t>(fault)];
}

std::string RequestPlan::target() const {
  if (connect()) return "a.test:443";
  return fmt::format("{}/{}", number % 17 == 0 ? "/said" : number % 19 == 0 ? "/nowhere" : "/r", number);
}

Message::Fields RequestPlan::fields() const {
  Message::Fields all{{"x-request-id", id}, {"x-id", id}, {"x-number", std::to_string(number)}};
  if (grpc) {
    all.emplace_back("content-type", "application/grpc");
    all.emplace_back("te", "trailers");
  }
  if (grpc_timeout_ms > 0) all.emplace_back("grpc-timeout", fmt::format("{}m", grpc_timeout_ms));
  return all;
}

std::string RequestPlan::head() const {
  std::string text =
      fmt::format("{} {} HTTP/1.{}\r\nHost: a.test{}\r\n", method, target(), http10 ? 0 : 1, connect() ? ":443" : "");
  for (const auto& [name, value] : fields()) text += fmt::format("{}: {}\r\n", name, value);
  if (upgrade) {
    text +=
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        "dGhlIHNhbXBsZSBub25jZQ==\r\n";
  } else if (close || http10) {
    text += close ? "Connection: close\r\n" : "Connection: keep-alive\r\n";
  }
  if (expect) text += "Expect: 100-continue\r\n";
  if (chunked) {
    text += "Transfer-Encoding: chunked\r\n";
  } else if (body_bytes > 0 || method == "POST" || method == "PUT") {
    text += fmt::format("Content-Length: {}\r\n", body_bytes);
  }
  return text + "\r\n";
}

std::string RequestPlan::body() const {
  const std::string bytes = pattern(number, body_bytes);
  return chunked ? in_chunks(bytes, 1 + number % 5000, trailers ? "X-Trailer: t\r\n" : "") : bytes;
}

RequestPlan draw_request(Rng& rng, std::uint64_t number, bool http10) {
  static constexpr std::string_view kMethods[] = {"GET", "GET",  "GET",    "POST",    "POST",
                                                  "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"};
  constexpr double kConnects = 0.02;
  RequestPlan plan;
  plan.number = number;
  plan.id = fmt::format("id-{}", number);
  plan.http10 = http10;
  plan.method = kMethods[rng.below(std::size(kMethods))];
  if (!http10 && rng.chance(kConnects)) {
    plan.method = "CONNECT";
    return plan;
  }
  const bool has_body = plan.method == "POST" || plan.method == "PUT" || plan.method == "PATCH" || rng.chance(0.05);
  if (has_body) {
    plan.body_bytes = rng.chance(0.2) ? 0 : rng.chance(0.15) ? rng.below(200'000) : rng.below(3000);
    plan.chunked = !http10 && rng.chance(0.4);
    plan.trailers = plan.chunked && rng.chance(0.3);
    plan.expect = !http10 && rng.chance(0.2);
  }
  plan.grpc = plan.method == "POST" && !http10 && rng.chance(0.3);
  if (plan.grpc && rng.chance(0.5)) plan.grpc_timeout_ms = rng.between(50, 2000);
  plan.upgrade = !has_body && !http10 && plan.method == "GET" && rng.chance(0.1);
  plan.close = rng.chance(0.15);
  return plan;
}

std::size_t answer_bytes(std::uint64_t number) {
  Rng rng(number * 31 + 7);
  return rng.chance(0.12) ? rng.below(250'000) : rng.below(4000);
}

std::uint64_t number_of(const Message& request) {
  return std::stoull("0" + std::string(request.field("x-number")));
}

std::string proper_answer(const Message& request, std::uint64_t number, bool& until_close) {
  if (request.method == "HEAD")
    return fmt::format("HTTP/1.1 200 OK\r\nX-Number: {}\r\nContent-Length: 1234\r\n\r\n", number);
  const std::string body = pattern(number + 1'000'000, answer_bytes(number));
  switch (number % 8) {
    case 0:
    case 1:
      return fmt::format("HTTP/1.1 200 OK\r\nX-Number: {}\r\nTransfer-Encoding: chunked\r\n\r\n{}", number,
                         in_chunks(body, 1 + number % 7000, number % 16 == 0 ? "X-T: 1\r\n" : ""));
    case 2:
      until_close = true;
      return fmt::format("HTTP/1.{} 200 OK\r\nX-Number: {}\r\nConnection: close\r\n\r\n{}", number % 3 == 0 ? 0 : 1,
                         number, body);
    case 3:
      return fmt::format("HTTP/1.1 204 No Content\r\nX-Number: {}\r\n\r\n", number);
    case 4:
      return fmt::format(
          "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX-Number: {}\r\nContent-Length: {}\r\n\r\n{}",
          number, body.size(), body);
    default:
      return fmt::format("HTTP/1.1 200 OK\r\nX-Number: {}\r\nKeep-Alive: timeout={}\r\nContent-Length: {}\r\n\r\n{}",
                         number, 1 + number % 4, body.size(), body);
  }
}

std::string grpc_unavailable(std::uint64_t number) {
  return response("", fmt::format("X-Number: {}\r\nContent-Type: application/grpc\r\nGrpc-Status: 14\r\n", number));
}

std::string switching_head(const Message& request, std::uint64_t number) {
  std::string head = switching(request);
  head.insert(head.size() - 2, fmt::format("X-Number: {}\r\n", number));
  return head;
}

Script accept_upgrade(const Message& request, std::uint64_t number, Rng& rng) {
  return {send_bytes(switching_head(request, number)),         then(Action::Kind::tunnel),
          wait_for(std::chrono::milliseconds(rng.below(50))),  send_bytes(pattern(number, 5000)),
          wait_for(std::chrono::milliseconds(rng.below(300))), then(Action::Kind::half_close)};
}

namespace {

// An answer that breaks off or that is none; empty if the fault is of another kind.
Script broken_answer(BackendFault fault, const std::string& whole, std::uint64_t number, Rng& rng) {
  using Kind = Action::Kind;
  const std::size_t head_end = whole.find("\r\n\r\n", whole.find("X-Number")) + 4;
  switch (fault) {
    case BackendFault::grpc_unavailable:
      return {send_bytes(grpc_unavailable(number))};
    case BackendFault::h1_resets_before_head:
      return {then(Kind::reset)};
    case BackendFault::h1_resets_inside_head:
      return Script{send_bytes(whole.substr(0, rng.between(1, 20))), wait_for(1ms), then(Kind::reset)};
    case BackendFault::h1_resets_after_head:
      return Script{send_bytes(whole.substr(0, head_end)), wait_for(1ms), then(Kind::reset)};
    case BackendFault::h1_closes_at_byte_n:
      return Script{send_bytes(whole.substr(0, rng.below(whole.size()))), then(Kind::close)};
    case BackendFault::h1_stalls_before_head:
      return Script{wait_for(kForever)};
    case BackendFault::h1_stalls_after_head:
      return Script{send_bytes(whole.substr(0, head_end)), wait_for(kForever)};
    case BackendFault::h1_sends_garbage:
      return Script{send_bytes("\x01\x02 garbage\r\n\r\n")};
    case BackendFault::h1_sends_bad_chunks:
      return Script{send_bytes(
          fmt::format("HTTP/1.1 200 OK\r\nX-Number: {}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", number))};
    case BackendFault::h1_sends_both_framings:
      return Script{send_bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n")};
    case BackendFault::h1_sends_more_than_it_said:
      return Script{send_bytes(whole + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")};
    case BackendFault::h1_switches_unasked:
      return Script{
          send_bytes("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nevil")};
    default:
      return {};
  }
}

}  // namespace

AnswerPlan plan_answer(const Message& request, BackendFault fault, Rng& rng) {
  using Kind = Action::Kind;
  const std::uint64_t number = number_of(request);
  if (request.field("upgrade") == "websocket" &&
      (fault == BackendFault::none || fault == BackendFault::h1_switches_unasked)) {
    return {{}, accept_upgrade(request, number, rng)};
  }
  bool until_close = false;
  const std::string whole = proper_answer(request, number, until_close);
  // Whatever follows a body without an end of its own is a part of it.
  if (until_close && fault == BackendFault::h1_sends_more_than_it_said) fault = BackendFault::none;
  AnswerPlan plan;
  if (!request.field("expect").empty() && rng.chance(0.8)) plan.at_head = {send_bytes("HTTP/1.1 100 Continue\r\n\r\n")};
  Script& script = plan.at_end;
  script = broken_answer(fault, whole, number, rng);
  if (!script.empty()) return plan;
  switch (fault) {
    case BackendFault::h1_drips:
      for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 20) {
        script.push_back(send_bytes(whole.substr(at, 1 + whole.size() / 20)));
        script.push_back(wait_for(std::chrono::milliseconds(rng.below(60))));
      }
      break;
    case BackendFault::h1_answers_early:
      plan.at_head.push_back(send_bytes(whole));
      break;
    case BackendFault::h1_answers_early_and_closes:
      plan.at_head.push_back(send_bytes(whole));
      plan.at_head.push_back(then(Kind::close));
      break;
    case BackendFault::h1_answers_late:
      script = {wait_for(std::chrono::milliseconds(rng.below(1500))), send_bytes(whole)};
      break;
    case BackendFault::h1_stops_reading:
      plan.at_head.push_back(then(Kind::stop_reading));
      plan.at_head.push_back(wait_for(std::chrono::milliseconds(rng.below(2500))));
      plan.at_head.push_back(then(Kind::go_on_reading));
      script = {send_bytes(whole)};
      break;
    case BackendFault::h1_closes_after_answer:
      script = {send_bytes(whole), then(Kind::close)};
      break;
    default:
      script = {send_bytes(whole)};
      break;
  }
  if (until_close && (fault == BackendFault::none || fault == BackendFault::h1_drips ||
                      fault == BackendFault::h1_answers_late || fault == BackendFault::h1_stops_reading)) {
    script.push_back(then(Kind::half_close));
  }
  if (until_close && fault == BackendFault::h1_answers_early) plan.at_head.push_back(then(Kind::half_close));
  return plan;
}

void ScenarioFaults::draw_direction(DirectionPlan& plan) {
  switch (rng_.below(8)) {
    case 0:
      plan.reset_after_bytes = rng_.chance(0.5) ? rng_.below(500) : rng_.below(100'000);
      break;
    case 1:
      plan.close_after_bytes = rng_.chance(0.5) ? rng_.below(500) : rng_.below(100'000);
      break;
    case 2:
      plan.stall_after_bytes = rng_.chance(0.5) ? rng_.below(500) : rng_.below(100'000);
      plan.stall_duration = rng_.chance(0.3) ? kForever : Duration(std::chrono::milliseconds(rng_.below(2000)));
      break;
    case 3:
      plan.drip_bytes = rng_.between(50, 3000);
      plan.drip_interval = std::chrono::milliseconds(rng_.between(1, 20));
      break;
    case 4:
    case 5:
      plan.short_writes = true;
      break;
    case 6:
      plan.short_reads = true;
      break;
    default:
      plan.extra_delay = std::chrono::milliseconds(rng_.between(1, 100));
      break;
  }
}

LinkPlan ScenarioFaults::draw(const IpAddress&, const SocketAddress& to, TimePoint, Rng&) {
  LinkPlan plan;
  last_clean_ = true;
  if (to.port == 9090) return plan;
  const bool client = !is_backend(to);
  plan.delay = std::chrono::microseconds(rng_.between(10, 500));
  plan.send_buffer_bytes = rng_.chance(0.3) ? rng_.between(100, 10'000) : 64 * 1024;
  if (!rng_.chance(client ? client_chance_ : backend_chance_)) return plan;
  last_clean_ = false;
  if (!client) {
    switch (rng_.below(10)) {
      case 0:
        plan.refuse = true;
        return plan;
      case 1:
        plan.blackhole = true;
        return plan;
      case 2:
        plan.connect_errno = rng_.chance(0.5) ? EADDRNOTAVAIL : ENOBUFS;
        return plan;
      default:
        break;
    }
  }
  if (rng_.chance(0.6)) draw_direction(plan.to_listener);
  if (rng_.chance(0.6)) draw_direction(plan.to_connector);
  return plan;
}

}  // namespace weir::sim
