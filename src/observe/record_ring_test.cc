#include "observe/record_ring.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <string>
#include <thread>

namespace weir::observe {
namespace {

AccessRecord record_of(std::uint64_t number, std::string_view path) {
  return {.time = WallTime(Duration(number)),
          .listener = "web",
          .method = "GET",
          .path = path,
          .referer = "r",
          .request_bytes = number,
          .attempts = 1,
          .worker = 2,
          .status = 200};
}

TEST(RecordRing, GivesBackWhatWasPut) {
  auto ring = *RecordRing::create(4096);
  int tag = 0;
  ASSERT_TRUE(ring->push(&tag, record_of(7, "/x")));
  int count = 0;
  ring->drain([&](void* given, const AccessRecord& record) {
    ++count;
    EXPECT_EQ(given, &tag);
    EXPECT_EQ(record.time, WallTime(7ns));
    EXPECT_EQ(record.listener, "web");
    EXPECT_EQ(record.cluster, "");
    EXPECT_EQ(record.path, "/x");
    EXPECT_EQ(record.referer, "r");
    EXPECT_EQ(record.request_bytes, 7u);
    EXPECT_EQ(record.worker, 2u);
    EXPECT_EQ(record.status, 200u);
  });
  EXPECT_EQ(count, 1);
  EXPECT_EQ(ring->drain([](void*, const AccessRecord&) { FAIL(); }), 0u);
}

TEST(RecordRing, RefusesWhatHasNoRoom) {
  auto ring = *RecordRing::create(4096);
  EXPECT_FALSE(ring->push(nullptr, record_of(0, std::string(5000, 'x'))));
  EXPECT_FALSE(ring->half_full());
  std::size_t taken = 0;
  while (ring->push(nullptr, record_of(taken, "/x"))) ++taken;
  EXPECT_GT(taken, 10u);
  EXPECT_TRUE(ring->half_full());
  EXPECT_EQ(ring->drain([](void*, const AccessRecord&) {}), taken);
  EXPECT_FALSE(ring->half_full());
  EXPECT_TRUE(ring->push(nullptr, record_of(0, "/x")));
}

// Against a queue, with records of all sizes and a ring that wraps, or starts over because it is empty.
RC_GTEST_PROP(RecordRing, AgreesWithAQueue, ()) {
  auto ring = *RecordRing::create(*rc::gen::element<std::size_t>(4096, 262144));
  const auto sizes = *rc::gen::container<std::vector<int>>(200, rc::gen::inRange(0, 20000));
  std::deque<std::pair<std::uint64_t, std::string>> queue;
  std::uint64_t number = 0;
  for (const int size : sizes) {
    if (size % 5 == 0) {
      ring->drain([&](void*, const AccessRecord& record) {
        RC_ASSERT(!queue.empty());
        RC_ASSERT(record.request_bytes == queue.front().first);
        RC_ASSERT(record.path == queue.front().second);
        queue.pop_front();
      });
      RC_ASSERT(queue.empty());
    }
    const auto length = static_cast<std::size_t>(size % 2 == 0 ? size : size % 300);
    const std::string path(length, static_cast<char>('a' + number % 26));
    if (ring->push(nullptr, record_of(++number, path))) queue.emplace_back(number, path);
  }
}

TEST(RecordRing, TwoThreads) {
  auto ring = *RecordRing::create(16384);
  constexpr std::uint64_t kRecords = 20'000;
  std::thread producer([&] {
    for (std::uint64_t number = 0; number < kRecords;) {
      const std::string path(number % 500, 'p');
      if (ring->push(nullptr, record_of(number, path))) {
        ++number;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::uint64_t next = 0;
  while (next < kRecords) {
    const std::size_t count = ring->drain([&](void*, const AccessRecord& record) {
      ASSERT_EQ(record.request_bytes, next);
      ASSERT_EQ(record.path.size(), next % 500);
      ++next;
    });
    if (count == 0) std::this_thread::yield();
  }
  producer.join();
}

}  // namespace
}  // namespace weir::observe
