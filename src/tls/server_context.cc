#include "tls/server_context.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "tls/layer.h"

namespace weir::tls {
namespace {

// How long a session may be resumed: what the ticket keys allow at least.
constexpr long kSessionLifetimeS = std::chrono::duration_cast<std::chrono::seconds>(2 * TicketKeys::kRotation).count();

constexpr std::size_t kHostBytesMax = 255;

// Sessions of a listener that asks for other certificates than another, or none, are no use there.
std::array<unsigned char, 32> session_scope(const ServerOptions& options) {
  const std::string text = fmt::format("{}\n{}\n{}\n{}", options.scope, static_cast<int>(options.min_version),
                                       static_cast<int>(options.client_auth), options.client_ca);
  std::array<unsigned char, 32> digest{};
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return digest;
}

}  // namespace

ServerContext::ServerContext(std::shared_ptr<const TicketKeys> tickets)
    : tickets_(std::move(tickets)), bio_method_(make_bio_method()) {}

Result<std::shared_ptr<const ServerContext>> ServerContext::make(const ServerOptions& options,
                                                                 std::shared_ptr<const TicketKeys> tickets) {
  std::shared_ptr<ServerContext> context(new ServerContext(std::move(tickets)));
  if (auto built = context->build(options); !built) return std::unexpected(std::move(built.error()));
  return context;
}

Result<void> ServerContext::build(const ServerOptions& options) {
  protocols_ = encode_protocols(options.protocols);
  std::map<std::string, std::vector<std::size_t>> by_name;
  for (std::size_t i = 0; i < options.certificates.size(); ++i) {
    auto identity = read_identity(options.certificates[i]);
    if (!identity) return fail(std::move(identity.error().message));
    facts_.push_back(facts_of(identity->certificate.get()));
    identities_.push_back(std::move(*identity));
    for (const std::string& name : facts_.back().names) by_name[name].push_back(i);
  }
  if (identities_.empty()) return fail("there is no certificate");
  // The default is the first, together with those of other kinds for the same name.
  const auto& first_names = facts_.front().names;
  auto standard = context_of(first_names.empty() ? std::vector<std::size_t>{0} : by_name[first_names.front()], options);
  if (!standard) return std::unexpected(std::move(standard.error()));
  default_ = *standard;
  for (const auto& [name, which] : by_name) {
    auto context = context_of(which, options);
    if (!context) return std::unexpected(std::move(context.error()));
    by_name_.emplace(name.starts_with("*.") ? name.substr(1) : name, *context);
  }
  return {};
}

// Of each kind of key the first.
std::vector<std::size_t> ServerContext::one_of_each_kind(const std::vector<std::size_t>& which) const {
  std::vector<std::size_t> result;
  for (const std::size_t i : which) {
    const int kind = EVP_PKEY_get_base_id(identities_[i].key.get());
    const bool is_first = std::ranges::none_of(
        result, [&](std::size_t other) { return EVP_PKEY_get_base_id(identities_[other].key.get()) == kind; });
    if (is_first) result.push_back(i);
  }
  return result;
}

Result<SSL_CTX*> ServerContext::context_of(const std::vector<std::size_t>& given, const ServerOptions& options) {
  const std::vector<std::size_t> which = one_of_each_kind(given);
  if (const auto found = contexts_.find(which); found != contexts_.end()) return found->second.get();
  auto made = make_context(TLS_server_method(), options.min_version);
  if (!made) return fail(std::move(made.error()));
  SSL_CTX* context = made->get();
  for (const std::size_t i : which) {
    if (auto used = use_identity(context, identities_[i]); !used) return fail(std::move(used.error()));
  }
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_tlsext_servername_callback(context, &ServerContext::on_server_name);
  SSL_CTX_set_tlsext_servername_arg(context, this);
  if (!protocols_.empty()) SSL_CTX_set_alpn_select_cb(context, &ServerContext::on_protocols, this);
  // Sessions live in tickets, with the client: there is nothing to share between workers but the keys.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &ServerContext::on_ticket);
  SSL_CTX_set_session_ticket_cb(context, nullptr, &ServerContext::on_session, nullptr);
  SSL_CTX_set_timeout(context, kSessionLifetimeS);
  const auto scope = session_scope(options);
  SSL_CTX_set_session_id_context(context, scope.data(), static_cast<unsigned int>(scope.size()));
  if (!options.client_ca.empty()) {
    if (auto asked = ask_for_certificates(context, options); !asked) return std::unexpected(std::move(asked.error()));
  }
  contexts_.emplace(which, std::move(*made));
  return context;
}

Result<void> ServerContext::ask_for_certificates(SSL_CTX* context, const ServerOptions& options) const {
  auto all = read_certificates(options.client_ca);
  if (!all) return fail(std::move(all.error()));
  auto store = make_store(options.client_ca);
  if (!store) return fail(std::move(store.error()));
  STACK_OF(X509_NAME)* names = sk_X509_NAME_new_null();
  for (const CertificatePtr& certificate : *all) {
    sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(certificate.get())));
  }
  SSL_CTX_set_client_CA_list(context, names);
  SSL_CTX_set1_cert_store(context, store->get());
  int mode = SSL_VERIFY_PEER;
  if (options.client_auth == ClientAuth::required) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, mode, nullptr);
  return {};
}

