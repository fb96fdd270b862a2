#include "net/transport.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weir {
namespace {

// What is read ahead is read in no smaller pieces.
constexpr std::size_t kReadMin = 16 * 1024;
// A layer holds no more of what is to be decrypted: a record, and what was read with its beginning.
constexpr std::size_t kLayerBytes = 32 * 1024;

}  // namespace

char* ReadScratch::reserve(std::size_t size) {
  if (size > capacity_) {
    capacity_ = std::max(size, kReadBytes);
    data_ = std::make_unique_for_overwrite<char[]>(capacity_);
  }
  return data_.get();
}

std::span<char> ReadScratch::wire() {
  if (wire_ == nullptr) wire_ = std::make_unique_for_overwrite<char[]>(kReadBytes);
  return {wire_.get(), kReadBytes};
}

Transport::Transport(Transport&& other) noexcept
    : loop_(other.loop_),
      socket_(std::exchange(other.socket_, kNoSocket)),
      last_written_(other.last_written_),
      output_(std::move(other.output_)),
      kept_(std::move(other.kept_)),
      secure_(std::move(other.secure_)) {}

Transport& Transport::operator=(Transport&& other) noexcept {
  if (this == &other) return *this;
  close();
  loop_ = other.loop_;
  socket_ = std::exchange(other.socket_, kNoSocket);
  last_written_ = other.last_written_;
  output_ = std::move(other.output_);
  kept_ = std::move(other.kept_);
  secure_ = std::move(other.secure_);
  return *this;
}

void Transport::secure(std::unique_ptr<SecureLayer> layer) {
  secure_ = std::move(layer);
  if (kept() > 0) secure_->begin_with(*kept_);
}

Transport::Input Transport::read(ReadScratch& scratch, std::size_t at_most) {
  const std::size_t before = kept();
  char* memory = scratch.reserve(before + at_most);
  if (before > 0) take_kept(memory);
  if (secure_ != nullptr) [[unlikely]]
    return read_secure(memory, before, scratch, at_most);
  const IoResult result = loop_->engine().read(socket_, {memory + before, at_most});
  const std::size_t fresh = result.status == IoStatus::ok ? result.bytes : 0;
  const bool drained = result.status != IoStatus::ok || fresh < at_most;
  return {{memory, before + fresh}, fresh, fresh, result.status, result.error, drained};
}

Transport::Input Transport::read_secure(char* memory, std::size_t before, ReadScratch& scratch, std::size_t at_most) {
  const SecureLayer::Input result = secure_->read(loop_->engine(), socket_, scratch, {memory + before, at_most});
  return {{memory, before + result.bytes}, result.bytes, result.wire, result.status, result.error, result.drained};
}

bool Transport::quiet(ReadScratch& scratch) {
  if (secure_ == nullptr) return loop_->engine().quiet(socket_);
  // What came may be the peer's business with TLS alone, such as a ticket.
  Input input = read(scratch);
  while (input.status == IoStatus::would_block && !input.drained) input = read(scratch);
  return input.status == IoStatus::would_block;
}

Transport::Input Transport::reread(ReadScratch& scratch) {
  const std::size_t before = kept();
  char* memory = scratch.reserve(before + 1);
  if (before > 0) take_kept(memory);
  return {{memory, before}, 0, 0, IoStatus::ok, 0, false};
}

void Transport::keep(std::string_view rest) {
  if (rest.empty()) return;
  if (kept_ == nullptr) kept_ = std::make_unique<Buffer>(loop_->buffers());
  kept_->append(rest);
}

Transport::Left Transport::left(ReadScratch& scratch) {
  if (secure_ == nullptr) return {kept() + loop_->engine().unread(socket_), 0, 0};
  std::size_t wire = 0;
  // Where the socket is empty, the layer's last record is all that is left.
  while (kept() < kReadAheadBytes || loop_->engine().unread(socket_) == 0) {
    const Input input = read(scratch, std::max(kReadAheadBytes, kept() + kReadMin) - kept());
    wire += input.wire;
    keep(input.bytes);
    if (input.status == IoStatus::end || input.status == IoStatus::failed) return {kept(), 0, wire};
    if (input.status == IoStatus::would_block && input.drained) break;
  }
  return {kept() + loop_->engine().unread(socket_), kLayerBytes, wire};
}

void Transport::take_kept(char* memory) {
  kept_->peek(memory, kept_->size());
  kept_->clear();
}

Transport::Flush Transport::flush_secure(std::size_t& sent) {
  const std::size_t before = sent;
  const Flush result = secure_->flush(loop_->engine(), socket_, output_, sent);
  if (sent > before) last_written_ = loop_->now();
  return result;
}

Transport::Flush Transport::flush(std::size_t& sent, bool more) {
  if (secure_ != nullptr) [[unlikely]]
    return flush_secure(sent);
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

void Transport::forget() {
  socket_ = kNoSocket;
  output_.clear();
  kept_.reset();
  secure_.reset();
}

void Transport::close() {
  if (socket_ == kNoSocket) return;
  if (secure_ != nullptr) secure_->say_goodbye(loop_->engine(), socket_);
  loop_->engine().close(socket_);
  forget();
}

void Transport::reset() {
  if (socket_ == kNoSocket) return;
  loop_->engine().reset(socket_);
  forget();
}

}  // namespace weir
