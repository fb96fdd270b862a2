#include "sim/scenario.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/replay_notice.h"
#include "sim/scenario_check.h"
#include "sim/scenario_h2_backend.h"
#include "sim/scenario_http1.h"
#include "sim/scenario_http2.h"
#include "sim/scenario_tls.h"
#include "sim/seeded_tls.h"

namespace weir::sim {

namespace {

constexpr Duration kBusy = 1500ms;     // while things are drawn to happen
constexpr Duration kSettles = 1500ms;  // then all is well for so long
constexpr Duration kSilence = 31s;     // after which HTTP/2 asks whether a backend is still there
constexpr Duration kSettlesWithPatience = 3min;
constexpr std::string_view kProtocols[] = {"auto", "auto", "auto", "http1", "http2"};
constexpr std::string_view kEvents[] = {"reload",
                                        "bad_reload",
                                        "admin_patch",
                                        "admin_add",
                                        "admin_remove",
                                        "dns_answer",
                                        "dns_failure",
                                        "backend_stops",
                                        "backend_returns",
                                        "backend_turns_sick",
                                        "h1_closes_idle_connections",
                                        "descriptors_squeezed",
                                        "h2_leaves_idle_connections",
                                        "backend_changes_protocol",
                                        "admin_reload",
                                        "stopped_by_int",
                                        "stopped_by_second_term"};
// What is no fault.
constexpr std::string_view kWays[] = {"client_over_ipv6",
                                      "client_over_unix",
                                      "client_behind_proxy",
                                      "client_by_grpc",
                                      "client_websocket",
                                      "client_websocket_over_h2",
                                      "client_connects",
                                      "backend_over_ipv6",
                                      "backend_over_unix",
                                      "backend_told_of_client",
                                      "h2_backend_websocket",
                                      "h2_backend_pinged",
                                      "several_clusters",
                                      "posts_repeated",
                                      "crowd",
                                      "patience",
                                      "certificates_renewed",
                                      "tls_client_by_http1",
                                      "tls_client_by_h2",
                                      "tls_client_by_1_2",
                                      "tls_client_by_1_3",
                                      "tls_client_resumes",
                                      "tls_client_behind_proxy",
                                      "tls_backend_cuts_answer",
                                      "tls_backend_by_http1",
                                      "tls_backend_by_h2",
                                      "tls_backend_by_1_2",
                                      "tls_backend_by_1_3",
                                      "tls_backend_resumes",
                                      "tls_backend_told_of_client"};

SimWorld::Options world_options(std::uint64_t seed) {
  Rng rng(seed);
  SimWorld::Options options;
  options.seed = rng.next();
  options.spurious_edge_chance = rng.chance(0.3) ? 0.05 : 0;
  return options;
}

}  // namespace

class Scenario {
 public:
  Scenario(std::uint64_t seed, const SimWorld::Trace& trace)
      : rng_(seed * 0x9e3779b97f4a7c15ULL + 1),
        world_(world_options(seed)),
        seeded_(seed, world_),
        outside_(world_),
        tls_(outside_, seed, [this](std::string_view name) { note(name); }),
        faults_(rng_.fork(), rng_.chance(0.5) ? 0.3 : 0.0, rng_.chance(0.6) ? 0.3 : 0.0),
        traits_{rng_.between(1, 4), kProtocols[rng_.below(std::size(kProtocols))], rng_.chance(0.02), tls_.traits()},
        weir_(world_, traits_.workers, 10'000),
        config_(draw_config(rng_, traits_)),
        http1_(outside_, rng_.fork()),
        http2_(outside_, rng_.fork()) {
    world_.set_trace(trace);
  }

  ScenarioResult run();

 private:
  void add_backends();
  void add_protocol(std::size_t index);
  AnswerPlan answer(std::size_t backend, const Message& request);
  void add_client(std::size_t index);
  SocketAddress place(ScenarioClient& client);
  void begin_client(ScenarioClient& client);
  void draw_events();
  void event(std::string_view name);
  void administer(std::string_view name);
  void stop_at_once(std::string_view name);
  void note(std::string_view name) {
    ++result_.drawn[std::string(name)];
    world_.trace("drawn: {}", name);
  }
  Duration some_time(Duration at_most) {
    return Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(at_most.count()))));
  }
  void note_config();
  void wind_up();

  Rng rng_;
  SimWorld world_;
  SeededTls seeded_;
  Outside outside_;
  ScenarioTls tls_;
  ScenarioFaults faults_;
  ConfigTraits traits_;
  std::vector<std::unique_ptr<SimBackend>> backends_;
  double backend_fault_chance_[kBackends] = {};
  bool sick_[kBackends] = {};
  bool http2_backend_[kBackends] = {};
  std::map<std::string, AnswerPlan> plans_;
  WholeWeir weir_;
  ScenarioConfig config_;
  Http1Clients http1_;
  Http2Clients http2_;
  ScenarioFacts facts_;
  std::vector<std::unique_ptr<SimClient>> admins_;
  ScenarioResult result_;
};

