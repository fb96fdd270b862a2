#include "base/buffer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "base/assert.h"

namespace weir {

BufferPool::~BufferPool() {
  WEIR_ASSERT(outstanding() == 0);
  trim();
}

Slice* BufferPool::take(Shelf& shelf, std::size_t bytes) {
  shelf.peak = std::max(shelf.peak, ++shelf.outstanding);
  Slice* slice = shelf.free;
  if (slice == nullptr) {
    slice = static_cast<Slice*>(::operator new(bytes));
  } else {
    shelf.free = slice->next;
    --shelf.free_count;
  }
  return new (slice) Slice{nullptr, 0, 0, static_cast<std::uint32_t>(bytes - sizeof(Slice))};
}

void BufferPool::give(Slice* slice) {
  Shelf& shelf = slice->capacity == kSmallCapacity ? small_ : large_;
  --shelf.outstanding;
  if (shelf.free_count >= shelf.keep &&
      shelf.outstanding + shelf.free_count >= std::max(shelf.peak, shelf.peak_before)) {
    ::operator delete(slice);
    return;
  }
  slice->next = shelf.free;
  shelf.free = slice;
  ++shelf.free_count;
}

void BufferPool::trim(Shelf& shelf) {
  while (shelf.free != nullptr) {
    Slice* slice = shelf.free;
    shelf.free = slice->next;
    ::operator delete(slice);
  }
  shelf.free_count = 0;
}

void BufferPool::trim() {
  trim(small_);
  trim(large_);
}

void BufferPool::begin_window() {
  for (Shelf* shelf : {&small_, &large_}) {
    shelf->peak_before = shelf->peak;
    shelf->peak = shelf->outstanding;
  }
}

void Buffer::append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (last_ == nullptr || last_->room() == 0) add_slice(std::min(bytes.size(), kSliceCapacity));
    const std::size_t n = std::min(last_->room(), bytes.size());
    std::memcpy(last_->data() + last_->end, bytes.data(), n);
    commit(n);
    bytes.remove_prefix(n);
  }
}

std::span<char> Buffer::reserve(std::size_t size) {
  WEIR_ASSERT(size <= kSliceCapacity);
  if (last_ == nullptr || last_->room() < size) add_slice(size);
  return {last_->data() + last_->end, last_->room()};
}

void Buffer::add_slice(std::size_t size) {
  // What has filled one slice is likely to fill more.
  Slice* slice = pool_->take(last_ == nullptr ? size : kSliceCapacity);
  (last_ == nullptr ? first_ : last_->next) = slice;
  last_ = slice;
}

void Buffer::commit(std::size_t size) {
  WEIR_ASSERT(last_ != nullptr && size <= last_->room());
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
