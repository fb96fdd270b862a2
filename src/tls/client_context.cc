#include "tls/client_context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "net/address.h"
#include "tls/layer.h"

namespace weir::tls {

namespace {

// A session stands for the certificate that the server showed when it began, and each resumption brings a new one: it
// must not outlive the certificate.
bool is_over(SSL_SESSION* session) {
  const X509* certificate = SSL_SESSION_get0_peer(session);
  return certificate != nullptr && X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0;
}

}  // namespace

Result<std::shared_ptr<X509_STORE>> system_store() {
  StorePtr store(X509_STORE_new());
  if (!store || X509_STORE_set_default_paths(store.get()) != 1) return fail(take_errors());
  ERR_clear_error();
  return std::shared_ptr<X509_STORE>(store.release(), &X509_STORE_free);
}

Result<std::shared_ptr<const ClientContext>> ClientContext::make(const ClientOptions& options) {
  std::shared_ptr<ClientContext> context(new ClientContext());
  if (auto built = context->build(options); !built) return std::unexpected(std::move(built.error()));
  return context;
}

Result<void> ClientContext::build(const ClientOptions& options) {
  auto made = make_context(TLS_client_method(), Version::tls1_2);
  if (!made) return fail(std::move(made.error()));
  bio_method_ = make_bio_method();
  context_ = std::move(*made);
  server_name_ = options.server_name;
  verify_ = options.verify;
  SSL_CTX* context = context_.get();
  SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  if (!options.ca.empty()) {
    auto store = make_store(options.ca);
    if (!store) return fail(std::move(store.error()));
    SSL_CTX_set1_cert_store(context, store->get());
  } else if (options.system) {
    SSL_CTX_set1_cert_store(context, options.system.get());
  }
  if (options.identity) {
    auto identity = read_identity(*options.identity);
    if (!identity) return fail(std::move(identity.error().message));
    if (auto used = use_identity(context, *identity); !used) return fail(std::move(used.error()));
    certificate_ = facts_of(identity->certificate.get());
  }
  const std::string protocols = encode_protocols(options.protocols);
  SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned int>(protocols.size()));
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, &ClientContext::on_session);
  return {};
}

std::unique_ptr<SecureLayer> ClientContext::connect(BufferPool& buffers, std::string_view host, SessionSlot* slot,
                                                    std::string_view only) const {
  SslPtr ssl(SSL_new(context_.get()));
  if (!ssl) return nullptr;
  SSL_set_connect_state(ssl.get());
  SSL_set_app_data(ssl.get(), slot);
  std::string name(server_name_.empty() ? host : std::string_view(server_name_));
  // The dot at the end of a name is neither asked for (RFC 6066 3) nor in certificates.
  if (name.size() > 1 && name.ends_with('.')) name.pop_back();
  const bool is_address = IpAddress::parse(name).has_value();
  if (!is_address) SSL_set_tlsext_host_name(ssl.get(), name.c_str());
  if (verify_) {
    X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl.get());
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str())
                               : X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size());
    if (set != 1) return nullptr;
  }
  if (!only.empty()) {
    const std::string protocols = encode_protocols({std::string(only)});
    SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                        static_cast<unsigned int>(protocols.size()));
  }
  if (slot != nullptr && slot->context.get() != this) {
    slot->session.reset();
    slot->context = shared_from_this();
  }
  if (slot != nullptr && slot->session && verify_ && is_over(slot->session.get())) slot->session.reset();
  if (slot != nullptr && slot->session) {
    // A copy: with TLS 1.3 OpenSSL lets a session be used once only, but several connections may be made before the
    // next ticket comes.
    const SessionPtr session(SSL_SESSION_dup(slot->session.get()));
    if (session) SSL_set_session(ssl.get(), session.get());
  }
  return std::make_unique<Layer>(std::move(ssl), bio_method_.get(), buffers, shared_from_this());
}

int ClientContext::on_session(SSL* ssl, SSL_SESSION* session) {
  auto* slot = static_cast<SessionSlot*>(SSL_get_app_data(ssl));
  // One that was begun before a change of the context brings what the new one has no use for.
  if (slot == nullptr || slot->context->context_.get() != SSL_get_SSL_CTX(ssl) ||
      SSL_SESSION_is_resumable(session) == 0)
    return 0;
  slot->session.reset(session);
  return 1;
}

}  // namespace weir::tls
