#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "sockets.h"

namespace weir::lab {

struct FreeTls {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeTls>;
using TlsConnection = std::unique_ptr<SSL, FreeTls>;
using TlsSession = std::unique_ptr<SSL_SESSION, FreeTls>;

// A client's: TLS 1.3, any certificate will do.
TlsContext make_tls_context();
// A client's side over a connected socket, asking for `host` and, by ALPN, h2 or http/1.1 alone. `fd` stays the
// caller's.
TlsConnection start_tls(SSL_CTX* context, int fd, const std::string& host, bool http2);

// ok: it is through.
Io handshake_some(SSL* ssl);
// Whether ALPN settled on HTTP/2. Once the handshake is through.
bool speaks_http2(const SSL* ssl);
// As the ones without TLS.
Io write_some(SSL* ssl, std::string& output);
Io read_some(SSL* ssl, std::string_view& bytes);

}  // namespace weir::lab
