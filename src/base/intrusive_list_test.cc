#include "base/intrusive_list.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace weir {
namespace {

struct TagA;
struct TagB;
struct Item : ListNode<TagA>, ListNode<TagB> {
  explicit Item(char n) : name(n) {}
  char name;
};
using ListA = IntrusiveList<Item, TagA>;
using ListB = IntrusiveList<Item, TagB>;

template <typename List>
std::string names(List& list) {
  std::string all;
  list.for_each([&](Item& item) { all += item.name; });
  return all;
}

TEST(IntrusiveList, KeepsOrderAndUnlinksInAnyPlace) {
  ListA list;
  Item a('a');
  Item b('b');
  Item c('c');
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_EQ(names(list), "abc");
  EXPECT_EQ(list.front().name, 'a');
  EXPECT_EQ(list.back().name, 'c');
  b.ListNode<TagA>::unlink();
  b.ListNode<TagA>::unlink();  // once more does nothing
  EXPECT_EQ(names(list), "ac");
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(list.pop_front(), &c);
  EXPECT_EQ(list.pop_front(), nullptr);
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, AnObjectIsInOneListPerTag) {
  ListA in_a;
  ListB in_b;
  Item item('x');
  in_a.push_back(item);
  in_b.push_back(item);
  item.ListNode<TagA>::unlink();
  EXPECT_TRUE(in_a.empty());
  EXPECT_EQ(names(in_b), "x");
}

TEST(IntrusiveList, EitherSideMayDieFirst) {
  Item survivor('s');
  {
    ListA list;
    auto dying = std::make_unique<Item>('d');
    list.push_back(*dying);
    list.push_back(survivor);
    dying.reset();
    EXPECT_EQ(names(list), "s");
  }
  EXPECT_FALSE(survivor.ListNode<TagA>::linked());
}

TEST(IntrusiveList, SpliceMovesAll) {
  ListA from;
  ListA to;
  Item a('a');
  Item b('b');
  Item c('c');
  to.splice_back(from);
  EXPECT_TRUE(to.empty());
  from.push_back(b);
  from.push_back(c);
  to.push_back(a);
  to.splice_back(from);
  EXPECT_TRUE(from.empty());
  EXPECT_EQ(names(to), "abc");
  from.splice_back(to);
  EXPECT_EQ(names(from), "abc");
  b.ListNode<TagA>::unlink();
  EXPECT_EQ(names(from), "ac");
  EXPECT_TRUE(to.empty());
}

TEST(IntrusiveList, VisitorsMayUnlinkWhatTheyAreGiven) {
  ListA list;
  Item a('a');
  Item b('b');
  Item c('c');
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  list.for_each([](Item& item) {
    if (item.name != 'b') item.ListNode<TagA>::unlink();
  });
  EXPECT_EQ(names(list), "b");
}

TEST(IntrusiveList, InsertsInOrderBehindItsEquals) {
  ListA list;
  Item items[] = {Item('m'), Item('z'), Item('a'), Item('n'), Item('b')};
  for (Item& item : items) list.insert_sorted(item, [](const Item& a, const Item& b) { return a.name < b.name; });
  EXPECT_EQ(names(list), "abmnz");
  Item first('1');
  Item second('2');
  const auto equal = [](const Item&, const Item&) { return false; };
  list.insert_sorted(first, equal);
  list.insert_sorted(second, equal);
  EXPECT_EQ(names(list), "abmnz12");
}

}  // namespace
}  // namespace weir
