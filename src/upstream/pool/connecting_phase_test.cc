#include "upstream/pool/connecting_phase.h"

#include "base/state_table_check.h"

namespace weir {
namespace {

TEST(ConnectingPhase, EveryPair) {
  using P = ConnectingPhase;
  using E = ConnectingEvent;
  test::check_table<P, E>(kConnectingTable, {
                                                {P::connecting, E::announces, P::announcing},
                                                {P::connecting, E::secures, P::handshake},
                                                {P::connecting, E::ending, P::done},
                                                {P::announcing, E::secures, P::handshake},
                                                {P::announcing, E::ending, P::done},
                                                {P::handshake, E::ending, P::done},
                                            });
}

}  // namespace
}  // namespace weir
