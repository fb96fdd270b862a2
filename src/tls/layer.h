#pragma once

#include <memory>
#include <string>

#include "net/secure_layer.h"
#include "tls/openssl.h"

namespace weir::tls {

// Where an SSL object's bytes come from and go to: memory of its Layer. One for all connections of a context; must
// outlive them.
BioMethodPtr make_bio_method();

// TLS on one connection, for either side. The handshake's parameters are those of the SSL object it is made with.
class Layer : public SecureLayer {
 public:
  // `keep_alive` is what the connection needs of its context; it is let go with the layer.
  Layer(SslPtr ssl, BIO_METHOD* bio_method, BufferPool& buffers, std::shared_ptr<const void> keep_alive);
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;
  ~Layer() override;

  void begin_with(Buffer& early) override { kept_.splice_back(early); }
  Handshake handshake(Engine& engine, SocketId socket, ReadScratch& scratch) override;
  Input read(Engine& engine, SocketId socket, ReadScratch& scratch, std::span<char> into) override;
  FlushResult flush(Engine& engine, SocketId socket, Buffer& plain, std::size_t& sent) override;
  std::size_t unsent() const override { return outgoing_.size(); }
  void shutdown_write(Engine& engine, SocketId socket) override;
  void say_goodbye(Engine& engine, SocketId socket) override;
  bool truncated() const override { return peer_fin_ && !peer_said_goodbye_; }

  std::string_view protocol() const override;
  std::string_view version() const override;
  bool resumed() const override;
  const PeerCertificate* peer_certificate() const override { return peer_certificate_.get(); }
  std::string_view failure() const override { return failure_; }
  std::string failure_text() const override { return failure_text_; }

  // What OpenSSL knows of the connection. Not to read, write or close.
  SSL* ssl() const { return ssl_.get(); }

 private:
  friend BioMethodPtr make_bio_method();
  static int bio_read(BIO* bio, char* into, int size);
  static int bio_write(BIO* bio, const char* from, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static void on_info(const SSL* ssl, int where, int result);

  struct Fetched {
    std::size_t bytes = 0;
    IoStatus status = IoStatus::would_block;
    int error = 0;
    bool drained = true;
  };
  Fetched fetch(Engine& engine, SocketId socket, ReadScratch& scratch, std::size_t at_most);
  void keep_incoming();
  std::size_t decrypt(std::span<char> into, bool& broken);
  bool encrypt_some(Buffer& plain, TimePoint now);
  FlushResult write_out(Engine& engine, SocketId socket, std::size_t& sent);
  void handshake_failed(std::string_view reason, std::string text);
  void note_peer_certificate();
  void note_goodbye();

  const std::shared_ptr<const void> keep_alive_;
  SslPtr ssl_;
  Buffer outgoing_;            // encrypted
  Buffer kept_;                // still to be decrypted, from one turn to another
  std::string_view incoming_;  // still to be decrypted, in the scratch; within a call only
  TimePoint last_record_{};
  std::size_t sent_in_reads_ = 0;    // and not yet told by flush()
  std::uint32_t small_records_ = 0;  // sent since the connection was last idle
  std::uint32_t messages_ = 0;       // of handshakes, since data last came
  bool established_ = false;
  bool broken_ = false;  // no more of TLS can be said or understood
  bool peer_fin_ = false;
  bool peer_said_goodbye_ = false;
  bool said_goodbye_ = false;
  bool fin_wanted_ = false;
  bool fin_sent_ = false;
  std::string_view failure_;
  std::string failure_text_;
  std::unique_ptr<PeerCertificate> peer_certificate_;
};

}  // namespace weir::tls
