#include "sim/streamed_body.h"

#include <algorithm>
#include <cstring>

namespace weir::sim {
namespace {

constexpr std::size_t kWordBytes = sizeof(std::uint64_t);

std::uint64_t word_at(std::uint64_t index) {
  const std::uint64_t x = (index + 1) * 0x9e3779b97f4a7c15ULL;
  return (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ULL;
}

}  // namespace

void fill_streamed(std::uint64_t offset, std::span<char> into) {
  while (!into.empty()) {
    const std::uint64_t word = word_at(offset / kWordBytes);
    const std::size_t skip = offset % kWordBytes;
    std::size_t size = kWordBytes;
    if (skip == 0 && into.size() >= kWordBytes) {
      std::memcpy(into.data(), &word, kWordBytes);  // its size is known: no call
    } else {
      size = std::min(kWordBytes - skip, into.size());
      std::memcpy(into.data(), reinterpret_cast<const char*>(&word) + skip, size);
    }
    offset += size;
    into = into.subspan(size);
  }
}

std::size_t StreamedSource::take(std::span<char> into) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left_));
  fill_streamed(at_, into.first(size));
  at_ += size;
  left_ -= size;
  return size;
}

void StreamedSink::take(std::string_view piece) {
  char expected[4096];
  while (!piece.empty()) {
    const std::size_t size = std::min(piece.size(), sizeof expected);
    fill_streamed(bytes_, std::span(expected, size));
    right_ = right_ && std::memcmp(expected, piece.data(), size) == 0;
    bytes_ += size;
    piece.remove_prefix(size);
  }
}

}  // namespace weir::sim
