#include "base/buffer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/assert.h"

namespace weir {

BufferPool::~BufferPool() {
  WEIR_ASSERT(outstanding_ == 0);
  trim();
}

Slice* BufferPool::take() {
  peak_ = std::max(peak_, ++outstanding_);
  if (free_ == nullptr) return new (::operator new(kSliceBytes)) Slice{nullptr, 0, 0};
  Slice* slice = free_;
  free_ = slice->next;
  --free_count_;
  *slice = {nullptr, 0, 0};
  return slice;
}

void BufferPool::give(Slice* slice) {
  --outstanding_;
  if (free_count_ >= keep_ && outstanding_ + free_count_ >= std::max(peak_, peak_before_)) {
    ::operator delete(slice);
    return;
  }
  slice->next = free_;
  free_ = slice;
  ++free_count_;
}

void BufferPool::trim() {
  while (free_ != nullptr) {
    Slice* slice = free_;
    free_ = slice->next;
    ::operator delete(slice);
  }
  free_count_ = 0;
}

void BufferPool::begin_window() {
  peak_before_ = peak_;
  peak_ = outstanding_;
}

void Buffer::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<char> room = reserve(1);
    const std::size_t n = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), n);
    commit(n);
    bytes.remove_prefix(n);
  }
}

std::span<char> Buffer::reserve(std::size_t size) {
  WEIR_ASSERT(size <= kSliceCapacity);
  if (last_ == nullptr || kSliceCapacity - last_->end < size) {
    Slice* slice = pool_->take();
    (last_ == nullptr ? first_ : last_->next) = slice;
    last_ = slice;
  }
  return {last_->data() + last_->end, kSliceCapacity - last_->end};
}

void Buffer::commit(std::size_t size) {
  WEIR_ASSERT(last_ != nullptr && size <= kSliceCapacity - last_->end);
  last_->end += static_cast<std::uint32_t>(size);
  size_ += size;
}

std::string_view Buffer::front() const {
  for (Slice* slice = first_; slice != nullptr; slice = slice->next) {
    if (slice->readable() > 0) return {slice->data() + slice->begin, slice->readable()};
  }
  return {};
}

std::size_t Buffer::gather(std::span<iovec> out) const {
  std::size_t count = 0;
  for (Slice* slice = first_; slice != nullptr && count < out.size(); slice = slice->next) {
    if (slice->readable() == 0) continue;
    out[count++] = {slice->data() + slice->begin, slice->readable()};
  }
  return count;
}

void Buffer::consume(std::size_t size) {
  WEIR_ASSERT(size <= size_);
  size_ -= size;
  if (size_ == 0) return clear();
  while (size > 0) {
    const std::size_t n = std::min(size, first_->readable());
    first_->begin += static_cast<std::uint32_t>(n);
    size -= n;
    if (first_->readable() == 0) {
      Slice* slice = first_;
      first_ = slice->next;
      pool_->give(slice);
    }
  }
}

void Buffer::clear() {
  while (first_ != nullptr) {
    Slice* slice = first_;
    first_ = slice->next;
    pool_->give(slice);
  }
  last_ = nullptr;
  size_ = 0;
}

void Buffer::peek(char* target, std::size_t size) const {
  WEIR_ASSERT(size <= size_);
  for (Slice* slice = first_; size > 0; slice = slice->next) {
    const std::size_t n = std::min(size, slice->readable());
    std::memcpy(target, slice->data() + slice->begin, n);
    target += n;
    size -= n;
  }
}

void Buffer::splice_back(Buffer& other) {
  WEIR_ASSERT(pool_ == other.pool_);
  if (other.first_ == nullptr) return;
  (last_ == nullptr ? first_ : last_->next) = other.first_;
  last_ = other.last_;
  size_ += other.size_;
  other.first_ = other.last_ = nullptr;
  other.size_ = 0;
}

void Buffer::move_tail(std::size_t from, Buffer& to) {
  WEIR_ASSERT(from <= size_ && this != &to);
  if (from == 0) {
    for (Slice* slice = first_; slice != nullptr; slice = slice->next)
      to.append({slice->data() + slice->begin, slice->readable()});
    return clear();
  }
  Slice* slice = first_;
  std::size_t before = from;
  for (; before > slice->readable(); slice = slice->next) before -= slice->readable();
  to.append({slice->data() + slice->begin + before, slice->readable() - before});
  slice->end = slice->begin + static_cast<std::uint32_t>(before);
  last_ = slice;
  size_ = from;
  for (Slice* next = std::exchange(slice->next, nullptr); next != nullptr;) {
    Slice* gone = std::exchange(next, next->next);
    to.append({gone->data() + gone->begin, gone->readable()});
    pool_->give(gone);
  }
}

}  // namespace weir
