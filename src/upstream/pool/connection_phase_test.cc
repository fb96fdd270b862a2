#include "upstream/pool/connection_phase.h"

#include "base/state_table_check.h"

namespace weir {
namespace {

TEST(ConnectionPhase, EveryPair) {
  using P = ConnectionPhase;
  using E = ConnectionEvent;
  test::check_table<P, E>(kConnectionTable, {
                                                {P::fresh, E::kept, P::idle},
                                                {P::fresh, E::closing, P::closed},
                                                {P::idle, E::lent, P::leased},
                                                {P::idle, E::closing, P::closed},
                                                {P::leased, E::kept, P::idle},
                                                {P::leased, E::closing, P::closed},
                                            });
}

}  // namespace
}  // namespace weir
