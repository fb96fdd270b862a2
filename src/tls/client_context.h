#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/secure_layer.h"
#include "tls/context.h"

namespace weir::tls {

class ClientContext;

// The session of one server that is resumed next. Belongs to one thread; must outlive the connections it is given to.
struct SessionSlot {
  SessionPtr session;
  std::shared_ptr<const ClientContext> context;  // that it is of: another one may ask for more
};

// A store with the certificates that this machine trusts. Reading it takes milliseconds: share it.
Result<std::shared_ptr<X509_STORE>> system_store();

struct ClientOptions {
  bool verify = true;
  std::string ca = {};                        // PEM; empty: `system`
  std::shared_ptr<X509_STORE> system = {};    // must be there if `ca` is empty and `verify` is set
  std::string server_name = {};               // asked for and verified; empty: as connect() is told
  std::optional<IdentityText> identity = {};  // shown if the server asks
  std::vector<std::string> protocols = {};    // offered by ALPN, the one to prefer first
};

// What all TLS connections to the backends of one cluster share. Immutable; any thread, also several at once.
class ClientContext : public std::enable_shared_from_this<ClientContext> {
 public:
  static Result<std::shared_ptr<const ClientContext>> make(const ClientOptions& options);
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;
  ~ClientContext() = default;

  // The client's end of a connection to `host`, a name or an IP address (which is verified, not asked for). `slot` (may
  // be null) gives the session to resume and takes the next. `only` (if not empty) is offered instead of the options'
  // protocols. Holds this context as long as it lives. Null if memory is short.
  std::unique_ptr<SecureLayer> connect(BufferPool& buffers, std::string_view host, SessionSlot* slot,
                                       std::string_view only = {}) const;
  // What is shown if the server asks; null for nothing.
  const CertificateFacts* certificate() const { return certificate_ ? &*certificate_ : nullptr; }

 private:
  ClientContext() = default;
  Result<void> build(const ClientOptions& options);
  static int on_session(SSL* ssl, SSL_SESSION* session);

  BioMethodPtr bio_method_;
  ContextPtr context_;
  std::string server_name_;
  std::optional<CertificateFacts> certificate_;
  bool verify_ = true;
};

}  // namespace weir::tls
