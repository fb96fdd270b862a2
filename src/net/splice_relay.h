#pragma once

#include <cstdint>
#include <vector>

#include "net/event_loop.h"

namespace weir {

// The pipes of one worker: kept for reuse, bounded in number. Several may be out at once. One thread.
class PipePool {
 public:
  PipePool(Engine& engine, std::size_t at_most) : engine_(engine), at_most_(at_most) {}
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;
  ~PipePool();

  // False if there is none to be had: the caller copies instead.
  bool take(Pipe& pipe);
  // One with bytes in it is closed.
  void give(Pipe& pipe);

 private:
  static constexpr std::size_t kKept = 16;
  Engine& engine_;
  const std::size_t at_most_;
  std::size_t out_ = 0;
  std::vector<Pipe> idle_;
};

// Moves `remaining` bytes from one socket to another through a pipe, without copying. The sink's connection pumps it
// from its flush(), after its own output is written; the source's connection calls source_ready() instead of reading.
// One thread.
class SpliceRelay {
 public:
  SpliceRelay(EventLoop& loop, PipePool& pipes) : loop_(loop), pipes_(pipes) {}
  SpliceRelay(const SpliceRelay&) = delete;
  SpliceRelay& operator=(const SpliceRelay&) = delete;
  ~SpliceRelay() { stop(); }

  // False if no pipe is to be had. `sink_flush` is what pumps.
  bool start(SocketId source, SocketId sink, Flushable& sink_flush, std::uint64_t remaining);
  void stop();
  bool active() const { return pipe_.read_end != kNoSocket; }

  void source_ready() { loop_.mark_dirty(*sink_flush_); }

  enum class Outcome : std::uint8_t {
    waiting,       // for an edge of either side
    unfinished,    // its share of the turn is used up: pump again next turn
    done,          // all is moved
    source_ended,  // the source sent FIN (or failed) before all was read; what it sent is moved
    sink_failed,
  };
  struct Pumped {
    Outcome outcome;
    std::size_t bytes;  // written to the sink
  };
  Pumped pump();

  std::uint64_t taken() const { return taken_; }  // read from the source so far
  // It is the sink that it waits for.
  bool held_back() const { return pipe_.buffered > 0; }

 private:
  static constexpr std::size_t kTurnBytes = 1024 * 1024;

  EventLoop& loop_;
  PipePool& pipes_;
  Pipe pipe_;
  SocketId source_ = kNoSocket;
  SocketId sink_ = kNoSocket;
  Flushable* sink_flush_ = nullptr;
  std::uint64_t remaining_ = 0;  // to be read from the source
  std::uint64_t taken_ = 0;
  bool source_ended_ = false;
};

}  // namespace weir
