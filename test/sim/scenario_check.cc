#include "sim/scenario_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/proxy.h"

namespace weir::sim {

namespace {

struct Reason {
  std::string_view text;
  int status;
  int grpc_status;
};
constexpr Reason kReasons[] = {{"bad_request", 400, 13},         {"no_route", 404, 12},
                               {"request_timeout", 408, 4},      {"body_too_large", 413, 8},
                               {"connect_not_allowed", 405, 2},  {"connect_failed", 502, 14},
                               {"upstream_reset", 502, 14},      {"upstream_protocol_error", 502, 14},
                               {"upstream_tls_failed", 502, 14}, {"no_healthy_backend", 503, 14},
                               {"overloaded", 503, 14},          {"upstream_timeout", 504, 4},
                               {"connect_timeout", 504, 14}};

class Checker {
 public:
  Checker(const ScenarioFacts& facts, const WholeWeir& weir, ScenarioResult& result)
      : facts_(facts), weir_(weir), result_(result) {}

  void read_log();
  void read_connections(const std::vector<std::unique_ptr<SimBackend>>& backends);
  void client(const ScenarioClient& client);
  void http2_client(const ScenarioClient& client);
  void whose(const BackendConnection& connection);
  void backends(const std::vector<std::unique_ptr<SimBackend>>& backends);
  void counts();

