#include "net/splice_relay.h"

#include <algorithm>

namespace weir {

PipePool::~PipePool() {
  for (Pipe& pipe : idle_) engine_.close_pipe(pipe);
}

bool PipePool::take(Pipe& pipe) {
  if (out_ >= at_most_) return false;
  if (!idle_.empty()) {
    pipe = idle_.back();
    idle_.pop_back();
    ++out_;
    return true;
  }
  if (engine_.descriptors_scarce()) return false;
  const Result<Pipe> opened = engine_.open_pipe();
  if (!opened) return false;
  pipe = *opened;
  ++out_;
  return true;
}

void PipePool::give(Pipe& pipe) {
  --out_;
  if (pipe.buffered > 0 || idle_.size() >= kKept) {
    engine_.close_pipe(pipe);
  } else {
    idle_.push_back(pipe);
  }
  pipe = {};
}

bool SpliceRelay::start(SocketId source, SocketId sink, Flushable& sink_flush, std::uint64_t remaining) {
  if (!pipes_.take(pipe_)) return false;
  source_ = source;
  sink_ = sink;
  sink_flush_ = &sink_flush;
  remaining_ = remaining;
  taken_ = 0;
  source_ended_ = false;
  return true;
}

void SpliceRelay::stop() {
  if (active()) pipes_.give(pipe_);
}

SpliceRelay::Pumped SpliceRelay::pump() {
  std::size_t written = 0;
  bool more = false;
  while (written < kTurnBytes) {
    if (remaining_ > 0 && !source_ended_ && pipe_.buffered == 0) {
      const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, kPipeBytes));
      const IoResult in = loop_.engine().splice_in(source_, pipe_, want);
      if (in.status == IoStatus::ok) {
        // Only a full pipe says that more follows at once: else the kernel would hold the end of a burst back for 200
        // ms.
        more = in.bytes == kPipeBytes && remaining_ > in.bytes;
        remaining_ -= in.bytes;
        taken_ += in.bytes;
      } else if (in.status == IoStatus::would_block) {
        return {Outcome::waiting, written};
      } else {
        source_ended_ = true;
      }
    }
    if (pipe_.buffered == 0) return {remaining_ == 0 ? Outcome::done : Outcome::source_ended, written};
    const IoResult out = loop_.engine().splice_out(pipe_, sink_, more);
    if (out.status == IoStatus::failed || out.status == IoStatus::end) return {Outcome::sink_failed, written};
    if (out.status == IoStatus::would_block) return {Outcome::waiting, written};
    written += out.bytes;
  }
  return {Outcome::unfinished, written};
}

}  // namespace weir
