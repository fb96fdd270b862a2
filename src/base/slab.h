#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace weir {

// Fixed-size objects of one thread: allocated in blocks, reused LIFO. In the steady state neither make() nor destroy()
// touches the heap.
template <typename T>
class Slab {
 public:
  explicit Slab(std::size_t objects_per_block = 64) : objects_per_block_(objects_per_block) {}
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { WEIR_ASSERT(live_ == 0); }

  template <typename... Args>
  T* make(Args&&... args) {
    if (free_ == nullptr) grow();
    Cell* cell = free_;
    free_ = cell->next;
    ++live_;
    return new (cell->storage) T(std::forward<Args>(args)...);
  }

  void destroy(T* object) {
    object->~T();
    Cell* cell = reinterpret_cast<Cell*>(object);
    cell->next = free_;
    free_ = cell;
    --live_;
  }

  // Once every object has come back, gives all blocks but one to the heap: what an idle worker does. Not done by
  // destroy(), or a load whose streams all end in the same turn would take the blocks from the heap again and again.
  void trim() {
    if (live_ > 0 || blocks_.size() <= 1) return;
    blocks_.resize(1);
    blocks_.shrink_to_fit();
    thread_block(blocks_.front().get());
  }

  std::size_t live() const { return live_; }
  std::size_t block_count() const { return blocks_.size(); }

 private:
  union Cell {
    Cell* next;
    alignas(T) unsigned char storage[sizeof(T)];
  };

  void grow() {
    blocks_.push_back(std::make_unique_for_overwrite<Cell[]>(objects_per_block_));
    thread_block(blocks_.back().get());
  }

  void thread_block(Cell* block) {
    free_ = nullptr;
    for (std::size_t i = objects_per_block_; i-- > 0;) {
      block[i].next = free_;
      free_ = &block[i];
    }
  }

  const std::size_t objects_per_block_;
  std::vector<std::unique_ptr<Cell[]>> blocks_;
  Cell* free_ = nullptr;
  std::size_t live_ = 0;
};

}  // namespace weir