void Scenario::add_backends() {
  for (std::size_t i = 0; i < kBackends; ++i) {
    backends_.push_back(
        std::make_unique<SimBackend>(outside_, fmt::format("b{}", i), *SocketAddress::parse(backend_address(i))));
    SimBackend& backend = *backends_.back();
    backend.takes_proxy_header = true;
    backend_fault_chance_[i] = rng_.chance(0.5) ? 0.0 : rng_.chance(0.7) ? 0.15 : 0.7;
    add_protocol(i);
    Handler handler;
    handler.at_head = [this, i](const Message& request) {
      AnswerPlan plan = answer(i, request);
      Script now = std::move(plan.at_head);
      plans_[std::string(request.field("x-id"))] = std::move(plan);
      return now;
    };
    handler.at_end = [this](const Message& request) {
      return std::move(plans_[std::string(request.field("x-id"))].at_end);
    };
    backend.on("/", handler);
    Handler health;
    health.at_end = [this, i](const Message&) {
      return Script{send_bytes(response("", "", sick_[i] ? "500 Sick" : "200 OK"))};
    };
    backend.on("/health", health);
  }
  const auto ip = [](std::size_t i) { return SocketAddress::parse(backend_address(i))->ip; };
  weir_.resolver().answer("app.test", {{ip(kBackends - 1)}, 1s});
}

// Mostly what the cluster says; where it says nothing, its backends are of both kinds.
void Scenario::add_protocol(std::size_t index) {
  http2_backend_[index] = rng_.chance(traits_.protocol == "auto" ? 0.5 : traits_.protocol == "http2" ? 0.95 : 0.05);
  SimBackend& backend = *backends_[index];
  backend.on_preface = rng_.chance(0.7)   ? SimBackend::OnPreface::bad_request
                       : rng_.chance(0.5) ? SimBackend::OnPreface::close
                                          : SimBackend::OnPreface::hang;
  backend.before_connection = [this, index, &backend] {
    backend.http2.reset();
    tls_.equip(backend, backend_fault_chance_[index]);
    if (!http2_backend_[index]) return;
    auto kind = H2ConnectionKind::usual;
    if (rng_.chance(backend_fault_chance_[index] / 2)) {
      kind = static_cast<H2ConnectionKind>(rng_.between(1, static_cast<std::uint64_t>(H2ConnectionKind::count_) - 1));
      note(to_string(kind));
    }
    prepare_connection(backend, kind, rng_);
  };
}

AnswerPlan Scenario::answer(std::size_t backend, const Message& request) {
  const bool http2 = request.version == "HTTP/2.0";
  if (http2 && !request.field("upgrade").empty()) note("h2_backend_websocket");
  if (backend == kBackendOverIpv6) note("backend_over_ipv6");
  if (backend == kBackendOverUnix) note("backend_over_unix");
  if (http2) {
    auto fault = H2BackendFault::none;
    if (rng_.chance(backend_fault_chance_[backend])) {
      fault = static_cast<H2BackendFault>(rng_.between(1, static_cast<std::uint64_t>(H2BackendFault::count_) - 1));
      note(to_string(fault));
    }
    return plan_http2_answer(request, fault, rng_);
  }
  BackendFault fault = BackendFault::none;
  if (rng_.chance(backend_fault_chance_[backend])) {
    fault = static_cast<BackendFault>(rng_.between(1, static_cast<std::uint64_t>(BackendFault::count_) - 1));
    note(to_string(fault));
  }
  if ((fault == BackendFault::h1_closes_at_byte_n && !tls_.spoken()) || fault == BackendFault::h1_closes_after_answer ||
      fault == BackendFault::h1_answers_early_and_closes) {
    facts_.cut_by_backend.insert(std::string(request.field("x-id")));
  }
  AnswerPlan plan = plan_answer(request, fault, rng_);
  if (tls_.spoken() && fault == BackendFault::h1_closes_at_byte_n) {
    note("tls_backend_cuts_answer");
    facts_.cut_without_goodbye.insert(std::string(request.field("x-id")));
    for (Action& action : plan.at_end) {
      if (action.kind == Action::Kind::close) action.kind = Action::Kind::abandon;
    }
  }
  return plan;
}

