#pragma once

#include <array>
#include <cstddef>

#include "base/assert.h"

namespace weir {

// A message state machine as data: which state each event leads to from each state. `State` ends with `impossible`,
// which says that the event can't come there; `Event` ends with `count_`. Rows are states, columns events, both in the
// order of their enumerators. A look-up is one load; an impossible event is a bug of ours, never of the peer.
template <typename State, typename Event>
struct StateTable {
  static constexpr auto kStates = static_cast<std::size_t>(State::impossible);
  static constexpr auto kEvents = static_cast<std::size_t>(Event::count_);

  std::array<std::array<State, kEvents>, kStates> rows;

  constexpr State next(State from, Event event) const {
    return rows[static_cast<std::size_t>(from)][static_cast<std::size_t>(event)];
  }
  constexpr bool possible(State from, Event event) const { return next(from, event) != State::impossible; }
  constexpr void advance(State& state, Event event) const {
    WEIR_ASSERT(possible(state, event));
    state = next(state, event);
  }
};

}  // namespace weir
