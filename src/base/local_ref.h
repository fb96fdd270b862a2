#pragma once

#include <cstdint>
#include <utility>

#include "base/assert.h"

namespace weir {

// Counts the LocalRefs to an object. Not atomic: all of them belong to one thread.
class LocalCounted {
 public:
  LocalCounted() = default;
  LocalCounted(const LocalCounted&) = delete;
  LocalCounted& operator=(const LocalCounted&) = delete;

 private:
  template <typename T>
  friend class LocalRef;
  std::uint32_t references_ = 0;
};

// A counted reference within one thread; the last one deletes the object, which was made with new.
template <typename T>
class LocalRef {
 public:
  LocalRef() = default;
  explicit LocalRef(T* object) : object_(object) { take(); }
  LocalRef(const LocalRef& other) : object_(other.object_) { take(); }
  LocalRef(LocalRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  LocalRef& operator=(LocalRef other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~LocalRef() { reset(); }

  void reset() {
    T* object = std::exchange(object_, nullptr);
    if (object == nullptr) return;
    LocalCounted& counted = *object;
    WEIR_ASSERT(counted.references_ > 0);
    if (--counted.references_ == 0) delete object;
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  bool operator==(const LocalRef&) const = default;

 private:
  void take() {
    if (object_ != nullptr) ++static_cast<LocalCounted&>(*object_).references_;
  }

  T* object_ = nullptr;
};

}  // namespace weir
