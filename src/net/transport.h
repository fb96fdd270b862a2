#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/buffer.h"
#include "net/event_loop.h"

namespace weir {

// Where a worker's connections read into, one at a time. What is read is gone when the handler of that read returns,
// unless it was kept (Transport::keep).
class ReadScratch {
 public:
  static constexpr std::size_t kReadBytes = 64 * 1024;

  // At least `size` bytes. Growing loses what was there.
  char* reserve(std::size_t size);

 private:
  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
};

// A plain byte stream over one socket: input through the worker's scratch with what was left over before it, output
// gathered in a buffer that is written once per turn. The owner is the socket's ReadinessHandler and Flushable. One
// thread. Movable, so that a connection can go from one owner to another with what was read from it: the new one has to
// watch the socket.
class Transport {
 public:
  explicit Transport(EventLoop& loop) : loop_(&loop), output_(loop.buffers()), kept_(loop.buffers()) {}
  Transport(Transport&& other) noexcept;
  // What this one had open is closed.
  Transport& operator=(Transport&& other) noexcept;
  ~Transport() { close(); }

  // Takes the socket over; it is already watched by the owner.
  void open(SocketId socket) { socket_ = socket; }
  bool is_open() const { return socket_ != kNoSocket; }
  SocketId socket() const { return socket_; }
  EventLoop& loop() const { return *loop_; }

  struct Input {
    std::string_view bytes;  // what was kept, followed by what was read; in the scratch
    std::size_t fresh;       // how many of them were read just now
    IoStatus status;         // of the read
    int error;
    bool drained;  // nothing more will come before the next edge
  };
  // Reads at most `at_most` bytes behind what was kept. What is not kept() again is gone.
  Input read(ReadScratch& scratch, std::size_t at_most = ReadScratch::kReadBytes);
  // What was kept, without reading.
  Input reread(ReadScratch& scratch);
  void keep(std::string_view rest);
  std::size_t kept() const { return kept_.size(); }
  // From a peer that has sent FIN no more than this is still to come, what is kept included.
  std::size_t left_at_most() const { return kept() + loop_->engine().unread(socket_); }

  Buffer& output() { return output_; }
  std::size_t unsent() const { return output_.size(); }

  enum class Flush : unsigned char {
    done,     // everything is written
    blocked,  // the rest waits for the next writable edge
    failed,   // the connection is dead; what was left is dropped
  };
  // Writes what is there. `sent` counts the bytes that the socket took.
  Flush flush(std::size_t& sent, bool more = false);
  // When the socket last took something.
  TimePoint last_written() const { return last_written_; }

  void shutdown_write() { loop_->engine().shutdown_write(socket_); }
  void close();
  void reset();

 private:
  EventLoop* loop_;
  SocketId socket_ = kNoSocket;
  TimePoint last_written_{};
  Buffer output_;
  Buffer kept_;
};

}  // namespace weir
