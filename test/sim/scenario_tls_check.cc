#include <fmt/format.h>

#include <algorithm>

#include "sim/scenario_check.h"

namespace weir::sim {

namespace {

using observe::Family;
using observe::Label;

// How many there must be, and how many there may be.
struct Bounds {
  std::int64_t least = 0;
  std::int64_t most = 0;
};
using Kind = std::pair<std::string, std::string>;  // the version, and whether it was resumed

// What was counted, and what should have been.
class Handshakes {
 public:
  void done_surely(const PeerTls& tls) {
    Bounds& bounds = bounds_[kind_of(tls)];
    ++bounds.least;
    ++bounds.most;
  }
  void done_perhaps(const PeerTls& tls) { ++bounds_[kind_of(tls)].most; }
  void counted(const observe::Series& series) {
    counted_[{std::string(series.value_of(Label::kVersion)), std::string(series.value_of(Label::kResumed))}] +=
        static_cast<std::int64_t>(series.counter().value());
  }

  std::int64_t sum() const {
    std::int64_t sum = 0;
    for (const auto& [kind, count] : counted_) sum += count;
    return sum;
  }
  void compare(std::string_view whose, std::vector<std::string>& violations) {
    for (const auto& [kind, bounds] : bounds_) counted_.try_emplace(kind);
    for (const auto& [kind, count] : counted_) {
      const Bounds& bounds = bounds_[kind];
      if (count >= bounds.least && count <= bounds.most) continue;
      violations.push_back(fmt::format("{} handshakes of {} by {}, resumed {}, were counted, not {} to {}", count,
                                       whose, kind.first, kind.second, bounds.least, bounds.most));
    }
  }

 private:
  static Kind kind_of(const PeerTls& tls) { return {std::string(tls.version()), tls.resumed() ? "true" : "false"}; }

  std::map<Kind, Bounds> bounds_;
  std::map<Kind, std::int64_t> counted_;
};

// Why handshakes of this kind may fail at all.
bool client_gave_cause(const ScenarioFacts& facts, std::string_view reason) {
  const auto any = [&](std::initializer_list<TlsClientFault> faults) {
    return std::ranges::any_of(facts.clients, [&](const auto& client) {
      return std::ranges::find(faults, client->tls_fault) != faults.end();
    });
  };
  using enum TlsClientFault;
  if (reason == "unsupported_version") return any({is_too_old, sends_garbage});
  if (reason == "no_application_protocol") return any({offers_unknown_protocol});
  // Who misreads what came may say anything then.
  if (reason == "not_tls") return any({speaks_in_clear, sends_garbage, breaks_record, sends_alert});
  if (reason == "alert") return any({refuses_certificate, sends_alert, sends_garbage, breaks_record});
  if (reason == "protocol_error") return any({sends_garbage, breaks_record, speaks_in_clear, sends_alert});
  return reason == "closed" || reason == "timeout";
}

bool backend_gave_cause(const ScenarioFacts& facts, std::string_view reason) {
  const auto any = [&](std::initializer_list<TlsBackendFault> faults) {
    return std::ranges::any_of(faults, [&](auto fault) { return facts.tls_of_backends.contains(fault); });
  };
  using enum TlsBackendFault;
  if (reason == "bad_certificate") return any({has_wrong_name, is_unknown, has_expired});
  if (reason == "not_tls") return any({answers_in_clear, sends_garbage, breaks_record, sends_alert});
  // One that speaks another protocol than the one that is offered says so by an alert.
  if (reason == "alert" || reason == "closed" || reason == "timeout") return true;
  return reason == "protocol_error" && any({answers_in_clear, sends_garbage, breaks_record, sends_alert});
}

bool has_sent_some(const ScenarioClient& client) {
  const Peer* peer = client.connection();
  return peer != nullptr && peer->sent_bytes() > client.opening.size();
}

// Those of the first listener, which no reload takes away.
void check_clients(const ScenarioFacts& facts, const WholeWeir& weir, std::vector<std::string>& violations) {
  constexpr std::string_view kListener = "web";
  Handshakes handshakes;
  std::int64_t all = 0, sure = 0, failed = 0, refused = 0;
  for (const auto& client : facts.clients) {
    if (client->second || !has_sent_some(*client)) continue;
    ++all;
    const Peer& peer = *client->connection();
    if (client->clean && client->fault != ClientFault::aborts && !peer.got_reset()) ++sure;
    if (peer.tls() == nullptr) continue;
    if (peer.tls()->plain_bytes() > 0) {
      handshakes.done_surely(*peer.tls());
    } else if (peer.tls()->wire_bytes() > 0) {
      handshakes.done_perhaps(*peer.tls());
    }
  }
  weir.for_each_series(Family::kTlsHandshakes, [&](const observe::Series& series) {
    if (series.value_of(Label::kListener) == kListener) handshakes.counted(series);
  });
  weir.for_each_series(Family::kTlsHandshakeFailures, [&](const observe::Series& series) {
    if (series.value_of(Label::kListener) != kListener) return;
    failed += static_cast<std::int64_t>(series.counter().value());
    const std::string_view reason = series.value_of(Label::kReason);
    if (!client_gave_cause(facts, reason)) violations.push_back(fmt::format("a handshake failed by {}", reason));
  });
  weir.for_each_series(Family::kConnectionsRefused, [&](const observe::Series& series) {
    if (series.value_of(Label::kListener) == kListener) refused += static_cast<std::int64_t>(series.counter().value());
  });
  handshakes.compare("clients", violations);
  const std::int64_t counted = handshakes.sum() + failed;
  if (counted > all || counted + refused < sure) {
    violations.push_back(fmt::format("{} handshakes done and {} failed, {} refused, of {} to {} clients",
                                     handshakes.sum(), failed, refused, sure, all));
  }
}

void check_backends(const ScenarioFacts& facts, const std::vector<std::unique_ptr<SimBackend>>& backends,
                    const WholeWeir& weir, std::vector<std::string>& violations) {
  Handshakes handshakes;
  for (const auto& backend : backends) {
    for (const auto& connection : backend->connections()) {
      const PeerTls* tls = connection->tls();
      if (tls == nullptr) continue;
      connection->ids().empty() ? handshakes.done_perhaps(*tls) : handshakes.done_surely(*tls);
    }
  }
  weir.for_each_series(Family::kBackendTlsHandshakes,
                       [&](const observe::Series& series) { handshakes.counted(series); });
  weir.for_each_series(Family::kBackendTlsFailures, [&](const observe::Series& series) {
    const std::string_view reason = series.value_of(Label::kReason);
    if (!backend_gave_cause(facts, reason))
      violations.push_back(fmt::format("a handshake with a backend failed by {}", reason));
  });
  // Series go with what a reload, a name or the admin port removes.
  if (facts.reloads == 0 && !facts.backends_left) handshakes.compare("backends", violations);
}

}  // namespace

void check_handshakes(const ScenarioFacts& facts, const std::vector<std::unique_ptr<SimBackend>>& backends,
                      const WholeWeir& weir, std::vector<std::string>& violations) {
  if (facts.tls_on_first) check_clients(facts, weir, violations);
  check_backends(facts, backends, weir, violations);
}

}  // namespace weir::sim
