#include "observe/record_ring.h"

#include <sys/mman.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace weir::observe {
namespace {

using Text = std::string_view AccessRecord::*;

constexpr std::array<Text, 13> kTexts = {&AccessRecord::listener, &AccessRecord::route,      &AccessRecord::cluster,
                                         &AccessRecord::backend,  &AccessRecord::client,     &AccessRecord::method,
                                         &AccessRecord::host,     &AccessRecord::path,       &AccessRecord::protocol,
                                         &AccessRecord::reason,   &AccessRecord::request_id, &AccessRecord::user_agent,
                                         &AccessRecord::referer};

}  // namespace

// What lies in the ring before a record's texts. A size of 0 says: go on at the beginning of the ring; then the rest of
// the header need not be there.
struct RecordRing::Header {
  std::uint64_t size;  // of all of it, a multiple of 8
  void* tag;
  std::int64_t time_ns;
  std::uint64_t request_bytes, response_bytes, duration_us, upstream_us;
  std::uint32_t attempts, worker, status;
  std::array<std::uint32_t, kTexts.size()> text_sizes;
};

Result<std::unique_ptr<RecordRing>> RecordRing::create(std::size_t capacity_bytes) {
  WEIR_CHECK(std::has_single_bit(capacity_bytes) && capacity_bytes >= 4096);
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* memory = ::mmap(nullptr, capacity_bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
  if (memory == MAP_FAILED) return fail("no memory for the access log", errno);
  return std::unique_ptr<RecordRing>(new RecordRing(static_cast<char*>(memory), capacity_bytes));
}

RecordRing::~RecordRing() {
  ::munmap(memory_, capacity_);
}

bool RecordRing::has_room(std::uint64_t end) {
  if (end - known_head_ <= capacity_) return true;
  known_head_ = head_.load(std::memory_order_acquire);
  return end - known_head_ <= capacity_;
}

bool RecordRing::push(void* tag, const AccessRecord& record) {
  Header header{};
  std::size_t size = sizeof(Header);
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    const std::size_t text = (record.*kTexts[i]).size();
    if (text > capacity_) return false;
    header.text_sizes[i] = static_cast<std::uint32_t>(text);
    size += text;
  }
  size = (size + 7) & ~std::size_t{7};

  const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  const std::size_t offset = tail & (capacity_ - 1);
  std::uint64_t begin = tail;
  bool skip = offset + size > capacity_;
  if (!skip && offset >= kRewindBytes && size <= kRewindBytes) {
    known_head_ = head_.load(std::memory_order_acquire);
    skip = known_head_ == tail;
  }
  if (skip) begin += capacity_ - offset;
  if (!has_room(begin + size)) return false;
  if (skip) std::memset(memory_ + offset, 0, sizeof(header.size));

  header.size = size;
  header.tag = tag;
  header.time_ns = record.time.time_since_epoch().count();
  header.request_bytes = record.request_bytes;
  header.response_bytes = record.response_bytes;
  header.duration_us = record.duration_us;
  header.upstream_us = record.upstream_us;
  header.attempts = record.attempts;
  header.worker = record.worker;
  header.status = record.status;
  char* target = memory_ + (begin & (capacity_ - 1));
  std::memcpy(target, &header, sizeof header);
  target += sizeof header;
  for (const Text text : kTexts) {
    const std::string_view value = record.*text;
    if (!value.empty()) std::memcpy(target, value.data(), value.size());
    target += value.size();
  }
  tail_.store(begin + size, std::memory_order_release);
  return true;
}

bool RecordRing::half_full() {
  const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - known_head_ < capacity_ / 2) return false;
  known_head_ = head_.load(std::memory_order_acquire);
  return tail - known_head_ >= capacity_ / 2;
}

bool RecordRing::read_at(std::uint64_t& position, void*& tag, AccessRecord& record) const {
  const std::size_t offset = position & (capacity_ - 1);
  const char* source = memory_ + offset;
  Header header;
  std::memcpy(&header.size, source, sizeof header.size);
  if (header.size == 0) {
    position += capacity_ - offset;
    return false;
  }
  std::memcpy(&header, source, sizeof header);
  position += header.size;
  tag = header.tag;
  record.time = WallTime(Duration(header.time_ns));
  record.request_bytes = header.request_bytes;
  record.response_bytes = header.response_bytes;
  record.duration_us = header.duration_us;
  record.upstream_us = header.upstream_us;
  record.attempts = header.attempts;
  record.worker = header.worker;
  record.status = static_cast<std::uint16_t>(header.status);
  const char* text = source + sizeof header;
  for (std::size_t i = 0; i < kTexts.size(); ++i) {
    record.*kTexts[i] = std::string_view(text, header.text_sizes[i]);
    text += header.text_sizes[i];
  }
  return true;
}

}  // namespace weir::observe
