#include "http/http2/id_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <vector>

namespace weir::http2 {
namespace {

struct Entry {
  std::uint32_t number;
  std::uint32_t id() const { return number; }
};

TEST(IdTable, HoldsNothingAtFirstAndLittleWhenItIsEmptyAgain) {
  IdTable<Entry> table;
  EXPECT_EQ(table.find(1), nullptr);
  table.erase(1);
  EXPECT_EQ(table.capacity(), 0u);
  std::vector<Entry> entries;
  for (std::uint32_t id = 1; id < 2000; id += 2) entries.push_back({id});
  for (Entry& entry : entries) table.insert(entry);
  EXPECT_EQ(table.size(), entries.size());
  EXPECT_GE(table.capacity(), entries.size());
  for (Entry& entry : entries) EXPECT_EQ(table.find(entry.number), &entry);
  for (Entry& entry : entries) table.erase(entry.number);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.capacity(), 0u);
}

TEST(IdTable, KeepsItsPlaceUnderASteadyLoad) {
  IdTable<Entry> table;
  std::vector<Entry> entries;
  for (std::uint32_t id = 1; id < 20000; id += 2) entries.push_back({id});
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (i >= 100) table.erase(entries[i - 100].number);
    table.insert(entries[i]);
  }
  EXPECT_EQ(table.size(), 100u);
  EXPECT_EQ(table.capacity(), 128u);
}

// Against a map, over ids that collide on purpose.
RC_GTEST_PROP(IdTable, BehavesAsAMap, ()) {
  IdTable<Entry> table;
  std::map<std::uint32_t, Entry> model;
  const auto steps = *rc::gen::container<std::vector<std::pair<bool, std::uint32_t>>>(
      rc::gen::pair(rc::gen::arbitrary<bool>(), rc::gen::inRange<std::uint32_t>(0, 60)));
  for (const auto& [inserts, number] : steps) {
    const std::uint32_t id = number % 3 == 0 ? number * 64 + 1 : number * 2 + 1;
    if (inserts && !model.contains(id)) {
      table.insert(model.emplace(id, Entry{id}).first->second);
    } else if (!inserts) {
      table.erase(id);
      model.erase(id);
    }
    RC_ASSERT(table.size() == model.size());
    for (auto& [key, entry] : model) RC_ASSERT(table.find(key) == &entry);
    RC_ASSERT(table.find(4001) == nullptr);
  }
}

}  // namespace
}  // namespace weir::http2
