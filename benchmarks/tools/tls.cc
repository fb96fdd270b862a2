#include "tls.h"

#include <openssl/err.h>

#include <array>
#include <cstddef>

namespace weir::lab {
namespace {

constexpr std::size_t kRecordBytesMax = 16384;
constexpr std::string_view kHttp1 = "\x08http/1.1";  // each behind its length
constexpr std::string_view kHttp2 = "\x02h2";

Io why_not(const SSL* ssl, int result) {
  const int error = SSL_get_error(ssl, result);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? Io::would_block : Io::closed;
}

}  // namespace

TlsContext make_tls_context() {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

TlsConnection start_tls(SSL_CTX* context, int fd, const std::string& host, bool http2) {
  TlsConnection ssl(SSL_new(context));
  SSL_set_fd(ssl.get(), fd);
  SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  const std::string_view names = http2 ? kHttp2 : kHttp1;
  SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const unsigned char*>(names.data()),
                      static_cast<unsigned>(names.size()));
  return ssl;
}

Io handshake_some(SSL* ssl) {
  ERR_clear_error();
  const int result = SSL_connect(ssl);
  return result == 1 ? Io::ok : why_not(ssl, result);
}

bool speaks_http2(const SSL* ssl) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

Io write_some(SSL* ssl, std::string& output) {
  while (!output.empty()) {
    ERR_clear_error();
    const int written = SSL_write(ssl, output.data(), static_cast<int>(output.size()));
    if (written <= 0) return why_not(ssl, written);
    output.erase(0, static_cast<std::size_t>(written));
  }
  return Io::ok;
}

Io read_some(SSL* ssl, std::string_view& bytes) {
  thread_local std::array<char, kRecordBytesMax> scratch;
  ERR_clear_error();
  const int got = SSL_read(ssl, scratch.data(), static_cast<int>(scratch.size()));
  if (got <= 0) return why_not(ssl, got);
  bytes = {scratch.data(), static_cast<std::size_t>(got)};
  return Io::ok;
}

}  // namespace weir::lab
