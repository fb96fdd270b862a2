#include "base/buffer.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace weir {
namespace {

std::string content(const Buffer& buffer) {
  std::string all(buffer.size(), '\0');
  buffer.peek(all.data(), all.size());
  return all;
}

TEST(BufferPool, ReusesAndTrims) {
  BufferPool pool;
  Slice* slices[3];
  for (Slice*& slice : slices) slice = pool.take();
  EXPECT_EQ(pool.outstanding(), 3u);
  for (Slice* slice : slices) pool.give(slice);
  EXPECT_EQ(pool.outstanding(), 0u);
  EXPECT_EQ(pool.kept(), 3u);
  Slice* again = pool.take();
  EXPECT_EQ(again, slices[2]);
  EXPECT_EQ(again->readable(), 0u);
  pool.give(again);
  pool.trim();
  EXPECT_EQ(pool.kept(), 0u);
}

TEST(BufferPool, KeepsAsManyAsWereLatelyOutAtOnce) {
  BufferPool pool(1, 1);
  std::vector<Slice*> slices;
  const auto take_and_give = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) slices.push_back(pool.take());
    for (Slice* slice : slices) pool.give(slice);
    slices.clear();
  };
  take_and_give(5);
  EXPECT_EQ(pool.kept(), 5u);
  pool.begin_window();
  take_and_give(2);
  EXPECT_EQ(pool.kept(), 5u);
  pool.begin_window();
  take_and_give(2);
  EXPECT_LT(pool.kept(), 5u);
  EXPECT_GE(pool.kept(), 2u);
  pool.begin_window();
  pool.begin_window();
  take_and_give(5);
  EXPECT_EQ(pool.kept(), 5u);
}

// Heads lie in slices of their own: the large ones, which bodies use to their end, are not touched for them.
TEST(BufferPool, KeepsSmallAndLargeApart) {
  BufferPool pool;
  Slice* small = pool.take(kSmallCapacity);
  Slice* large = pool.take(kSmallCapacity + 1);
  EXPECT_EQ(small->room(), kSmallCapacity);
  EXPECT_EQ(large->room(), kSliceCapacity);
  EXPECT_EQ(pool.outstanding_bytes(), kSmallBytes + kSliceBytes);
  pool.give(large);
  pool.give(small);
  EXPECT_EQ(pool.take(), large);
  EXPECT_EQ(pool.take(1), small);
  pool.give(large);
  pool.give(small);
  EXPECT_EQ(pool.kept(), 2u);
}

TEST(Buffer, LittleTakesASmallSliceAndWhatGrowsLargeOnes) {
  BufferPool pool;
  Buffer buffer(pool);
  buffer.append("a head");
  EXPECT_EQ(pool.outstanding_bytes(), kSmallBytes);
  buffer.append(std::string(kSmallCapacity, 'b'));
  EXPECT_EQ(pool.outstanding_bytes(), kSmallBytes + kSliceBytes);
  buffer.clear();
  buffer.append(std::string(kSmallCapacity + 1, 'b'));
  EXPECT_EQ(pool.outstanding_bytes(), kSliceBytes);
}

TEST(Buffer, AnEmptyOneHoldsNoMemory) {
  BufferPool pool;
  Buffer buffer(pool);
  EXPECT_EQ(pool.outstanding(), 0u);
  buffer.append("hello");
  EXPECT_EQ(pool.outstanding(), 1u);
  EXPECT_EQ(buffer.front(), "hello");
  buffer.consume(5);
  EXPECT_EQ(pool.outstanding(), 0u);
  EXPECT_EQ(buffer.front(), "");
}

TEST(Buffer, ReserveGivesOnePiece) {
  BufferPool pool;
  Buffer buffer(pool);
  buffer.append(std::string(kSliceCapacity - 10, 'a'));
  EXPECT_GE(buffer.reserve(10).size(), 10u);
  EXPECT_EQ(pool.outstanding(), 1u);
  const auto room = buffer.reserve(11);
  EXPECT_EQ(room.size(), kSliceCapacity);
  room[0] = 'b';
  buffer.commit(1);
  EXPECT_EQ(content(buffer), std::string(kSliceCapacity - 10, 'a') + "b");
}

