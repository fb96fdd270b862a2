#include "base/slab.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace weir {
namespace {

struct Counted {
  Counted(int& counter, int v) : alive(counter), value(v) { ++alive; }
  ~Counted() { --alive; }
  int& alive;
  int value;
};

TEST(Slab, ReusesTheLastFreedFirst) {
  int alive = 0;
  Slab<Counted> slab(4);
  Counted* first = slab.make(alive, 1);
  Counted* second = slab.make(alive, 2);
  EXPECT_EQ(alive, 2);
  slab.destroy(second);
  EXPECT_EQ(slab.make(alive, 3), second);
  EXPECT_EQ(first->value, 1);
  slab.destroy(first);
  slab.destroy(second);
  EXPECT_EQ(alive, 0);
}

TEST(Slab, GrowsByBlocksAndGivesThemBackWhenEmptyAndTrimmed) {
  int alive = 0;
  Slab<Counted> slab(4);
  std::vector<Counted*> objects;
  for (int i = 0; i < 10; ++i) objects.push_back(slab.make(alive, i));
  EXPECT_EQ(slab.live(), 10u);
  EXPECT_EQ(slab.block_count(), 3u);
  EXPECT_EQ(std::set<Counted*>(objects.begin(), objects.end()).size(), 10u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(objects[static_cast<std::size_t>(i)]->value, i);
  for (std::size_t i = 1; i < objects.size(); ++i) slab.destroy(objects[i]);
  slab.trim();
  EXPECT_EQ(slab.block_count(), 3u);
  slab.destroy(objects[0]);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(slab.block_count(), 3u);
  slab.trim();
  EXPECT_EQ(slab.block_count(), 1u);
  for (Counted*& object : objects) object = slab.make(alive, 0);
  EXPECT_EQ(slab.live(), 10u);
  for (Counted* object : objects) slab.destroy(object);
}

}  // namespace
}  // namespace weir
