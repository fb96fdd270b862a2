#include "sim/peer_tls.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "tls/test_certificates.h"

namespace weir::sim {
namespace {

constexpr const char* kHttp1 = "http/1.1";
constexpr const char* kHttp2 = "h2";

std::string on_wire(std::string_view protocol) {
  return static_cast<char>(protocol.size()) + std::string(protocol);
}

int choose(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned int room,
           void* wanted) {
  const std::string_view protocol = static_cast<const char*>(wanted);
  for (unsigned int at = 0; at < room; at += offered[at] + 1U) {
    if (std::string_view(reinterpret_cast<const char*>(offered) + at + 1, offered[at]) != protocol) continue;
    *chosen = offered + at + 1;
    *size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

tls::ContextPtr make_peer_server(const tls::IdentityText& identity, const char* protocol) {
  tls::ContextPtr context(SSL_CTX_new(TLS_server_method()));
  const tls::BioPtr certificate(BIO_new_mem_buf(identity.certificate.data(), -1));
  const tls::BioPtr key(BIO_new_mem_buf(identity.key.data(), -1));
  const tls::CertificatePtr leaf(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  const tls::KeyPtr secret(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
  WEIR_CHECK(SSL_CTX_use_certificate(context.get(), leaf.get()) == 1);
  WEIR_CHECK(SSL_CTX_use_PrivateKey(context.get(), secret.get()) == 1);
  if (protocol != nullptr) SSL_CTX_set_alpn_select_cb(context.get(), choose, const_cast<char*>(protocol));
  return context;
}

tls::SslPtr make_peer_ssl(SSL_CTX* context) {
  tls::SslPtr ssl(SSL_new(context));
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  return ssl;
}

void offer_protocol(SSL* ssl, std::string_view protocol) {
  const std::string list = on_wire(protocol);
  SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(list.data()), static_cast<unsigned int>(list.size()));
}

PeerTls::PeerTls(tls::SslPtr ssl) : ssl_(std::move(ssl)) {
  go_on();
}

void PeerTls::receive(std::string_view bytes) {
  std::string misread;
  if (misread_at_ >= wire_bytes_ && misread_at_ - wire_bytes_ < bytes.size()) {
    misread = bytes;
    char& byte = misread[misread_at_ - wire_bytes_];
    byte = static_cast<char>(byte ^ 1);
    bytes = misread;
  }
  wire_bytes_ += bytes.size();
  BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
  go_on();
}

// The handshake, then what waits.
void PeerTls::go_on() {
  if (failed_) return;
  if (!established()) {
    const int done = SSL_do_handshake(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), done);
    failed_ = done != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    if (done != 1) return static_cast<void>(tls::take_errors());
  }
  constexpr std::size_t kPieceBytes = 1024 * 1024;
  // No more than what is taken soon.
  while (waiting() > 0 && !failed_ && BIO_ctrl_pending(SSL_get_wbio(ssl_.get())) < kPieceBytes) {
    const std::size_t size = std::min(waiting(), kPieceBytes);
    const int sent = SSL_write(ssl_.get(), waiting_.data() + encrypted_, static_cast<int>(size));
    failed_ = sent != static_cast<int>(size);
    encrypted_ += size;
  }
  if (waiting() > 0) return static_cast<void>(tls::take_errors());
  waiting_.clear();
  encrypted_ = 0;
  if (finish_wanted_ && !std::exchange(finished_, true)) SSL_shutdown(ssl_.get());
  static_cast<void>(tls::take_errors());
}

std::string PeerTls::read() {
  if (failed_ || !established()) return {};
  std::array<char, 16 * 1024> piece;
  const int size = SSL_read(ssl_.get(), piece.data(), piece.size());
  if (size > 0) {
    plain_bytes_ += static_cast<std::uint64_t>(size);
    return {piece.data(), static_cast<std::size_t>(size)};
  }
  const int error = SSL_get_error(ssl_.get(), size);
  failed_ = error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
  static_cast<void>(tls::take_errors());
  return {};
}

void PeerTls::send(std::string_view bytes) {
  if (finish_wanted_) return;
  waiting_.append(bytes);
  go_on();
}

void PeerTls::finish() {
  finish_wanted_ = true;
  go_on();
}

std::string PeerTls::take_output() {
  BIO* out = SSL_get_wbio(ssl_.get());
  std::string bytes(BIO_ctrl_pending(out), '\0');
  if (!bytes.empty()) BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

PeerTlsContexts::PeerTlsContexts() : client_(SSL_CTX_new(TLS_client_method())) {
  const tls::TestAuthority authority("root");
  authority_ = authority.certificate();
  tls::ServerOptions listener;
  listener.certificates.push_back(authority.issue({.alternative_names = "DNS:example.com"}));
  listener.protocols = {kHttp2, kHttp1};
  listener_ = *tls::ServerContext::make(listener, std::make_shared<tls::TicketKeys>());
  const tls::IdentityText backend = authority.issue({.alternative_names = "DNS:backend.example"});
  http1_server_ = make_peer_server(backend, kHttp1);
  http2_server_ = make_peer_server(backend, kHttp2);
  tls::ClientOptions cluster;
  cluster.ca = authority_;
  cluster.server_name = kBackendName;
  cluster.protocols = {kHttp2, kHttp1};
  cluster_ = *tls::ClientContext::make(cluster);
}

std::unique_ptr<PeerTls> PeerTlsContexts::client(std::string_view protocol) const {
  tls::SslPtr ssl = make_peer_ssl(client_.get());
  offer_protocol(ssl.get(), protocol);
  SSL_set_tlsext_host_name(ssl.get(), "example.com");
  SSL_set_connect_state(ssl.get());
  return std::make_unique<PeerTls>(std::move(ssl));
}

std::unique_ptr<PeerTls> PeerTlsContexts::server(std::string_view protocol) const {
  tls::SslPtr ssl = make_peer_ssl((protocol == kHttp2 ? http2_server_ : http1_server_).get());
  SSL_set_accept_state(ssl.get());
  return std::make_unique<PeerTls>(std::move(ssl));
}

}  // namespace weir::sim