TEST(Buffer, AReservedButUnusedPieceIsSkipped) {
  BufferPool pool;
  Buffer buffer(pool);
  buffer.append(std::string(kSliceCapacity - 1, 'a'));
  static_cast<void>(buffer.reserve(2));
  iovec pieces[4];
  EXPECT_EQ(buffer.gather(pieces), 1u);
  buffer.consume(kSliceCapacity - 2);
  EXPECT_EQ(buffer.front(), "a");
}

TEST(Buffer, ItsTailMovesToAnother) {
  for (const std::size_t from : {std::size_t{0}, std::size_t{1}, kSliceCapacity - 1, kSliceCapacity, kSliceCapacity + 1,
                                 2 * kSliceCapacity, 3 * kSliceCapacity - 1}) {
    BufferPool pool;
    std::string text;
    for (std::size_t i = 0; i < 3 * kSliceCapacity; ++i) text += static_cast<char>(i * i % 251);
    Buffer buffer(pool);
    Buffer tail(pool);
    buffer.append("to be consumed");
    buffer.append(text);
    buffer.consume(14);
    tail.append("before:");
    buffer.move_tail(from, tail);
    EXPECT_EQ(buffer.size(), from);
    EXPECT_EQ(content(buffer), text.substr(0, from));
    EXPECT_EQ(content(tail), "before:" + text.substr(from));
    buffer.append("more");
    EXPECT_EQ(content(buffer), text.substr(0, from) + "more");
  }
}

// Against a string, over any sequence of operations on two buffers.
TEST(Buffer, MovesWithWhatItHolds) {
  BufferPool pool;
  Buffer first(pool);
  first.append("abc");
  Buffer second(std::move(first));
  EXPECT_TRUE(first.empty());
  first.append("again");
  EXPECT_EQ(second.front(), "abc");
  Buffer third(pool);
  third.append("goes");
  third = std::move(second);
  EXPECT_EQ(third.front(), "abc");
  EXPECT_EQ(first.front(), "again");
  EXPECT_EQ(pool.outstanding(), 2U);
}

RC_GTEST_PROP(Buffer, BehavesAsAString, ()) {
  BufferPool pool(4, 4);
  {
    Buffer buffers[] = {Buffer(pool), Buffer(pool)};
    std::string models[2];
    const auto steps = *rc::gen::inRange(1, 60);
    for (int step = 0; step < steps; ++step) {
      const auto i = *rc::gen::inRange<std::size_t>(0, 2);
      Buffer& buffer = buffers[i];
      std::string& model = models[i];
      const auto size = static_cast<std::size_t>(*rc::gen::inRange(0, 40'000));
      switch (*rc::gen::inRange(0, 5)) {
        case 0:
        case 1: {
          const std::string bytes(size, static_cast<char>('a' + step % 26));
          buffer.append(bytes);
          model += bytes;
          break;
        }
        case 2:
          buffer.consume(std::min(size, buffer.size()));
          model.erase(0, std::min(size, model.size()));
          break;
        case 3:
          buffer.splice_back(buffers[1 - i]);
          model += models[1 - i];
          models[1 - i].clear();
          break;
        default:
          if (size % 4 == 0) {
            buffer.clear();
            model.clear();
          }
          break;
      }
      for (std::size_t b = 0; b < 2; ++b) {
        RC_ASSERT(buffers[b].size() == models[b].size());
        RC_ASSERT(content(buffers[b]) == models[b]);
        std::vector<iovec> pieces(64);
        pieces.resize(buffers[b].gather(pieces));
        std::string gathered;
        for (const iovec& piece : pieces) gathered.append(static_cast<char*>(piece.iov_base), piece.iov_len);
        RC_ASSERT(std::string_view(models[b]).starts_with(gathered));
        RC_ASSERT(models[b].empty() == buffers[b].front().empty());
      }
    }
  }
  RC_ASSERT(pool.outstanding() == 0u);
}

}  // namespace
}  // namespace weir