void Scenario::add_client(std::size_t index) {
  facts_.clients.push_back(std::make_unique<ScenarioClient>());
  ScenarioClient& client = *facts_.clients.back();
  client.index = index;
  client.http2 = rng_.chance(0.4);
  client.fault = client.http2 ? http2_.draw_fault() : http1_.draw_fault();
  if (client.fault != ClientFault::none) ++result_.drawn[std::string(to_string(client.fault))];
  const bool http10 = client.fault == ClientFault::speaks_http10;
  const std::uint64_t requests = rng_.between(1, 5);
  for (std::uint64_t i = 0; i < requests; ++i) {
    client.requests.push_back(draw_request(rng_, index * 100 + i + 1 + 1000 * rng_.below(1000) * 100, http10));
    const RequestPlan& request = client.requests.back();
    facts_.requests.emplace(request.id, request);
    if (request.grpc) note("client_by_grpc");
    if (request.connect()) note("client_connects");
    if (request.upgrade) note(client.http2 ? "client_websocket_over_h2" : "client_websocket");
    if (!client.http2 && (client.requests.back().upgrade || client.requests.back().close)) break;
  }
  client.second = !config_.second_listener.empty() && rng_.chance(0.2);
  const bool late = traits_.patient && rng_.chance(0.4);
  world_.after((late ? kSilence : Duration{}) + some_time(kBusy), [this, &client] { begin_client(client); });
}

