#include "sim/streamed_body.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::sim {
namespace {

std::string made(std::uint64_t offset, std::size_t size) {
  std::string text(size, '\0');
  fill_streamed(offset, text);
  return text;
}

TEST(StreamedBody, IsTheSameInWhateverPieces) {
  constexpr std::size_t kBytes = 20'000;
  const std::string whole = made(0, kBytes);
  for (const std::size_t piece_bytes : {1U, 7U, 8U, 13U, 4096U, 5000U}) {
    StreamedSource source;
    source.begin(kBytes);
    StreamedSink sink;
    std::string all;
    while (source.left() > 0) {
      std::string piece(piece_bytes, '\0');
      piece.resize(source.take(piece));
      sink.take(piece);
      all += piece;
    }
    EXPECT_TRUE(all == whole) << piece_bytes;
    EXPECT_TRUE(sink.holds(kBytes)) << piece_bytes;
    EXPECT_FALSE(sink.holds(kBytes + 1));
  }
}

TEST(StreamedBody, WhatIsWrongMissingOrInAnotherPlaceIsSeen) {
  constexpr std::size_t kBytes = 20'000;
  const auto is_right = [](const std::string& body) {
    StreamedSink sink;
    sink.take(body);
    return sink.holds(body.size());
  };
  ASSERT_TRUE(is_right(made(0, kBytes)));
  for (const std::size_t at : {0U, 4095U, 4096U, 19'999U}) {
    std::string body = made(0, kBytes);
    body[at] = static_cast<char>(body[at] ^ 1);
    EXPECT_FALSE(is_right(body)) << at;
  }
  for (const std::size_t lost : {1U, 8U, 4096U, 16'384U}) {
    EXPECT_FALSE(is_right(made(0, 1000) + made(1000 + lost, 1000))) << lost;
    EXPECT_FALSE(is_right(made(0, 17'000) + made(17'000 - lost, 1000))) << lost;
  }
}

}  // namespace
}  // namespace weir::sim
