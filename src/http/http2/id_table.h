#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace weir::http2 {

// Objects by stream id: open addressing over pointers, linear probing, those further from home first (Robin Hood). Ids
// of one side are mostly in sequence, so that their place is mostly the first one looked at, and nobody moves. Grows
// when it must and gives large memory back when it is empty: no allocation in the steady state. T has id(). Does not
// own. One thread.
template <typename T>
class IdTable {
 public:
  T* find(std::uint32_t id) const {
    if (size_ == 0) return nullptr;
    for (std::uint32_t at = home(id);; at = (at + 1) & mask_) {
      T* object = slots_[at];
      if (object == nullptr || object->id() == id) return object;
    }
  }

  // `object.id()` must not be in the table.
  void insert(T& object) {
    if (slots_ == nullptr || size_ + 1 > capacity() - capacity() / 8) grow();
    place(object);
    ++size_;
  }

  // Nothing if it is not there. Whoever stood behind it moves up, so that there are no gaps to remember.
  void erase(std::uint32_t id) {
    if (size_ == 0) return;
    std::uint32_t at = home(id);
    while (slots_[at] == nullptr || slots_[at]->id() != id) {
      if (slots_[at] == nullptr) return;
      at = (at + 1) & mask_;
    }
    for (std::uint32_t next = (at + 1) & mask_; slots_[next] != nullptr && distance(next) != 0;
         next = (next + 1) & mask_) {
      slots_[at] = slots_[next];
      at = next;
    }
    slots_[at] = nullptr;
    if (--size_ == 0 && capacity() > kKept) {
      slots_.reset();
      mask_ = 0;
    }
  }

  // Of an empty one: gives all memory back.
  void release() {
    slots_.reset();
    mask_ = 0;
  }

  std::size_t size() const { return size_; }
  std::size_t capacity() const { return slots_ == nullptr ? 0 : std::size_t{mask_} + 1; }

 private:
  static constexpr std::uint32_t kFirst = 8;
  static constexpr std::uint32_t kKept = 128;  // 1 KiB

  std::uint32_t home(std::uint32_t id) const { return (id >> 1) & mask_; }

  // How far from its home stands who stands there.
  std::uint32_t distance(std::uint32_t at) const { return (at - home(slots_[at]->id())) & mask_; }

  void place(T& object) {
    T* homeless = &object;
    std::uint32_t come = 0;
    for (std::uint32_t at = home(object.id());; at = (at + 1) & mask_, ++come) {
      if (slots_[at] == nullptr) {
        slots_[at] = homeless;
        return;
      }
      if (const std::uint32_t there = distance(at); there < come) {
        std::swap(slots_[at], homeless);
        come = there;
      }
    }
  }

  void grow() {
    const std::size_t old_capacity = capacity();
    const std::unique_ptr<T*[]> old = std::move(slots_);
    const std::size_t wanted = old_capacity == 0 ? kFirst : old_capacity * 2;
    slots_ = std::make_unique<T*[]>(wanted);
    mask_ = static_cast<std::uint32_t>(wanted - 1);
    for (std::size_t i = 0; i < old_capacity; ++i) {
      if (old[i] != nullptr) place(*old[i]);
    }
  }

  std::unique_ptr<T*[]> slots_;
  std::uint32_t mask_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace weir::http2