std::unique_ptr<SecureLayer> ServerContext::accept(BufferPool& buffers) const {
  SslPtr ssl(SSL_new(default_));
  if (!ssl) return nullptr;
  SSL_set_accept_state(ssl.get());
  return std::make_unique<Layer>(std::move(ssl), bio_method_.get(), buffers, shared_from_this());
}

SSL_CTX* ServerContext::find(std::string_view host) const {
  std::array<char, kHostBytesMax> folded;
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() > folded.size()) return default_;
  std::ranges::transform(host, folded.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  const std::string_view name(folded.data(), host.size());
  if (const auto found = by_name_.find(name); found != by_name_.end()) return found->second;
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0) return default_;
  const auto found = by_name_.find(name.substr(dot));
  return found == by_name_.end() ? default_ : found->second;
}

int ServerContext::on_server_name(SSL* ssl, int*, void* self) {
  const char* host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (host == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* context = static_cast<const ServerContext*>(self)->find(host);
  if (context != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, context);
  return SSL_TLSEXT_ERR_OK;
}

int ServerContext::on_protocols(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                                const unsigned char* offered, unsigned int offered_size, void* self) {
  const std::string& wanted = static_cast<const ServerContext*>(self)->protocols_;
  unsigned char* found = nullptr;
  // RFC 7301 3.2: a client that offers only what is not spoken here is told so.
  if (SSL_select_next_proto(&found, chosen_size, reinterpret_cast<const unsigned char*>(wanted.data()),
                            static_cast<unsigned int>(wanted.size()), offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

int ServerContext::on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                             int encrypt) {
  const auto* self = static_cast<const ServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const TicketKeys::Set& set = self->tickets_->current();
  std::size_t which = 0;
  if (encrypt == 0) {
    while (which < set.count && std::memcmp(set.keys[which].name.data(), name, set.keys[which].name.size()) != 0) {
      ++which;
    }
    if (which == set.count) return 0;
  }
  const TicketKeys::Key& key = set.keys[which];
  if (encrypt != 0) {
    std::ranges::copy(key.name, name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  }
  if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv, encrypt) != 1) return -1;
  std::array<char, 7> digest{"SHA256"};
  auto* mac_key = const_cast<unsigned char*>(key.mac.data());
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, mac_key, key.mac.size()),
                                   OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
                                   OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, parameters) != 1) return -1;
  // After 2 the client gets a new ticket: for one of an old key, and with TLS 1.3 always, since a ticket is used once.
  return encrypt == 0 && (which > 0 || SSL_version(ssl) == TLS1_3_VERSION) ? 2 : 1;
}

// A session stands for the certificate that the client showed when it began, and each resumption gives it a new
// ticket: it must not outlive the certificate.
SSL_TICKET_RETURN ServerContext::on_session(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                                            SSL_TICKET_STATUS status, void*) {
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
  const X509* certificate = SSL_SESSION_get0_peer(session);
  if (certificate != nullptr && X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

}  // namespace weir::tls
