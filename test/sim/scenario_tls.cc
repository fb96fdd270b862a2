#include "sim/scenario_tls.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/seeded_tls.h"
#include "tls/test_certificates.h"

namespace weir::sim {

namespace {

constexpr double kSchedules = 0.09;
constexpr long kDayS = 86'400;

// Made once, and the same in each process.
struct Identities {
  Identities()
      : seeded(1, clock),
        authority("backends", nullptr, 1),
        stranger("nobody", nullptr, 2),
        web(make("DNS:example.com", 3)),
        renewed(make("DNS:example.com", 4)),
        backend(make("DNS:backend.example", 5)),
        misnamed(make("DNS:other.example", 6)),
        unknown(stranger.issue({.alternative_names = "DNS:backend.example", .serial = 7})),
        expired(authority.issue({.alternative_names = "DNS:backend.example",
                                 .valid_from_s = -300 * kDayS,
                                 .valid_to_s = -10 * kDayS,
                                 .serial = 8})) {}

  tls::IdentityText make(std::string names, long serial) const {
    return authority.issue({.alternative_names = std::move(names), .serial = serial});
  }

  const SimWorld clock{SimWorld::Options{}};
  const SeededTls seeded;  // while they are made
  const tls::TestAuthority authority, stranger;
  const tls::IdentityText web, renewed, backend, misnamed, unknown, expired;
};

struct IdentityTexts {
  explicit IdentityTexts(const Identities& made)
      : authority(made.authority.certificate()),
        stranger(made.stranger.certificate()),
        web(made.web),
        renewed(made.renewed),
        backend(made.backend),
        misnamed(made.misnamed),
        unknown(made.unknown),
        expired(made.expired) {}
  const std::string authority, stranger;
  const tls::IdentityText web, renewed, backend, misnamed, unknown, expired;
};

const IdentityTexts& identities() {
  static const IdentityTexts texts{Identities()};
  return texts;
}

Rng rng_of(std::uint64_t seed) {
  return Rng(seed * 0xd1342543de82ef95ULL + 5);
}

const char* alpn_of(std::string_view protocol) {
  return protocol == "h2" ? "h2" : "http/1.1";
}

}  // namespace

// A schedule's own: what OpenSSL keeps in them must not come from another one.
struct ScenarioTls::Contexts {
  Contexts() : client(make_client(identities().authority)), doubtful(make_client(identities().stranger)) {
    SSL_CTX_set_session_cache_mode(client.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(client.get(), this);
    SSL_CTX_sess_set_new_cb(client.get(), keep_session);
  }

  static tls::ContextPtr make_client(const std::string& authority) {
    tls::ContextPtr context(SSL_CTX_new(TLS_client_method()));
    const auto store = tls::make_store(authority);
    SSL_CTX_set1_cert_store(context.get(), store->get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    return context;
  }

  // A copy: a connection that ends in disorder spoils the session that it was given.
  static int keep_session(SSL* ssl, SSL_SESSION* session) {
    auto* self = static_cast<Contexts*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    const auto listener = reinterpret_cast<std::uintptr_t>(SSL_get_app_data(ssl));
    self->sessions[listener].reset(SSL_SESSION_dup(session));
    return 0;
  }

  // Of a backend with this certificate; "" is a protocol that nobody offers.
  SSL_CTX* server(const tls::IdentityText& identity, const char* protocol) {
    tls::ContextPtr& context = servers[{&identity, protocol == nullptr ? "none" : protocol}];
    if (context == nullptr) context = make_peer_server(identity, protocol);
    return context.get();
  }

  const tls::ContextPtr client, doubtful;
  tls::SessionPtr sessions[2];  // by listener: the last one
  std::map<std::pair<const tls::IdentityText*, std::string>, tls::ContextPtr> servers;
};

class ScenarioTls::Client final : public PeerTlsSource {
 public:
  Client(ScenarioTls& owner, const ScenarioClient& client, bool resumes)
      : owner_(owner), client_(client), resumes_(resumes) {}

  std::unique_ptr<PeerTls> client(std::string_view protocol) const override {
    Contexts& contexts = *owner_.contexts_;
    const bool doubts = client_.tls_fault == TlsClientFault::refuses_certificate;
    tls::SslPtr ssl = make_peer_ssl((doubts ? contexts.doubtful : contexts.client).get());
    const std::uintptr_t listener = client_.second ? 1 : 0;
    SSL_set_app_data(ssl.get(), reinterpret_cast<void*>(listener));
    offer_protocol(ssl.get(), client_.tls_fault == TlsClientFault::offers_unknown_protocol ? "h3" : protocol);
    SSL_set_tlsext_host_name(ssl.get(), "example.com");
    if (client_.tls12) SSL_set_max_proto_version(ssl.get(), TLS1_2_VERSION);
    if (client_.tls_fault == TlsClientFault::is_too_old) {
      SSL_set_security_level(ssl.get(), 0);
      SSL_set_min_proto_version(ssl.get(), TLS1_VERSION);
      SSL_set_max_proto_version(ssl.get(), TLS1_1_VERSION);
    }
    if (const tls::SessionPtr& session = contexts.sessions[listener]; resumes_ && session != nullptr) {
      const tls::SessionPtr copy(SSL_SESSION_dup(session.get()));
      SSL_set_session(ssl.get(), copy.get());
    }
    SSL_set_connect_state(ssl.get());
    auto made = std::make_unique<PeerTls>(std::move(ssl));
    if (client_.tls_fault == TlsClientFault::sends_alert) made->misread_at(owner_.rng_.below(6000));
    return made;
  }
  std::unique_ptr<PeerTls> server(std::string_view) const override { return nullptr; }

 private:
  ScenarioTls& owner_;
  const ScenarioClient& client_;
  const bool resumes_;
};

class ScenarioTls::BackendEnd final : public PeerTlsSource {
 public:
  BackendEnd(ScenarioTls& owner, TlsBackendFault fault) : owner_(owner), fault_(fault) {}

  std::unique_ptr<PeerTls> client(std::string_view) const override { return nullptr; }
  std::unique_ptr<PeerTls> server(std::string_view protocol) const override {
    const char* chosen = alpn_of(protocol);
    if (fault_ == TlsBackendFault::offers_unknown_protocol) chosen = "h3";
    // Who has never heard of ALPN speaks HTTP/1.1.
    if (fault_ == TlsBackendFault::none && protocol == "http/1.1" && owner_.rng_.chance(0.2)) chosen = nullptr;
    tls::SslPtr ssl = make_peer_ssl(owner_.contexts_->server(identity(), chosen));
    if (owner_.rng_.chance(0.3)) SSL_set_max_proto_version(ssl.get(), TLS1_2_VERSION);
    SSL_set_accept_state(ssl.get());
    auto made = std::make_unique<PeerTls>(std::move(ssl));
    if (fault_ == TlsBackendFault::sends_alert) made->misread_at(owner_.rng_.below(3000));
    return made;
  }
  void begins(Peer& peer) const override {
    if (fault_ == TlsBackendFault::none) return;
    owner_.note_(to_string(fault_));
    owner_.faults_of_backends_.insert(fault_);
    owner_.misbehave(peer, fault_);
  }

 private:
  const tls::IdentityText& identity() const {
    switch (fault_) {
      case TlsBackendFault::has_wrong_name:
        return identities().misnamed;
      case TlsBackendFault::is_unknown:
        return identities().unknown;
      case TlsBackendFault::has_expired:
        return identities().expired;
      default:
        return identities().backend;
    }
  }

  ScenarioTls& owner_;
  const TlsBackendFault fault_;
};

ScenarioTls::ScenarioTls(Outside& outside, std::uint64_t seed, std::function<void(std::string_view)> note)
    : outside_(outside),
      rng_(rng_of(seed).fork()),
      note_(std::move(note)),
      spoken_(is_spoken(seed)),
      traits_{.first = rng_.chance(0.8), .second = rng_.chance(0.5)} {
  if (spoken_) contexts_ = std::make_unique<Contexts>();
}

ScenarioTls::~ScenarioTls() = default;

bool ScenarioTls::is_spoken(std::uint64_t seed) {
  return rng_of(seed).chance(kSchedules);
}

void ScenarioTls::write_files(WholeWeir& weir) const {
  if (!spoken_) return;
  weir.set_file(std::string(kListenerCertificate), identities().web.certificate);
  weir.set_file(std::string(kListenerKey), identities().web.key);
  weir.set_file(std::string(kBackendAuthority), identities().authority);
}

void ScenarioTls::renew(WholeWeir& weir) const {
  weir.set_file(std::string(kListenerCertificate), identities().renewed.certificate);
  weir.set_file(std::string(kListenerKey), identities().renewed.key);
}

void ScenarioTls::equip(ScenarioClient& client) {
  if (!spoken_ || !(client.second ? traits_.second : traits_.first)) return;
  if (client.fault == ClientFault::none && rng_.chance(0.5)) {
    client.tls_fault =
        static_cast<TlsClientFault>(rng_.between(1, static_cast<std::uint64_t>(TlsClientFault::count_) - 1));
    note_(to_string(client.tls_fault));
  }
  client.tls12 = rng_.chance(0.35);
  const bool resumes = rng_.chance(0.6);
  if (!client.talks_past()) client.tls = std::make_unique<Client>(*this, client, resumes);
}

// What a peer might send in the place of a record.
std::string ScenarioTls::garbage() {
  std::string text;
  for (std::size_t i = rng_.between(1, 300); i > 0; --i) text.push_back(static_cast<char>(rng_.below(256)));
  static constexpr std::string_view kBegins[] = {"", std::string_view("\x16\x03\x01\x00\x40", 5),
                                                 "\x16\x03\x01\xff\xff", std::string_view("\x17\x03\x03\x00\x30", 5),
                                                 std::string_view("\x15\x03\x03\x00\x02\x02\x28", 7)};
  return std::string(kBegins[rng_.below(std::size(kBegins))]) + text;
}

void ScenarioTls::break_record(Peer& peer) {
  const Duration after = some_time(rng_.chance(0.5) ? 5ms : 300ms);
  outside_.world().after(after, [&peer, bytes = garbage()] { peer.inject(bytes); });
}

void ScenarioTls::misbehave(ScenarioClient& client) {
  Peer& peer = *client.connection();
  SimWorld& world = outside_.world();
  switch (client.tls_fault) {
    case TlsClientFault::leaves_in_handshake: {
      peer.hold_back_after(client.opening.size() + rng_.below(600));
      const bool resets = rng_.chance(0.5);
      return world.after(some_time(300ms), [&peer, resets] { resets ? peer.reset() : peer.abandon(); });
    }
    case TlsClientFault::stalls_in_handshake:
      peer.hold_back_after(client.opening.size() + rng_.below(500));
      if (rng_.chance(0.5)) world.after(some_time(1500ms), [&peer] { peer.release(); });
      return;
    case TlsClientFault::sends_garbage:
      return peer.inject(garbage());
    case TlsClientFault::leaves_without_goodbye:
      if (rng_.chance(0.5)) return peer.abandon_after(client.opening.size() + 300 + rng_.below(2500));
      return world.after(some_time(500ms), [&peer] { peer.abandon(); });
    case TlsClientFault::breaks_record:
      return break_record(peer);
    default:
      return;
  }
}

void ScenarioTls::misbehave(Peer& peer, TlsBackendFault fault) {
  SimWorld& world = outside_.world();
  switch (fault) {
    case TlsBackendFault::leaves_in_handshake:
      if (rng_.chance(0.5)) return peer.abandon_after(rng_.between(1, 1200));
      peer.hold_back_after(rng_.below(1200));
      return world.after(some_time(100ms), [&peer] { peer.reset(); });
    case TlsBackendFault::stalls_in_handshake:
      peer.hold_back_after(rng_.below(1200));
      if (rng_.chance(0.5)) world.after(some_time(1000ms), [&peer] { peer.release(); });
      return;
    case TlsBackendFault::sends_garbage:
      return peer.inject(garbage());
    case TlsBackendFault::answers_in_clear:
      peer.inject("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      return peer.abandon();
    case TlsBackendFault::leaves_without_goodbye:
      if (rng_.chance(0.7)) return peer.abandon_after(1000 + rng_.below(rng_.chance(0.5) ? 3000 : 100'000));
      return world.after(some_time(500ms), [&peer] { peer.abandon(); });
    case TlsBackendFault::breaks_record:
      return break_record(peer);
    default:
      return;
  }
}

void ScenarioTls::equip(SimBackend& backend, double fault_chance) {
  if (!spoken_) return;
  auto fault = TlsBackendFault::none;
  if (rng_.chance(fault_chance)) {
    fault = static_cast<TlsBackendFault>(rng_.between(1, static_cast<std::uint64_t>(TlsBackendFault::count_) - 1));
  }
  backend_ends_.push_back(std::make_unique<BackendEnd>(*this, fault));
  backend.tls = backend_ends_.back().get();
  backend.tls_is_optional = true;
}

void ScenarioTls::note_ways(const ScenarioFacts& facts,
                            const std::vector<std::unique_ptr<SimBackend>>& backends) const {
  for (const auto& client : facts.clients) {
    const Peer* peer = client->connection();
    if (peer == nullptr || peer->tls() == nullptr || !peer->tls()->established()) continue;
    note_(client->http2 ? "tls_client_by_h2" : "tls_client_by_http1");
    note_(peer->tls()->version() == "TLSv1.2" ? "tls_client_by_1_2" : "tls_client_by_1_3");
    if (peer->tls()->resumed()) note_("tls_client_resumes");
    if (!client->opening.empty()) note_("tls_client_behind_proxy");
  }
  for (const auto& backend : backends) {
    for (const auto& connection : backend->connections()) {
      if (connection->tls() == nullptr || connection->ids().empty()) continue;
      note_(connection->http2() != nullptr ? "tls_backend_by_h2" : "tls_backend_by_http1");
      note_(connection->tls()->version() == "TLSv1.2" ? "tls_backend_by_1_2" : "tls_backend_by_1_3");
      if (connection->tls()->resumed()) note_("tls_backend_resumes");
      if (connection->proxied()) note_("tls_backend_told_of_client");
    }
  }
}

}  // namespace weir::sim
