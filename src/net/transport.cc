#include "net/transport.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weir {

char* ReadScratch::reserve(std::size_t size) {
  if (size > capacity_) {
    capacity_ = std::max(size, kReadBytes);
    data_ = std::make_unique_for_overwrite<char[]>(capacity_);
  }
  return data_.get();
}

Transport::Transport(Transport&& other) noexcept
    : loop_(other.loop_),
      socket_(std::exchange(other.socket_, kNoSocket)),
      last_written_(other.last_written_),
      output_(std::move(other.output_)),
      kept_(std::move(other.kept_)) {}

Transport& Transport::operator=(Transport&& other) noexcept {
  if (this == &other) return *this;
  close();
  loop_ = other.loop_;
  socket_ = std::exchange(other.socket_, kNoSocket);
  last_written_ = other.last_written_;
  output_ = std::move(other.output_);
  kept_ = std::move(other.kept_);
  return *this;
}

Transport::Input Transport::read(ReadScratch& scratch, std::size_t at_most) {
  const std::size_t before = kept_.size();
  char* memory = scratch.reserve(before + at_most);
  if (before > 0) {
    kept_.peek(memory, before);
    kept_.clear();
  }
  const IoResult result = loop_->engine().read(socket_, {memory + before, at_most});
  const std::size_t fresh = result.status == IoStatus::ok ? result.bytes : 0;
  return {
      {memory, before + fresh}, fresh, result.status, result.error, result.status != IoStatus::ok || fresh < at_most};
}

Transport::Input Transport::reread(ReadScratch& scratch) {
  const std::size_t before = kept_.size();
  char* memory = scratch.reserve(before + 1);
  kept_.peek(memory, before);
  kept_.clear();
  return {{memory, before}, 0, IoStatus::ok, 0, false};
}

void Transport::keep(std::string_view rest) {
  if (!rest.empty()) kept_.append(rest);
}

Transport::Flush Transport::flush(std::size_t& sent, bool more) {
  while (!output_.empty()) {
    std::array<iovec, 16> pieces;
    const std::size_t count = output_.gather(pieces);
    std::size_t wanted = 0;
    for (std::size_t i = 0; i < count; ++i) wanted += pieces[i].iov_len;
    const IoResult result = loop_->engine().write(socket_, {pieces.data(), count}, more || wanted < output_.size());
    if (result.status == IoStatus::failed) {
      output_.clear();
      return Flush::failed;
    }
    if (result.status == IoStatus::would_block) return Flush::blocked;
    sent += result.bytes;
    last_written_ = loop_->now();
    output_.consume(result.bytes);
    if (result.bytes < wanted) return Flush::blocked;
  }
  return Flush::done;
}

void Transport::close() {
  if (socket_ == kNoSocket) return;
  loop_->engine().close(socket_);
  socket_ = kNoSocket;
  output_.clear();
  kept_.clear();
}

void Transport::reset() {
  if (socket_ == kNoSocket) return;
  loop_->engine().reset(socket_);
  socket_ = kNoSocket;
  output_.clear();
  kept_.clear();
}

}  // namespace weir
