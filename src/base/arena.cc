#include "base/arena.h"

#include <new>

namespace weir {

struct Large {
  Large* next;
};

char* Arena::allocate(std::size_t size) {
  size = (size + 7) & ~std::size_t{7};
  used_ += size;
  if (slices_ != nullptr && slices_->room() >= size) {
    char* piece = slices_->data() + slices_->end;
    slices_->end += static_cast<std::uint32_t>(size);
    return piece;
  }
  if (size > kSliceCapacity) {
    Large* block = new (::operator new(sizeof(Large) + size)) Large{large_};
    large_ = block;
    return reinterpret_cast<char*>(block + 1);
  }
  Slice* slice = pool_.take(slices_ == nullptr ? size : kSliceCapacity);
  slice->next = slices_;
  slice->end = static_cast<std::uint32_t>(size);
  slices_ = slice;
  return slice->data();
}

void Arena::shrink(char* piece, std::size_t size, std::size_t kept) {
  size = (size + 7) & ~std::size_t{7};
  kept = (kept + 7) & ~std::size_t{7};
  if (kept == 0 && large_ != nullptr && piece == reinterpret_cast<char*>(large_ + 1)) {
    Large* block = large_;
    large_ = block->next;
    ::operator delete(block);
    used_ -= size;
    return;
  }
  if (slices_ == nullptr || piece + size != slices_->data() + slices_->end) return;  // a heap block keeps its size
  slices_->end -= static_cast<std::uint32_t>(size - kept);
  used_ -= size - kept;
}

void Arena::clear() {
  while (slices_ != nullptr) {
    Slice* slice = slices_;
    slices_ = slice->next;
    pool_.give(slice);
  }
  while (large_ != nullptr) {
    Large* block = large_;
    large_ = block->next;
    ::operator delete(block);
  }
  used_ = 0;
}

}  // namespace weir
