#pragma once

#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "base/time.h"
#include "net/address.h"
#include "runtime/clock.h"

namespace weir {

// A socket, pipe end or other descriptor of an Engine. The simulated kind deals out numbers of its own.
using SocketId = int;
inline constexpr SocketId kNoSocket = -1;

// What an edge brought; a set of bits.
struct Readiness {
  enum Bits : std::uint8_t { readable = 1, writable = 2, peer_closed = 4, failed = 8 };
  std::uint8_t bits = 0;

  bool can_read() const { return (bits & (readable | peer_closed | failed)) != 0; }
  bool can_write() const { return (bits & (writable | failed)) != 0; }
  // The peer has sent FIN (what it sent before may still wait to be read), or the connection is dead.
  bool peer_gone() const { return (bits & (peer_closed | failed)) != 0; }
};

class ReadinessHandler {
 public:
  // From Engine::poll(). May close any socket, its own too; must not delete itself (see EventLoop::retire).
  virtual void on_ready(Readiness readiness) = 0;

 protected:
  ~ReadinessHandler() = default;
};

enum class IoStatus : std::uint8_t {
  ok,           // `bytes` were moved; fewer than asked for means that the socket is drained or full until the next edge
  would_block,  // nothing moved
  end,          // reading only: the peer has sent FIN
  failed,       // `error` is the errno; the socket is dead
};

struct IoResult {
  IoStatus status;
  int error = 0;
  std::size_t bytes = 0;
};

// The errno of a connect() or open() that failed for want of descriptors, ports or memory: it says nothing of the peer.
inline bool is_own_trouble(int error) {
  return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL || error == ENOBUFS || error == ENOMEM;
}

struct ListenOptions {
  int backlog = 4096;
  bool reuse_port = true;  // one socket per worker on the same address; never for unix sockets
};

struct Accepted {
  enum class Status : std::uint8_t { ok, would_block, out_of_descriptors, failed };
  Status status;
  SocketId socket = kNoSocket;
  IpAddress peer;  // none on a unix socket
  std::uint16_t peer_port = 0;
  int error = 0;
};

// A pipe to splice through. `buffered` is what is in it.
struct Pipe {
  SocketId read_end = kNoSocket;
  SocketId write_end = kNoSocket;
  std::size_t buffered = 0;
};
inline constexpr std::size_t kPipeBytes = 256 * 1024;

enum class Trigger : std::uint8_t {
  edge,        // once per change, both directions
  level,       // in every turn while there is something to read
  level_both,  // the same, and in every turn while there is room to write
};

// One thread's way to the network and to time: epoll, or simulated. now() and wall_now() stand still between two
// calls of poll(), which reads them. Every call is non-blocking but poll(), and belongs to the owning thread, but for
// wake().
class Engine : public Clock {
 public:
  // So many events one poll() hands out.
  static constexpr std::size_t kEventsPerPoll = 128;

  // Streams: TCP (with TCP_NODELAY and keepalive) and unix sockets.
  virtual Result<SocketId> listen(const SocketAddress& address, const ListenOptions& options) = 0;
  // Where a listening socket is bound: tells the port that 0 became.
  virtual Result<SocketAddress> local_address(SocketId socket) = 0;
  virtual Accepted accept(SocketId listener) = 0;
  // Starts to connect. The first `writable` edge means that it ended: ask connect_error(). An error that is known at
  // once (unix sockets, no descriptors, no ports) is in Error::code.
  virtual Result<SocketId> connect(const SocketAddress& address) = 0;
  // 0 if connected, EINPROGRESS while it lasts, else why it failed (to be asked once: the kernel forgets it).
  virtual int connect_error(SocketId socket) = 0;

  virtual IoResult read(SocketId socket, std::span<char> into) = 0;
  // `more`: further bytes follow at once, so that small packets may be held back.
  virtual IoResult write(SocketId socket, std::span<const iovec> from, bool more) = 0;
  // True if nothing waits to be read and the peer has neither closed nor reset: a cheap look at a pooled connection.
  virtual bool quiet(SocketId socket) = 0;
  // How many bytes have come and wait to be read. What they are (of TLS: records) is not looked at.
  virtual std::size_t unread(SocketId socket) = 0;

  virtual Result<Pipe> open_pipe() = 0;
  virtual void close_pipe(Pipe& pipe) = 0;
  // Both move what they can at once. A short count says nothing about the socket, and `would_block` of splice_in()
  // while something is in the pipe may mean that the pipe is full: go on until would_block with an empty pipe.
  virtual IoResult splice_in(SocketId from, Pipe& pipe, std::size_t at_most) = 0;
  virtual IoResult splice_out(Pipe& pipe, SocketId to, bool more) = 0;

  virtual void shutdown_write(SocketId socket) = 0;
  // Closes without a word more than the kernel still owes; also ends the watch.
  virtual void close(SocketId socket) = 0;
  // Closes so that the peer sees a reset (on TCP; a unix socket is just closed).
  virtual void reset(SocketId socket) = 0;
  // Ends the watch and lets go of the socket, which stays open, for another engine to adopt().
  virtual SocketId release(SocketId socket) = 0;
  virtual void adopt(SocketId socket) = 0;

  // Reports edges or levels (see Trigger) of `socket` to `handler`, which must live until the socket is
  // closed, released or watched by another. What is ready already at the time of the call is reported too.
  virtual Result<void> watch(SocketId socket, ReadinessHandler& handler, Trigger trigger = Trigger::edge) = 0;

  // Waits until something is ready, wake() was called or `until` has come, whichever is first; reads the clock; hands
  // out at most kEventsPerPoll events. `until` in the past means: do not wait. Returns how many events it handed out.
  virtual std::size_t poll(TimePoint until) = 0;
  // Makes the poll() under way, or else the next, return at once. From any thread.
  virtual void wake() = 0;

  // Descriptors this process may still open before `reserve` are left; the accept path asks.
  virtual bool descriptors_scarce() = 0;
};

}  // namespace weir
