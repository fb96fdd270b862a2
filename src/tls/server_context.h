#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "net/secure_layer.h"
#include "tls/context.h"
#include "tls/ticket_keys.h"

namespace weir::tls {

enum class ClientAuth : std::uint8_t {
  required,  // no connection without a certificate that client_ca vouches for
  optional,  // one that is shown must be good
};

struct ServerOptions {
  std::vector<IdentityText> certificates = {};  // at least one; the first is the default
  Version min_version = Version::tls1_2;
  std::string client_ca = {};  // PEM; empty: clients are not asked for certificates
  ClientAuth client_auth = ClientAuth::required;
  std::vector<std::string> protocols = {};  // offered by ALPN, the one to prefer first
  std::string scope = {};                   // sessions are resumed in the same scope only
};

// What all TLS connections to one listener share. Immutable; any thread, also several at once.
class ServerContext : public std::enable_shared_from_this<ServerContext> {
 public:
  static Result<std::shared_ptr<const ServerContext>> make(const ServerOptions& options,
                                                           std::shared_ptr<const TicketKeys> tickets);
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;
  ~ServerContext() = default;

  // The server's end of a connection. Holds this context as long as it lives.
  std::unique_ptr<SecureLayer> accept(BufferPool& buffers) const;

  // Of each certificate, in the order of the options.
  const std::vector<CertificateFacts>& certificates() const { return facts_; }

 private:
  // Names in lower case; "*.example.com" under ".example.com".
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  using ByName = std::unordered_map<std::string, SSL_CTX*, NameHash, std::equal_to<>>;

  explicit ServerContext(std::shared_ptr<const TicketKeys> tickets);
  Result<void> build(const ServerOptions& options);
  Result<SSL_CTX*> context_of(const std::vector<std::size_t>& which, const ServerOptions& options);
  std::vector<std::size_t> one_of_each_kind(const std::vector<std::size_t>& which) const;
  Result<void> ask_for_certificates(SSL_CTX* context, const ServerOptions& options) const;
  SSL_CTX* find(std::string_view host) const;

  static int on_server_name(SSL* ssl, int* alert, void* self);
  static int on_protocols(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_size,
                          const unsigned char* offered, unsigned int offered_size, void* self);
  static int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                       int encrypt);
  static SSL_TICKET_RETURN on_session(SSL* ssl, SSL_SESSION* session, const unsigned char* name, std::size_t name_size,
                                      SSL_TICKET_STATUS status, void* nothing);

  std::shared_ptr<const TicketKeys> tickets_;
  BioMethodPtr bio_method_;
  std::string protocols_;  // as on the wire
  std::vector<Identity> identities_;
  std::vector<CertificateFacts> facts_;
  std::map<std::vector<std::size_t>, ContextPtr> contexts_;  // by the certificates that they have
  ByName by_name_;
  SSL_CTX* default_ = nullptr;
};

}  // namespace weir::tls
