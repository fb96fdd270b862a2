#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/buffer.h"

namespace weir {

// Memory of one stream: pieces are handed out from the slabs of a BufferPool and all go back at once. What was handed
// out stays where it is until clear(). A piece larger than a slab gets a heap block of its own. One thread.
class Arena {
 public:
  explicit Arena(BufferPool& pool) : pool_(pool) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { clear(); }

  // `size` bytes, aligned to 8; never fails.
  char* allocate(std::size_t size);

  // Gives the end of the piece that was allocated last back: of its `size` bytes the first `kept` stay. A heap block
  // goes back as a whole only.
  void shrink(char* piece, std::size_t size, std::size_t kept);

  // A copy of `text` that lives as long as the arena's content.
  std::string_view copy(std::string_view text) {
    char* target = allocate(text.size());
    if (!text.empty()) std::memcpy(target, text.data(), text.size());
    return {target, text.size()};
  }

  template <typename T>
  T* allocate_array(std::size_t count) {
    static_assert(alignof(T) <= 8);
    return reinterpret_cast<T*>(allocate(count * sizeof(T)));
  }

  void clear();
  std::size_t used() const { return used_; }

 private:
  BufferPool& pool_;
  Slice* slices_ = nullptr;
  struct Large* large_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace weir
