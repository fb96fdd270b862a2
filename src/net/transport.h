#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "base/buffer.h"
#include "net/event_loop.h"
#include "net/secure_layer.h"

namespace weir {

// Where a worker's connections read into, one at a time. What is read is gone when the handler of that read returns,
// unless it was kept (Transport::keep).
class ReadScratch {
 public:
  static constexpr std::size_t kReadBytes = 64 * 1024;
  // What all connections together may keep of what they have read ahead (Transport::left).
  static constexpr std::size_t kAheadBytes = 16 * 1024 * 1024;

  // At least `size` bytes. Growing loses what was there.
  char* reserve(std::size_t size);
  // The same amount of other memory, for what is read before it is decrypted. Made when first needed.
  std::span<char> wire();

  // Takes `size` of kAheadBytes; false if so much is not left.
  bool borrow(std::size_t size);
  void give_back(std::size_t size) { ahead_ -= size; }
  std::size_t ahead() const { return ahead_; }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::unique_ptr<char[]> wire_;
  std::size_t ahead_ = 0;
};

// A byte stream over one socket, in the clear or through a SecureLayer: input through the worker's scratch with what
// was left over before it, output gathered in a buffer that the loop writes. The owner is the socket's
// ReadinessHandler and Flushable. One thread. Movable, so that a connection can go from one owner to another with what
// was read from it: the new one has to watch the socket.
class Transport {
 public:
  explicit Transport(EventLoop& loop) : loop_(&loop), output_(loop.buffers()) {}
  Transport(Transport&& other) noexcept;
  // What this one had open is closed.
  Transport& operator=(Transport&& other) noexcept;
  ~Transport() { close(); }

  // Takes the socket over; it is already watched by the owner.
  void open(SocketId socket) { socket_ = socket; }
  // From now on the bytes go through `layer`, those that are kept too. The owner sees the handshake through before it
  // reads or writes.
  void secure(std::unique_ptr<SecureLayer> layer);
  bool is_open() const { return socket_ != kNoSocket; }
  SocketId socket() const { return socket_; }
  // The socket if what it carries is what the owner reads and writes (so that it may be spliced), else kNoSocket.
  SocketId plain_socket() const { return secure_ == nullptr ? socket_ : kNoSocket; }
  // Null in the clear.
  const SecureLayer* secure_layer() const { return secure_.get(); }
  EventLoop& loop() const { return *loop_; }

  struct Input {
    std::string_view bytes;  // what was kept, followed by what was read; in the scratch
    std::size_t fresh;       // how many of them were read just now
    std::size_t wire;        // how many that took on the wire
    IoStatus status;         // of the read; would_block may also mean that what came has no bytes for the owner in it
    int error;
    bool drained;  // nothing more will come before the next edge
  };
  // Reads at most `at_most` bytes behind what was kept. What is not kept() again is gone. What was read ahead (left())
  // comes in pieces, before anything else is read.
  Input read(ReadScratch& scratch, std::size_t at_most = ReadScratch::kReadBytes);
  // What was kept, without reading.
  Input reread(ReadScratch& scratch);
  void keep(std::string_view rest);
  std::size_t kept() const { return kept_ == nullptr ? 0 : kept_->bytes.size(); }
  // Of a peer that has sent FIN.
  struct Left {
    std::uint64_t bytes;  // so many are still to come, what is kept included; or fewer, where that is not known
    std::size_t wire;     // bytes off the wire that it took to know
  };
  // How many are, up to `wanted`. Through a SecureLayer only reading tells: what is there is read, and kept, as far as
  // kReadAheadMax and what the worker has for all (ReadScratch::borrow) allow.
  Left left(ReadScratch& scratch, std::uint64_t wanted);
  static constexpr std::size_t kReadAheadBytes = 64 * 1024;  // each may keep so much
  static constexpr std::size_t kReadAheadMax = 1024 * 1024;

  // With a SecureLayer: goes on with its handshake.
  SecureLayer::Handshake handshake(ReadScratch& scratch) {
    return secure_->handshake(loop_->engine(), socket_, scratch);
  }
  // With a SecureLayer: the input has ended without the peer's word that this was all.
  bool truncated() const { return secure_ != nullptr && secure_->truncated(); }
  // Of an idle connection: nothing has come for the owner, and nothing has ended.
  bool quiet(ReadScratch& scratch);

  Buffer& output() { return output_; }
  std::size_t unsent() const { return secure_ == nullptr ? output_.size() : output_.size() + secure_->unsent(); }

  // Of these, what is out of output() already.
  std::uint64_t encrypted_unsent() const { return secure_ == nullptr ? 0 : secure_->unsent(); }

  using Flush = FlushResult;
  // Writes what is there. `sent` counts the bytes that the socket took.
  Flush flush(std::size_t& sent, bool more = false);
  // When the socket last took something.
  TimePoint last_written() const { return last_written_; }

  // When all is written.
  void shutdown_write() {
    secure_ == nullptr ? loop_->engine().shutdown_write(socket_) : secure_->shutdown_write(loop_->engine(), socket_);
  }
  void close();
  void reset();

 private:
  // What was read and not used yet.
  struct Kept {
    explicit Kept(BufferPool& buffers) : bytes(buffers) {}
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;
    ~Kept();
    bool borrow(ReadScratch& scratch, std::size_t size);
    // Gives back what is not needed any more.
    void settle();

    Buffer bytes;
    ReadScratch* lender = nullptr;
    std::size_t borrowed = 0;  // what is read ahead beyond kReadAheadBytes
  };

  Kept& make_kept();
  Input read_secure(char* memory, std::size_t before, ReadScratch& scratch, std::size_t at_most);
  Flush flush_secure(std::size_t& sent);
  // What was kept, or a piece of what was read ahead, with room for `more` behind it.
  std::span<char> take_kept(ReadScratch& scratch, std::size_t more);
  bool is_ahead() const { return kept_ != nullptr && kept_->borrowed > 0; }
  void forget();

  EventLoop* loop_;
  SocketId socket_ = kNoSocket;
  TimePoint last_written_{};
  Buffer output_;
  std::unique_ptr<Kept> kept_;  // made when it is first needed: most connections keep nothing
  std::unique_ptr<SecureLayer> secure_;
};

}  // namespace weir