// Where it comes from and where it goes to.
SocketAddress Scenario::place(ScenarioClient& client) {
  // The second listener is where it is now, or would have been.
  const std::string second = config_.second_listener.empty() ? "10.0.0.1:81" : config_.second_listener;
  const SocketAddress to = *SocketAddress::parse(client.second ? second : "10.0.0.1:80");
  std::string from = fmt::format("192.0.2.{}", client.index + 1);
  if (to.ip.family == IpAddress::Family::ipv6) {
    note("client_over_ipv6");
    from = fmt::format("2001:db8::{}", client.index + 1);
  }
  outside_.set_ip(from);
  if (to.is_unix()) {
    note("client_over_unix");
    from = "unknown";
  }
  if (client.second && second == kProxiedListener) {
    note("client_behind_proxy");
    ProxiedEnds ends;
    ends.known = !rng_.chance(0.1);
    if (ends.known) from = fmt::format("198.51.100.{}", client.index + 1);
    ends.source = *IpAddress::parse(from);
    ends.source_port = static_cast<std::uint16_t>(rng_.between(1, 65'535));
    ends.destination = *IpAddress::parse("203.0.113.9");
    ends.destination_port = 80;
    std::array<char, kProxyWrittenBytesMax> room;
    client.opening = write_proxy_header(rng_.chance(0.5) ? ProxyVersion::v1 : ProxyVersion::v2, ends, room);
  }
  for (const RequestPlan& request : client.requests) facts_.requests.at(request.id).from = from;
  return to;
}

void Scenario::begin_client(ScenarioClient& client) {
  world_.trace("client {} begins, {}", client.index, to_string(client.fault));
  const SocketAddress proxy = place(client);
  tls_.equip(client);
  client.http2 ? http2_.begin(client, proxy) : http1_.begin(client, proxy);
  client.clean = faults_.last_was_clean() && !facts_.stopped_at_once && client.tls_fault == TlsClientFault::none;
  tls_.misbehave(client);
}

void Scenario::draw_events() {
  if (rng_.chance(0.3)) return;
  // Few are stopped at once: what the others do afterwards matters too.
  constexpr std::size_t kEndings = 2;
  const std::uint64_t events = rng_.between(1, 6);
  for (std::uint64_t i = 0; i < events; ++i) {
    const std::size_t all = std::size(kEvents) - (rng_.chance(0.2) ? 0 : kEndings);
    const std::string_view name = kEvents[rng_.below(all)];
    world_.after(some_time(kBusy), [this, name] { event(name); });
  }
  if (tls_.spoken() && rng_.chance(0.4)) {
    world_.after(some_time(kBusy), [this] { event("certificates_renewed"); });
  }
}

void Scenario::event(std::string_view name) {
  if (weir_.stopped()) return;
  note(name);
  const std::size_t some = rng_.below(kBackends);
  SimBackend& backend = *backends_[some];
  if (name == "reload" || name == "admin_reload") {
    facts_.reloads += 1;
    if (rng_.chance(0.2)) traits_.protocol = kProtocols[rng_.below(std::size(kProtocols))];
    config_ = draw_config(rng_, traits_);
    note_config();
    weir_.set_config(config_.text);
    name == "reload" ? weir_.control().hang_up() : administer(name);
  } else if (name == "certificates_renewed") {
    facts_.reloads += 1;
    tls_.renew(weir_);
    weir_.control().hang_up();
  } else if (name == "bad_reload") {
    weir_.set_config(config_.text + "nonsense: 1\n");
    weir_.control().hang_up();
  } else if (name.starts_with("admin")) {
    administer(name);
  } else if (name == "dns_answer") {
    std::vector<IpAddress> addresses;
    for (std::size_t i = 0; i < kBackends; ++i) {
      if (i != kBackendOverUnix && rng_.chance(0.4)) addresses.push_back(SocketAddress::parse(backend_address(i))->ip);
    }
    if (addresses.empty()) addresses.push_back(SocketAddress::parse(backend_address(0))->ip);
    weir_.resolver().answer("app.test", {addresses, 1s});
    facts_.backends_left = true;
  } else if (name == "dns_failure") {
    weir_.resolver().answer("app.test", Error{"no answer", ETIMEDOUT});
  } else if (name == "backend_stops") {
    backend.stop_listening();
    if (rng_.chance(0.5)) {
      for (const auto& connection : backend.connections()) connection->reset();
    }
  } else if (name == "backend_returns") {
    for (auto& one : backends_) one->listen();
  } else if (name == "backend_turns_sick") {
    sick_[some] = !sick_[some];
  } else if (name == "h1_closes_idle_connections") {
    for (const auto& connection : backend.connections()) {
      if (!connection->reader().in_message() && !connection->busy()) connection->close();
    }
  } else if (name == "h2_leaves_idle_connections") {
    for (const auto& connection : backend.connections()) {
      if (connection->http2() == nullptr || connection->busy()) continue;
      connection->leave_http2();
      if (rng_.chance(0.5)) connection->close();
    }
  } else if (name == "backend_changes_protocol") {
    http2_backend_[some] = !http2_backend_[some];
    if (rng_.chance(0.5)) {
      for (const auto& connection : backend.connections()) connection->reset();
    }
  } else if (name == "descriptors_squeezed") {
    weir_.descriptors().set_limit(weir_.descriptors().open() + rng_.below(14));
    world_.after(some_time(400ms), [this] { weir_.descriptors().set_limit(10'000); });
  } else {
    stop_at_once(name);
  }
}

// Whatever runs then is cut: what a client has seen may end anywhere.
void Scenario::stop_at_once(std::string_view name) {
  facts_.stopped_at_once = facts_.cut_by_network = true;
  for (const auto& client : facts_.clients) client->clean = false;
  if (name == "stopped_by_int") return weir_.control().interrupt();
  weir_.control().terminate();
  world_.after(some_time(30ms), [this] {
    if (!weir_.stopped()) weir_.control().terminate();
  });
}

void Scenario::administer(std::string_view name) {
  outside_.set_ip("127.0.0.1");
  admins_.push_back(std::make_unique<SimClient>(outside_, *SocketAddress::parse("127.0.0.1:9090")));
  outside_.set_ip("192.0.2.1");
  const auto ask = [this](std::string_view method, std::string_view target, const std::string& body) {
    std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n", method, target);
    if (!body.empty()) text += "Content-Type: application/json\r\n";
    text += fmt::format("Content-Length: {}\r\n\r\n{}", body.size(), body);
    admins_.back()->raw(text, method);
  };
  const std::string one = fmt::format("/api/v1/clusters/app/backends/b{}", rng_.below(kBackends));
  static constexpr std::string_view kStates[] = {"active", "draining", "disabled"};
  facts_.backends_left = facts_.backends_left || name == "admin_remove";
  if (name == "admin_patch") {
    ask("PATCH", one, fmt::format(R"({{"weight":{},"state":"{}"}})", rng_.below(4), kStates[rng_.below(3)]));
  } else if (name == "admin_add") {
    const std::size_t some = rng_.below(kBackends);
    ask("POST", "/api/v1/clusters/app/backends",
        fmt::format(R"({{"name":"b{}","url":"{}"}})", some, backend_url(some, tls_.spoken())));
  } else if (name == "admin_remove") {
    ask("DELETE", one, "");
  } else {
    ask("POST", "/api/v1/reload", "");
  }
}

// What the checks need to know of it.
void Scenario::note_config() {
  facts_.strictest_total = std::max(facts_.strictest_total, config_.total);
  facts_.longest_idle = std::max(facts_.longest_idle, config_.idle);
  facts_.longest_header_timeout = std::max(facts_.longest_header_timeout, config_.header_timeout);
  facts_.posts_repeated = facts_.posts_repeated || config_.repeats_posts;
  facts_.proxy_headers.insert(config_.proxy_header);
  if (config_.repeats_posts) note("posts_repeated");
  if (config_.proxy_header) note("backend_told_of_client");
  if (config_.several_clusters) note("several_clusters");
}

// All is well again; then the process is told to end, and must.
void Scenario::wind_up() {
  faults_.stop();
  weir_.descriptors().set_limit(10'000);
  const Duration settles = traits_.patient ? kSettlesWithPatience : kSettles;
  if (!world_.run_until(world_.now() + settles, 2'000'000)) result_.violations.push_back("it never comes to rest");
  if (!weir_.stopped()) weir_.control().terminate();
  if (!world_.run_until([this] { return weir_.stopped(); }, 2'000'000))
    result_.violations.push_back("TERM does not end it");
  world_.run_until(world_.now() + 200ms);
  check_nothing_runs(weir_, result_.violations);
  world_.run_until(world_.now() + facts_.longest_idle);
  check_nothing_left(weir_, result_.violations);
}

ScenarioResult Scenario::run() {
  world_.set_faults(&faults_);
  tls_.write_files(weir_);
  facts_.tls_on_first = tls_.spoken() && tls_.traits()->first;
  add_backends();
  facts_.cut_by_network = faults_.may_cut_backends();
  note_config();
  if (const auto started = weir_.start(config_.text); !started) {
    result_.violations.push_back("does not start: " + started.error().message + config_.text);
    return std::move(result_);
  }
  if (traits_.patient) note("patience");
  const bool crowd = rng_.chance(0.03);
  if (crowd) note("crowd");
  const std::uint64_t clients = crowd ? rng_.between(30, 80) : rng_.between(1, 10);
  for (std::uint64_t i = 0; i < clients; ++i) add_client(i + 1);
  draw_events();
  if (!world_.run_until(world_.now() + kBusy, 5'000'000)) result_.violations.push_back("too many steps");
  wind_up();
  check_outcomes(facts_, backends_, weir_, result_);
  facts_.tls_of_backends = tls_.faults_of_backends();
  if (tls_.spoken()) check_handshakes(facts_, backends_, weir_, result_.violations);
  tls_.note_ways(facts_, backends_);
  const std::size_t descriptors = weir_.take_apart();
  if (descriptors > 0) result_.violations.push_back(fmt::format("{} descriptors left open", descriptors));
  for (std::size_t i = 0; i < kFaultCount; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (world_.fault_counts()[fault] > 0) result_.drawn[std::string(to_string(fault))] += world_.fault_counts()[fault];
  }
  for (const auto& backend : backends_) {
    for (const auto& connection : backend->connections()) {
      if (connection->http2() != nullptr && connection->http2()->pings() > 0) note("h2_backend_pinged");
    }
  }
  for (const std::string& line : result_.violations) world_.trace("VIOLATION: {}", line);
  return std::move(result_);
}

std::vector<std::string> scenario_draw_names() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kFaultCount; ++i) names.emplace_back(to_string(static_cast<Fault>(i)));
  for (std::size_t i = 1; i < static_cast<std::size_t>(BackendFault::count_); ++i)
    names.emplace_back(to_string(static_cast<BackendFault>(i)));
  for (std::size_t i = 1; i < static_cast<std::size_t>(ClientFault::count_); ++i)
    names.emplace_back(to_string(static_cast<ClientFault>(i)));
  for (std::size_t i = 1; i < static_cast<std::size_t>(H2BackendFault::count_); ++i)
    names.emplace_back(to_string(static_cast<H2BackendFault>(i)));
  for (std::size_t i = 1; i < static_cast<std::size_t>(H2ConnectionKind::count_); ++i)
    names.emplace_back(to_string(static_cast<H2ConnectionKind>(i)));
  for (std::size_t i = 1; i < static_cast<std::size_t>(TlsClientFault::count_); ++i)
    names.emplace_back(to_string(static_cast<TlsClientFault>(i)));
  for (std::size_t i = 1; i < static_cast<std::size_t>(TlsBackendFault::count_); ++i)
    names.emplace_back(to_string(static_cast<TlsBackendFault>(i)));
  for (const std::string_view name : kEvents) names.emplace_back(name);
  for (const std::string_view name : kWays) names.emplace_back(name);
  return names;
}

bool scenario_speaks_tls(std::uint64_t seed) {
  return ScenarioTls::is_spoken(seed);
}

ScenarioResult run_scenario(std::uint64_t seed, const SimWorld::Trace& trace) {
  const ReplayNotice notice(seed);
  return Scenario(seed, trace).run();
}

}  // namespace weir::sim
