#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tls/client_context.h"
#include "tls/server_context.h"

namespace weir::sim {

// TLS at the end of a peer, by OpenSSL itself over buffers in memory: bytes of the wire in and out.
class PeerTls {
 public:
  explicit PeerTls(tls::SslPtr ssl);

  // From the wire. Goes on with the handshake.
  void receive(std::string_view bytes);
  // Of what was received and has not been read yet. Empty: that was all so far.
  std::string read();
  // What is sent before the handshake is over waits for that.
  void send(std::string_view bytes);
  // Says that nothing more comes, behind what waits.
  void finish();
  // For the wire.
  std::string take_output();

  bool established() const { return SSL_is_init_finished(ssl_.get()) != 0; }
  // Given to send(), and still to be encrypted.
  std::size_t waiting() const { return waiting_.size(); }
  // What finish() had to say is in the output.
  bool finished() const { return finished_; }
  bool failed() const { return failed_; }
  // The peer said that nothing more comes.
  bool got_goodbye() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  void go_on();

  tls::SslPtr ssl_;
  std::string waiting_;
  bool finish_wanted_ = false;
  bool finished_ = false;
  bool failed_ = false;
};

// Keys, certificates and contexts of a simulation whose peers speak TLS.
class PeerTlsContexts {
 public:
  PeerTlsContexts();

  // The other end for clients, or at backends: they agree to one protocol by ALPN.
  std::unique_ptr<PeerTls> client(std::string_view protocol) const;
  std::unique_ptr<PeerTls> server(std::string_view protocol) const;
  // What the proxy itself is configured with.
  std::shared_ptr<const tls::ServerContext> for_listener() const { return listener_; }
  std::shared_ptr<const tls::ClientContext> for_cluster() const { return cluster_; }

 private:
  tls::ContextPtr client_;
  tls::ContextPtr http1_server_;
  tls::ContextPtr http2_server_;
  std::shared_ptr<const tls::ServerContext> listener_;
  std::shared_ptr<const tls::ClientContext> cluster_;
};

}  // namespace weir::sim
