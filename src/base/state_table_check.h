#pragma once

#include <gtest/gtest.h>

#include <array>
#include <initializer_list>

#include "base/state_table.h"

namespace weir::test {

template <typename State, typename Event>
struct Transition {
  State from;
  Event event;
  State to;
};

// Drives every pair of state and event: those of `wanted` lead where it says, each other one is impossible and stops a
// build with assertions. Each state can be reached from the first one.
template <typename State, typename Event>
void check_table(const StateTable<State, Event>& table, std::initializer_list<Transition<State, Event>> wanted) {
  using Table = StateTable<State, Event>;
  std::array<std::array<State, Table::kEvents>, Table::kStates> expected;
  for (auto& row : expected) row.fill(State::impossible);
  for (const auto& [from, event, to] : wanted) {
    State& cell = expected[static_cast<std::size_t>(from)][static_cast<std::size_t>(event)];
    EXPECT_EQ(cell, State::impossible) << "named twice";
    cell = to;
  }
  for (std::size_t s = 0; s < Table::kStates; ++s) {
    for (std::size_t e = 0; e < Table::kEvents; ++e) {
      SCOPED_TRACE(testing::Message() << "state " << s << ", event " << e);
      State state = static_cast<State>(s);
      const Event event = static_cast<Event>(e);
      EXPECT_EQ(table.next(state, event), expected[s][e]);
      if (table.possible(state, event)) {
        table.advance(state, event);
        EXPECT_EQ(state, expected[s][e]);
      } else {
#ifndef NDEBUG
        EXPECT_DEATH(table.advance(state, event), "invariant broken");
#endif
      }
    }
  }
  std::array<bool, Table::kStates> reached{true};
  for (std::size_t round = 0; round < Table::kStates; ++round) {
    for (std::size_t s = 0; s < Table::kStates; ++s) {
      if (!reached[s]) continue;
      for (const State to : table.rows[s]) {
        if (to != State::impossible) reached[static_cast<std::size_t>(to)] = true;
      }
    }
  }
  for (std::size_t s = 0; s < Table::kStates; ++s) EXPECT_TRUE(reached[s]) << "state " << s << " is never reached";
}

}  // namespace weir::test
