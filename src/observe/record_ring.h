#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "observe/access_record.h"

namespace weir::observe {

// Access records on their way from one worker (the producer) to the log writer (the consumer), as bytes in a ring.
// Neither waits nor allocates. Memory becomes resident only where it was used, and the producer starts over at the
// beginning whenever the ring is empty, so a quiet log stays within the first kRewindBytes.
class RecordRing {
 public:
  static constexpr std::size_t kRewindBytes = 64 * 1024;

  // `capacity_bytes`: a power of two, at least one page.
  static Result<std::unique_ptr<RecordRing>> create(std::size_t capacity_bytes);
  RecordRing(const RecordRing&) = delete;
  RecordRing& operator=(const RecordRing&) = delete;
  ~RecordRing();

  // Producer. Copies the record; `tag` comes back with it. False if there is no room.
  bool push(void* tag, const AccessRecord& record);
  // Producer. Whether half of the ring or more is in use.
  bool half_full();

  // Consumer. Gives what is there now to take(void* tag, const AccessRecord&), whose texts are valid during the call.
  // Returns how many there were.
  template <typename Take>
  std::size_t drain(Take&& take);

 private:
  struct Header;
  RecordRing(char* memory, std::size_t capacity) : memory_(memory), capacity_(capacity) {}
  bool has_room(std::uint64_t end);
  // The record at `position`, or nothing if the rest of the ring is skipped there; moves `position` behind it.
  bool read_at(std::uint64_t& position, void*& tag, AccessRecord& record) const;

  static constexpr std::size_t kPublishBytes = 32 * 1024;

  char* const memory_;
  const std::size_t capacity_;
  // Positions only grow; the offset is the position modulo the capacity.
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // the producer's
  std::uint64_t known_head_ = 0;                    // what the producer last saw of head_
  alignas(64) std::atomic<std::uint64_t> head_{0};  // the consumer's
};

template <typename Take>
std::size_t RecordRing::drain(Take&& take) {
  const std::uint64_t end = tail_.load(std::memory_order_acquire);
  std::uint64_t position = head_.load(std::memory_order_relaxed);
  std::uint64_t published = position;
  std::size_t count = 0;
  AccessRecord record;
  void* tag = nullptr;
  while (position != end) {
    if (read_at(position, tag, record)) {
      take(tag, static_cast<const AccessRecord&>(record));
      ++count;
    }
    if (position - published >= kPublishBytes) {
      head_.store(position, std::memory_order_release);
      published = position;
    }
  }
  head_.store(position, std::memory_order_release);
  return count;
}

}  // namespace weir::observe
