#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "net/engine.h"

namespace weir {

class ReadScratch;

enum class FlushResult : std::uint8_t {
  done,     // everything is written
  blocked,  // the rest waits for the next writable edge
  failed,   // the connection is dead; what was left is dropped
};

// What a verified certificate of the peer says, in the form in which it goes on to backends.
struct PeerCertificate {
  std::string encoded;      // the value of client-cert (RFC 9440): the DER in base64, between colons
  std::string subject;      // as RFC 2253 writes it; visible ASCII and spaces only
  std::string names;        // its alternative names, "DNS:a.example, URI:spiffe://b"; visible ASCII and spaces only
  std::string fingerprint;  // SHA-256 of the DER, in lower-case hexadecimal digits
};

// Encrypts what a Transport reads and writes. It moves bytes through the engine itself, and holds no more than what it
// can't hand on yet. Belongs to one Transport; errors are values. One thread.
class SecureLayer {
 public:
  virtual ~SecureLayer() = default;

  struct Handshake {
    enum class Status : std::uint8_t { done, waiting, failed };
    Status status;
    std::size_t received = 0;  // bytes off the wire
    std::size_t sent = 0;      // bytes that the socket took
    bool drained = true;       // nothing more will come before the next edge
  };
  // What was read from the wire before the layer was there. Before the first handshake().
  virtual void begin_with(Buffer& early) = 0;

  // Goes on with the handshake as far as the bytes that are there allow. What is blocked of its output goes out by
  // flush(). Until it is `done`, nothing else is called but flush(), unsent(), failure() and failure_text().
  virtual Handshake handshake(Engine& engine, SocketId socket, ReadScratch& scratch) = 0;

  struct Input {
    IoStatus status;        // ok: there are bytes; would_block also where what came had no bytes for the owner in it
    int error = 0;          // EPROTO: what came can't be decrypted
    std::size_t bytes = 0;  // decrypted
    std::size_t wire = 0;   // read from the socket
    bool drained = true;    // nothing more will come before the next edge
  };
  virtual Input read(Engine& engine, SocketId socket, ReadScratch& scratch, std::span<char> into) = 0;

  // Encrypts and writes `plain` as far as the socket takes it. `sent` counts the bytes that it took, and those that it
  // took in read() since the last time.
  virtual FlushResult flush(Engine& engine, SocketId socket, Buffer& plain, std::size_t& sent) = 0;
  // Encrypted, and not yet taken by the socket.
  virtual std::size_t unsent() const = 0;

  // Says that nothing more will be sent, behind what is unsent, and then sends FIN (at the latest from flush()).
  virtual void shutdown_write(Engine& engine, SocketId socket) = 0;
  // The socket is about to be closed: the same, if it can be said at once.
  virtual void say_goodbye(Engine& engine, SocketId socket) = 0;

  // The peer's end came without a word: what was read may not be all that it sent.
  virtual bool truncated() const = 0;

  // Of a finished handshake. The protocol that both agreed on by ALPN, empty if none.
  virtual std::string_view protocol() const = 0;
  virtual std::string_view version() const = 0;  // "TLSv1.3"
  virtual bool resumed() const = 0;
  // Null if the peer was not asked, or showed none. Lives as long as the layer.
  virtual const PeerCertificate* peer_certificate() const = 0;

  // Of a handshake that failed: one word of a small set, for a metric; and what is known, for a log.
  virtual std::string_view failure() const = 0;
  virtual std::string failure_text() const = 0;
};

}  // namespace weir
