#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tls/client_context.h"
#include "tls/server_context.h"

namespace weir::sim {

class Peer;

// TLS at the end of a peer, by OpenSSL itself over buffers in memory: bytes of the wire in and out.
class PeerTls {
 public:
  explicit PeerTls(tls::SslPtr ssl);

  // From the wire. Goes on with the handshake.
  void receive(std::string_view bytes);
  // Of what was received and has not been read yet. Empty: that was all so far.
  std::string read();
  // What is sent before the handshake is over waits for that; of much, a part waits until the output has been taken.
  void send(std::string_view bytes);
  // Says that nothing more comes, behind what waits.
  void finish();
  // For the wire.
  std::string take_output();
  // Encrypts more of what waits.
  void go_on();

  bool established() const { return SSL_is_init_finished(ssl_.get()) != 0; }
  // Given to send(), and still to be encrypted.
  std::size_t waiting() const { return waiting_.size() - encrypted_; }
  // What finish() had to say is in the output.
  bool finished() const { return finished_; }
  bool failed() const { return failed_; }
  // From the wire so far, and what there was in it.
  std::uint64_t wire_bytes() const { return wire_bytes_; }
  std::uint64_t plain_bytes() const { return plain_bytes_; }
  // As OpenSSL names it, once it has been agreed on.
  std::string_view version() const { return SSL_get_version(ssl_.get()); }
  bool resumed() const { return SSL_session_reused(ssl_.get()) != 0; }
  // Of what is received, the byte at this place is taken for another.
  void misread_at(std::uint64_t place) { misread_at_ = place; }
  // The peer said that nothing more comes.
  bool got_goodbye() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  tls::SslPtr ssl_;
  std::string waiting_;
  std::size_t encrypted_ = 0;  // of those
  std::uint64_t wire_bytes_ = 0;
  std::uint64_t plain_bytes_ = 0;
  std::uint64_t misread_at_ = UINT64_MAX;
  bool finish_wanted_ = false;
  bool finished_ = false;
  bool failed_ = false;
};

// Where the peers of a simulation have their TLS from. They agree to one protocol by ALPN.
class PeerTlsSource {
 public:
  virtual ~PeerTlsSource() = default;
  // A client's end, and a backend's.
  virtual std::unique_ptr<PeerTls> client(std::string_view protocol) const = 0;
  virtual std::unique_ptr<PeerTls> server(std::string_view protocol) const = 0;
  // The peer is about to speak TLS.
  virtual void begins(Peer&) const {}
};

// For clients that speak HTTP/2 by hand, whatever they are made for.
class RawHttp2Tls final : public PeerTlsSource {
 public:
  explicit RawHttp2Tls(const PeerTlsSource& source) : source_(source) {}
  std::unique_ptr<PeerTls> client(std::string_view) const override { return source_.client("h2"); }
  std::unique_ptr<PeerTls> server(std::string_view) const override { return source_.server("h2"); }

 private:
  const PeerTlsSource& source_;
};

// A server's context. One without a `protocol` leaves ALPN alone.
tls::ContextPtr make_peer_server(const tls::IdentityText& identity, const char* protocol);
tls::SslPtr make_peer_ssl(SSL_CTX* context);
// For a client: the one that it offers.
void offer_protocol(SSL* ssl, std::string_view protocol);

// Keys, certificates and contexts of a simulation whose peers speak TLS.
class PeerTlsContexts final : public PeerTlsSource {
 public:
  PeerTlsContexts();

  std::unique_ptr<PeerTls> client(std::string_view protocol) const override;
  std::unique_ptr<PeerTls> server(std::string_view protocol) const override;
  // Who vouches for the backends, in PEM, and the name that they have.
  const std::string& authority() const { return authority_; }
  static constexpr std::string_view kBackendName = "backend.example";
  // What the proxy itself is configured with.
  std::shared_ptr<const tls::ServerContext> for_listener() const { return listener_; }
  std::shared_ptr<const tls::ClientContext> for_cluster() const { return cluster_; }

 private:
  std::string authority_;
  tls::ContextPtr client_;
  tls::ContextPtr http1_server_;
  tls::ContextPtr http2_server_;
  std::shared_ptr<const tls::ServerContext> listener_;
  std::shared_ptr<const tls::ClientContext> cluster_;
};

}  // namespace weir::sim
