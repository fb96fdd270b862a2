#include "base/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/rng.h"

namespace weir {
namespace {

TEST(Arena, WhatItGivesStaysApartAligned) {
  BufferPool pool;
  Rng rng(1);
  {
    Arena arena(pool);
    struct Piece {
      char* data;
      std::size_t size;
      char mark;
    };
    std::vector<Piece> pieces;
    for (int i = 0; i < 300; ++i) {
      const std::size_t size = rng.chance(0.05) ? rng.below(100'000) : rng.below(600);
      const Piece piece{arena.allocate(size), size, static_cast<char>(i)};
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece.data) % 8, 0u);
      std::memset(piece.data, piece.mark, size);
      pieces.push_back(piece);
    }
    for (const Piece& piece : pieces)
      EXPECT_EQ(std::string(piece.data, piece.size), std::string(piece.size, piece.mark));
    EXPECT_GT(pool.outstanding(), 1u);
    arena.clear();
    EXPECT_EQ(arena.used(), 0u);
    EXPECT_EQ(pool.outstanding(), 0u);
    EXPECT_EQ(arena.copy("text"), "text");
  }
  EXPECT_EQ(pool.outstanding(), 0u);
}

TEST(Arena, CopiesOutliveTheirSource) {
  BufferPool pool;
  Arena arena(pool);
  std::string_view copy;
  {
    std::string source = "header";
    copy = arena.copy(source);
    source = "xxxxxx";
  }
  EXPECT_EQ(copy, "header");
  EXPECT_EQ(arena.copy(""), "");
  auto* numbers = arena.allocate_array<std::uint64_t>(4);
  numbers[3] = 7;
  EXPECT_EQ(copy, "header");
}

TEST(Arena, TheEndOfTheLastPieceComesBack) {
  BufferPool pool;
  Arena arena(pool);
  char* first = arena.allocate(100);
  arena.shrink(first, 100, 3);
  EXPECT_EQ(arena.used(), 8u);
  char* second = arena.allocate(8);
  EXPECT_EQ(second, first + 8);
  arena.shrink(first, 8, 0);  // not the last one: nothing comes back
  EXPECT_EQ(arena.used(), 16u);
  char* large = arena.allocate(kSliceCapacity + 1);
  const std::size_t used = arena.used();
  arena.shrink(large, kSliceCapacity + 1, 10);
  EXPECT_EQ(arena.used(), used) << "a heap block stays whole";
  EXPECT_EQ(arena.allocate(8), second + 8);
  arena.shrink(large, kSliceCapacity + 1, 0);
  EXPECT_EQ(arena.used(), 24u) << "or goes back";
}

}  // namespace
}  // namespace weir
