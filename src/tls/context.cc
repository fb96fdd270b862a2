#include "tls/context.h"

#include <openssl/err.h>

#include <memory>

namespace weir::tls {
namespace {

// Forward secrecy and authenticated encryption only.
constexpr const char* kCiphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK:!aNULL";
// 128 bits are enough, and cost less.
constexpr const char* kCiphers13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr const char* kSignatures =
    "ECDSA+SHA256:ed25519:rsa_pss_rsae_sha256:rsa_pss_pss_sha256:RSA+SHA256:ECDSA+SHA384:rsa_pss_rsae_sha384:"
    "rsa_pss_pss_sha384:RSA+SHA384:ECDSA+SHA512:rsa_pss_rsae_sha512:rsa_pss_pss_sha512:RSA+SHA512";

struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};

}  // namespace

std::expected<ContextPtr, std::string> make_context(const SSL_METHOD* method, Version min_version) {
  ContextPtr context(SSL_CTX_new(method));
  SSL_CTX* raw = context.get();
  const int lowest = min_version == Version::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
  const bool made = raw != nullptr && SSL_CTX_set_min_proto_version(raw, lowest) == 1 &&
                    SSL_CTX_set_cipher_list(raw, kCiphers12) == 1 && SSL_CTX_set_ciphersuites(raw, kCiphers13) == 1 &&
                    SSL_CTX_set1_groups_list(raw, kGroups) == 1 && SSL_CTX_set1_sigalgs_list(raw, kSignatures) == 1;
  if (!made) return std::unexpected(take_errors());
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                               SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_ANTI_REPLAY);
  SSL_CTX_set_max_early_data(raw, 0);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

std::expected<void, std::string> use_identity(SSL_CTX* context, const Identity& identity) {
  ERR_clear_error();
  const std::unique_ptr<STACK_OF(X509), FreeStack> chain(sk_X509_new_null());
  for (const CertificatePtr& certificate : identity.chain) sk_X509_push(chain.get(), certificate.get());
  if (SSL_CTX_use_cert_and_key(context, identity.certificate.get(), identity.key.get(), chain.get(), 1) == 1) return {};
  return std::unexpected(take_errors());
}

std::string encode_protocols(const std::vector<std::string>& protocols) {
  std::string encoded;
  for (const std::string& protocol : protocols) {
    encoded += static_cast<char>(protocol.size());
    encoded += protocol;
  }
  return encoded;
}

}  // namespace weir::tls