 private:
  template <typename... Args>
  void violated(fmt::format_string<Args...> format, Args&&... args) {
    result_.violations.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  void answer(const ScenarioClient& client, const RequestPlan& request, const Message& answer);
  void body(const ScenarioClient& client, const RequestPlan& request, const Message& message, bool complete);
  void local_reply(const RequestPlan& request, const Message& answer);
  void sent_away(const ScenarioClient& client);
  void unanswered(const ScenarioClient& client, const RequestPlan& request, std::int32_t stream, std::int32_t last);

  const ScenarioFacts& facts_;
  const WholeWeir& weir_;
  ScenarioResult& result_;
  std::map<std::string, std::vector<std::string>> lines_;  // of the access log, by request id
  std::int64_t attempts_ = 0;
  std::set<std::size_t> wordless_;  // clients
  std::set<std::string> in_clear_;  // requests that reached a backend without TLS
};

void Checker::read_log() {
  for (const std::string& line : weir_.log()) {
    const std::string id = SimProxy::log_value(line, "request_id");
    lines_[id].push_back(line);
    attempts_ += std::stol(SimProxy::log_value(line, "attempts"));
    const auto took = std::chrono::microseconds(std::stoll(SimProxy::log_value(line, "duration_us")));
    const auto request = facts_.requests.find(id);
    if (request != facts_.requests.end() && request->second.grpc_timeout_ms > 0 &&
        took > std::chrono::milliseconds(request->second.grpc_timeout_ms) + facts_.longest_header_timeout + 10ms) {
      violated("{} took {} us, longer than its grpc-timeout", id, took.count());
    }
    if (facts_.strictest_total == kForever || SimProxy::log_value(line, "status") == "101") continue;
    const bool proxied = SimProxy::log_value(line, "cluster") != "";
    if (proxied && took > facts_.strictest_total + facts_.longest_header_timeout + 10ms) {
      violated("{} took {} us, longer than its total timeout", id, took.count());
    }
  }
  for (const auto& [id, lines] : lines_) {
    if (lines.size() > 1 && id.starts_with("id-")) violated("{} lines in the log for {}", lines.size(), id);
  }
}

void Checker::read_connections(const std::vector<std::unique_ptr<SimBackend>>& backends) {
  for (const auto& backend : backends) {
    for (const auto& connection : backend->connections()) {
      if (connection->tls() == nullptr) in_clear_.insert(connection->ids().begin(), connection->ids().end());
    }
  }
}

// The bytes must be those of this very request's answer.
void Checker::body(const ScenarioClient& client, const RequestPlan& request, const Message& message, bool complete) {
  const bool has_none = message.status == 204 || request.method == "HEAD" || message.field("grpc-status") == "14";
  const std::string expected =
      has_none ? std::string() : pattern(request.number + 1'000'000, answer_bytes(request.number));
  const bool until_close = request.number % 8 == 2;
  // TLS tells a FIN that the network made up from the end.
  const bool in_clear = in_clear_.contains(request.id);
  const bool by_network = facts_.cut_by_network && (facts_.stopped_at_once || in_clear);
  const bool by_backend =
      facts_.cut_by_backend.contains(request.id) || (in_clear && facts_.cut_without_goodbye.contains(request.id));
  const bool may_be_cut = (until_close && (by_network || by_backend)) || (message.until_close && !client.clean);
  const bool right = complete && !may_be_cut ? message.body == expected : expected.starts_with(message.body);
  if (!right) violated("{}: the body is not its own ({} bytes)", request.id, message.body.size());
}

void Checker::local_reply(const RequestPlan& request, const Message& answer) {
  ++result_.local_replies;
  const std::string_view grpc_status = answer.field("grpc-status");
  const auto* reason = std::ranges::find_if(kReasons, [&](const Reason& r) {
    if (!grpc_status.empty()) {
      return answer.status == 200 && answer.body.empty() && grpc_status == std::to_string(r.grpc_status) &&
             answer.field("grpc-message") == r.text;
    }
    return r.status == answer.status &&
           (request.method == "HEAD" ? answer.body.empty() : answer.body == fmt::format("{} {}\n", r.status, r.text));
  });
  if (reason == std::end(kReasons)) violated("{}: a strange reply: {} {}", request.id, answer.status, answer.body);
}

void Checker::answer(const ScenarioClient& client, const RequestPlan& request, const Message& answer) {
  // A connection over the limit is turned away before anything is read from it: no line, and an id of its own.
  const bool refused = answer.status == 503 && answer.field("x-request-id") != request.id;
  if (!refused && answer.field("x-request-id") != request.id && answer.status != 400 && answer.status != 408) {
    violated("{} got the answer of {}", request.id, answer.field("x-request-id"));
  }
  const std::string_view number = answer.field("x-number");
  if (!number.empty()) {
    if (number != std::to_string(request.number)) violated("{} got the answer to {}", request.id, number);
    if (answer.status != 101) body(client, request, answer, true);
  } else if (answer.status >= 400) {
    local_reply(request, answer);
  } else if (request.grpc && !answer.field("grpc-status").empty()) {
    local_reply(request, answer);
  } else if (answer.body != (request.method == "HEAD" ? "" : "said")) {
    violated("{}: an answer from nowhere: {} {}", request.id, answer.status, answer.body.substr(0, 100));
  }
  if (refused || client.fault == ClientFault::sends_garbage || answer.field("x-request-id") != request.id) return;
  const auto found = lines_.find(request.id);
  if (found == lines_.end()) return violated("{} was answered and is not in the log", request.id);
  if (SimProxy::log_value(found->second[0], "status") != std::to_string(answer.status)) {
    violated("{}: the client got {}, the log says {}", request.id, answer.status, found->second[0]);
  }
}

// A stream without a whole answer: its end must show, or somebody else must be to blame that it has none.
void Checker::unanswered(const ScenarioClient& client, const RequestPlan& request, std::int32_t stream,
                         std::int32_t last) {
  ++result_.aborts;
  const SimH2Client& peer = *client.h2;
  const H2Answer& answer = peer.answer(stream);
  if (stream > last && lines_.contains(request.id)) violated("{} was said not to be processed, and was", request.id);
  if (!client.clean || answer.closed || answer.reset || stream > last) return;
  const bool waits = client.fault == ClientFault::none || client.fault == ClientFault::reads_slowly ||
                     client.fault == ClientFault::sends_slowly || client.fault == ClientFault::h2_goes_away;
  if (peer.is_open() && !peer.ended() && peer.connected() && waits) violated("{} was left waiting", request.id);
  if (client.fault == ClientFault::none && peer.got_fin() && peer.engine().go_aways().empty()) {
    sent_away(client);
  }
}

// Over TLS, one that is too many is closed: a word that it could read would cost a handshake.
void Checker::sent_away(const ScenarioClient& client) {
  const PeerTls* tls = client.connection()->tls();
  if (tls != nullptr && tls->wire_bytes() == 0) {
    wordless_.insert(client.index);
  } else {
    violated("client {} was sent away without a word", client.index);
  }
}

void Checker::http2_client(const ScenarioClient& client) {
  const SimH2Client& peer = *client.h2;
  result_.requests += client.sent;
  if (peer.refused() || client.talks_past()) return;
  if (!peer.engine().error().empty() && client.fault != ClientFault::h2_breaks_rules) {
    violated("client {} can't read what came: {}", client.index, peer.engine().error());
  }
  std::int32_t last = INT32_MAX;
  for (const H2GoAway& said : peer.engine().go_aways()) last = std::min(last, said.last_id);
  for (const auto& [stream, index] : client.streams) {
    const RequestPlan& request = client.requests[index];
    const H2Answer& got = peer.answer(stream);
    if (request.upgrade && got.head_seen && got.message.status == 200) {
      ++result_.answers;
      if (!pattern(request.number, 5000).starts_with(got.message.body))
        violated("{}: bytes of another tunnel", request.id);
    } else if (got.message.complete) {
      ++result_.answers;
      answer(client, request, got.message);
    } else {
      if (!got.message.field("x-number").empty()) body(client, request, got.message, false);
      unanswered(client, request, stream, last);
    }
  }
}

void Checker::client(const ScenarioClient& client) {
  if (client.h2 != nullptr) return http2_client(client);
  if (client.peer == nullptr) return;
  const SimClient& peer = *client.peer;
  result_.requests += client.sent;
  result_.answers += peer.answer_count();
  if (client.fault == ClientFault::sends_garbage || client.talks_past()) return;
  if (peer.answer_count() > std::max<std::size_t>(client.sent, 1))
    violated("client {} got too many answers", client.index);
  for (std::size_t i = 0; i < std::min(client.sent, peer.answer_count()); ++i)
    answer(client, client.requests[i], peer.answers()[i]);
  if (client.in_tunnel) {
    const std::string expected = pattern(client.requests[client.sent - 1].number, 5000);
    if (!expected.starts_with(peer.tunnel())) violated("client {}: bytes of another tunnel", client.index);
    return;
  }
  const MessageReader& reader = peer.reader();
  const std::string& error = reader.error();
  if (!error.empty() && client.sent > 0 && error != "FIN inside a message" && error != "reset inside a message") {
    violated("client {} can't read its answer: {}", client.index, error);
  }
  if (reader.in_body() && peer.answer_count() < client.sent && !reader.current.field("x-number").empty()) {
    body(client, client.requests[peer.answer_count()], reader.current, false);
  }
  if (client.sent == peer.answer_count()) return;
  ++result_.aborts;
  if (peer.is_open() && !peer.ended() && peer.connected() && client.clean &&
      client.fault != ClientFault::stops_reading) {
    violated("client {} was left waiting", client.index);
  }
  const bool whole = client.fault == ClientFault::none || client.fault == ClientFault::pipelines ||
                     client.fault == ClientFault::speaks_http10 || client.fault == ClientFault::half_closes;
  if (client.clean && whole && !client.body_pending && peer.answer_count() == 0 && peer.got_fin() && !reader.broken()) {
    sent_away(client);
  }
}

// A connection that begins with whose it is carries nobody else's requests.
void Checker::whose(const BackendConnection& connection) {
  if (!connection.proxied()) {
    if (!facts_.proxy_headers.contains(std::nullopt)) violated("no PROXY header before {}", connection.ids().front());
    return;
  }
  const ProxiedEnds& ends = *connection.proxied();
  if (facts_.proxy_headers == std::set<std::optional<ProxyVersion>>{std::nullopt})
    violated("a PROXY header that nobody wants before {}", connection.ids().front());
  for (const std::string& id : connection.ids()) {
    const std::string& from = facts_.requests.at(id).from;
    if (from != (ends.known ? ends.source.to_string() : "unknown"))
      violated("{} of {} went over a connection for {}", id, from, ends.source.to_string());
  }
}

void Checker::backends(const std::vector<std::unique_ptr<SimBackend>>& backends) {
  std::map<std::string, int> seen, disowned;
  for (const auto& backend : backends) {
    for (const auto& [id, count] : backend->ids()) seen[id] += count;
    for (const auto& [id, count] : backend->disowned()) disowned[id] += count;
    for (const Message& request : backend->requests()) {
      const auto found = facts_.requests.find(std::string(request.field("x-id")));
      if (found == facts_.requests.end()) {
        if (request.target != "/health")
          violated("{} got a request that nobody sent: {}", backend->name(), request.target);
        continue;
      }
      const RequestPlan& plan = found->second;
      if (request.field("x-forwarded-for") != plan.from)
        violated("{} came from {}, not from {}", plan.id, request.field("x-forwarded-for"), plan.from);
      if (request.method != plan.method || request.field("x-number") != std::to_string(plan.number) ||
          request.body != pattern(plan.number, plan.body_bytes)) {
        violated("{}: {} arrived changed", backend->name(), plan.id);
      }
    }
    for (const auto& connection : backend->connections()) {
      if (connection->reader().broken() && !connection->reader().error().ends_with("inside a message")) {
        violated("{} can't read a request: {}", backend->name(), connection->reader().error());
      }
      if (!connection->ids().empty()) whose(*connection);
      const H2Server* http2 = connection->http2();
      // Who was spoken to in HTTP/1 has read nothing else.
      if (http2 != nullptr && !http2->error().empty() && http2->error() != "Received bad client magic byte string") {
        violated("{} can't read what came: {}", backend->name(), http2->error());
      }
    }
  }
  for (const auto& [id, count] : seen) {
    const std::string& method = facts_.requests.at(id).method;
    if (count > 1 + disowned[id] && ((method == "POST" && !facts_.posts_repeated) || method == "PATCH"))
      violated("{} {} was delivered {} times", method, id, count);
    const auto lines = lines_.find(id);
    if (lines == lines_.end()) {
      violated("{} reached a backend and is not in the log", id);
    } else if (const auto attempts = std::stol(SimProxy::log_value(lines->second[0], "attempts")); count > attempts) {
      violated("{} reached backends {} times in {} attempts", id, count, attempts);
    }
  }
}

void Checker::counts() {
  using observe::Family;
  const auto lines = static_cast<std::int64_t>(weir_.log().size());
  if (weir_.metric(Family::kWorkerRequests) != lines) {
    violated("{} requests counted, {} lines logged", weir_.metric(Family::kWorkerRequests), lines);
  }
  // Each connects at most once, and once more where a kept connection turns out to be stale.
  if (const auto created = weir_.metric(Family::kPoolConnectionsCreated); created > 2 * attempts_ + 10) {
    violated("{} connections to backends for {} attempts", created, attempts_);
  }
  const auto refused = static_cast<std::size_t>(weir_.metric(Family::kConnectionsRefused));
  if (facts_.reloads == 0 && wordless_.size() > refused)
    violated("{} clients were sent away without a word, {} were too many", wordless_.size(), refused);
  if (facts_.reloads > 0) return;  // series went with what a reload removed
  if (weir_.metric(Family::kRequests) != lines)
    violated("{} requests by route, {} lines", weir_.metric(Family::kRequests), lines);
  if (!facts_.backends_left && weir_.metric(Family::kBackendRequests) != attempts_) {
    violated("{} requests to backends, {} attempts logged", weir_.metric(Family::kBackendRequests), attempts_);
  }
}

}  // namespace

namespace {

void expect_zero(std::vector<std::string>& violations, std::string_view what, std::int64_t value) {
  if (value != 0) violations.push_back(fmt::format("{} {} left", value, what));
}

}  // namespace

void check_nothing_runs(const WholeWeir& weir, std::vector<std::string>& violations) {
  const auto zero = [&](std::string_view what, std::int64_t value) { expect_zero(violations, what, value); };
  zero("leases", static_cast<std::int64_t>(weir.leases_out()));
  zero("streams", static_cast<std::int64_t>(weir.live_streams()));
  zero("connections", static_cast<std::int64_t>(weir.connections()));
  using observe::Family;
  for (const Family gauge :
       {Family::kActiveConnections, Family::kBackendConnectionsActive, Family::kWorkerConnections}) {
    zero(observe::describe(gauge).name, weir.metric(gauge));
  }
}

void check_nothing_left(const WholeWeir& weir, std::vector<std::string>& violations) {
  expect_zero(violations, "buffers", static_cast<std::int64_t>(weir.buffers_out()));
  expect_zero(violations, "connections to backends", weir.metric(observe::Family::kPoolConnections));
}

void check_outcomes(const ScenarioFacts& facts, const std::vector<std::unique_ptr<SimBackend>>& backends,
                    const WholeWeir& weir, ScenarioResult& result) {
  Checker checker(facts, weir, result);
  checker.read_log();
  checker.read_connections(backends);
  for (const auto& client : facts.clients) checker.client(*client);
  checker.backends(backends);
  checker.counts();
}

}  // namespace weir::sim
