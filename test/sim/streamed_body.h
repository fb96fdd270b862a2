#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace weir::sim {

// A body of any size that nobody has to keep: each byte follows from its place in it.
void fill_streamed(std::uint64_t offset, std::span<char> into);

// Makes it, piece after piece.
class StreamedSource {
 public:
  void begin(std::uint64_t size) {
    at_ = 0;
    left_ = size;
  }
  std::uint64_t left() const { return left_; }
  // The next bytes, as many as there is room for; how many they are.
  std::size_t take(std::span<char> into);

 private:
  std::uint64_t at_ = 0;
  std::uint64_t left_ = 0;
};

// Compares each byte that comes with the one that belongs there, and counts.
class StreamedSink {
 public:
  void take(std::string_view piece);
  std::uint64_t bytes() const { return bytes_; }
  // So many bytes have come, and all were the right ones.
  bool holds(std::uint64_t size) const { return right_ && bytes_ == size; }

 private:
  std::uint64_t bytes_ = 0;
  bool right_ = true;
};

}  // namespace weir::sim
