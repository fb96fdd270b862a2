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

bool ReadScratch::borrow(std::size_t size) {
  if (size > kAheadBytes - ahead_) return false;
  ahead_ += size;
  return true;
}

Transport::Kept::~Kept() {
  if (borrowed > 0) lender->give_back(borrowed);
}

// For `size` bytes in all.
bool Transport::Kept::borrow(ReadScratch& scratch, std::size_t size) {
  if (size <= kReadAheadBytes + borrowed) return true;
  const std::size_t more = size - kReadAheadBytes - borrowed;
  if (size > kReadAheadMax || !scratch.borrow(more)) return false;
  lender = &scratch;
  borrowed += more;
  return true;
}

void Transport::Kept::settle() {
  if (borrowed == 0) return;
  const std::size_t needed = bytes.size() - std::min(bytes.size(), kReadAheadBytes);
  if (needed >= borrowed) return;
  lender->give_back(borrowed - needed);
  borrowed = needed;
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
  if (kept() > 0) secure_->begin_with(kept_->bytes);
}

Transport::Input Transport::read(ReadScratch& scratch, std::size_t at_most) {
  const std::span<char> kept = take_kept(scratch, at_most);
  char* memory = kept.data();
  const std::size_t before = kept.size();
  if (is_ahead()) [[unlikely]]
    return {{memory, before}, 0, 0, IoStatus::ok, 0, false};
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
  const std::span<char> kept = take_kept(scratch, 1);
  return {{kept.data(), kept.size()}, 0, 0, IoStatus::ok, 0, false};
}

void Transport::keep(std::string_view rest) {
  if (rest.empty()) return;
  Buffer& bytes = make_kept().bytes;
  if (!is_ahead()) return bytes.append(rest);
  // It stands before what was not taken.
  Buffer all(loop_->buffers());
  all.append(rest);
  all.splice_back(bytes);
  bytes = std::move(all);
}

Transport::Left Transport::left(ReadScratch& scratch, std::uint64_t wanted) {
  if (secure_ == nullptr) return {kept() + loop_->engine().unread(socket_), 0};
  Left result{0, 0};
  bool known = kept() >= wanted;
  while (!known) {
    const std::uint64_t missing = wanted - kept();
    const auto size = static_cast<std::size_t>(std::clamp<std::uint64_t>(missing, kReadMin, kReadAheadBytes));
    if (!make_kept().borrow(scratch, kept() + size)) break;
    const Input input = read_secure(scratch.reserve(size), 0, scratch, size);
    result.wire += input.wire;
    kept_->bytes.append(input.bytes);
    known = kept() >= wanted || input.status == IoStatus::end || input.status == IoStatus::failed;
    if (input.status == IoStatus::would_block && input.drained) break;
  }
  if (kept_ != nullptr) kept_->settle();
  result.bytes = kept();
  if (!known) result.bytes += loop_->engine().unread(socket_) + kLayerBytes;
  return result;
}

Transport::Kept& Transport::make_kept() {
  if (kept_ == nullptr) kept_ = std::make_unique<Kept>(loop_->buffers());
  return *kept_;
}

std::span<char> Transport::take_kept(ReadScratch& scratch, std::size_t more) {
  std::size_t size = kept();
  if (size == 0) [[likely]]
    return {scratch.reserve(more), 0};
  kept_->settle();
  if (is_ahead()) size = std::min(size, kReadAheadBytes);
  char* memory = scratch.reserve(size + more);
  kept_->bytes.peek(memory, size);
  kept_->bytes.consume(size);
  return {memory, size};
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
