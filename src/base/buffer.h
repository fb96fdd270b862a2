#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace weir {

// One fixed piece of memory in a Buffer or an Arena, this header included. `begin` and `end` delimit what it holds, as
// offsets into data().
struct Slice {
  Slice* next;
  std::uint32_t begin;
  std::uint32_t end;
  std::uint32_t capacity;  // kSmallCapacity or kSliceCapacity

  char* data() { return reinterpret_cast<char*>(this + 1); }
  std::size_t readable() const { return end - begin; }
  std::size_t room() const { return capacity - end; }
};

// There are two sizes. Heads and small bodies fit into the small one; if they lay in the large ones, each of these
// would sooner or later have carried a body and been touched to its end. No multiple of 4 KiB, so that the beginnings
// of many slices, which is what small messages use, do not compete for the same few sets of the caches.
inline constexpr std::size_t kSmallBytes = 4 * 1024 + 192;
inline constexpr std::size_t kSmallCapacity = kSmallBytes - sizeof(Slice);
inline constexpr std::size_t kSliceBytes = 17 * 1024 + 192;
inline constexpr std::size_t kSliceCapacity = kSliceBytes - sizeof(Slice);

// The slices of one worker: taken and given back LIFO, so that the hot ones stay in the cache. Of each size it keeps as
// many as were lately out at once, and at least a few, so that a steady load takes none from the heap. One thread.
class BufferPool {
 public:
  static constexpr std::size_t kKeepSmall = 256;
  static constexpr std::size_t kKeepLarge = 64;

  explicit BufferPool(std::size_t keep_small = kKeepSmall, std::size_t keep_large = kKeepLarge)
      : small_{.keep = keep_small}, large_{.keep = keep_large} {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  // A slice with room for `size` (<= kSliceCapacity) bytes: a small one if that is enough.
  Slice* take(std::size_t size = kSliceCapacity) {
    return size <= kSmallCapacity ? take(small_, kSmallBytes) : take(large_, kSliceBytes);
  }
  void give(Slice* slice);

  // Slices that are out; 0 when nothing leaked.
  std::size_t outstanding() const { return small_.outstanding + large_.outstanding; }
  std::size_t outstanding_bytes() const { return small_.outstanding * kSmallBytes + large_.outstanding * kSliceBytes; }
  // Free slices that are kept for reuse.
  std::size_t kept() const { return small_.free_count + large_.free_count; }
  // Frees the kept ones: what an idle worker does.
  void trim();
  // A stretch of time has passed: what was needed at once before the last one counts no more.
  void begin_window();

 private:
  struct Shelf {
    const std::size_t keep;
    Slice* free = nullptr;
    std::size_t free_count = 0;
    std::size_t outstanding = 0;
    std::size_t peak = 0;         // of outstanding in this window
    std::size_t peak_before = 0;  // and in the one before
  };

  static Slice* take(Shelf& shelf, std::size_t bytes);
  static void trim(Shelf& shelf);

  Shelf small_;
  Shelf large_;
};

// A queue of bytes in slices. An empty one holds no memory, one with little in it a small slice. One thread; must not
// outlive its pool. One that was moved from is empty.
class Buffer {
 public:
  explicit Buffer(BufferPool& pool) : pool_(&pool) {}
  Buffer(Buffer&& other) noexcept
      : pool_(other.pool_),
        first_(std::exchange(other.first_, nullptr)),
        last_(std::exchange(other.last_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    if (this == &other) return *this;
    clear();
    pool_ = other.pool_;
    first_ = std::exchange(other.first_, nullptr);
    last_ = std::exchange(other.last_, nullptr);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }
  ~Buffer() { clear(); }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  void append(std::string_view bytes);

  // At least `size` (<= kSliceCapacity) writable bytes in one piece at the end; commit() says how many were written.
  std::span<char> reserve(std::size_t size);
  void commit(std::size_t size);

  // The first piece of what is held; empty if nothing is.
  std::string_view front() const;
  // Fills `out` with the pieces from the front, and returns how many it filled.
  std::size_t gather(std::span<iovec> out) const;
  // Calls visit(std::string_view) for each piece from the front; visit must not change the buffer.
  template <typename Visit>
  void for_each_piece(Visit&& visit) const {
    for (Slice* slice = first_; slice != nullptr; slice = slice->next) {
      if (slice->readable() > 0) visit(std::string_view(slice->data() + slice->begin, slice->readable()));
    }
  }
  // Drops `size` (<= size()) bytes from the front.
  void consume(std::size_t size);
  void clear();

  // Copies the first `size` (<= size()) bytes to `target`, without consuming them.
  void peek(char* target, std::size_t size) const;
  // Moves all of `other`, which has the same pool, to the end of this one without copying.
  void splice_back(Buffer& other);
  // Moves what stands from position `from` (<= size()) on to the end of `to`, by copying. For what is rare.
  void move_tail(std::size_t from, Buffer& to);

  BufferPool& pool() const { return *pool_; }

 private:
  // One more slice at the end, for `size` bytes at once.
  void add_slice(std::size_t size);

  BufferPool* pool_;
  Slice* first_ = nullptr;
  Slice* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace weir
