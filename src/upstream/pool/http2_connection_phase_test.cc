#include "upstream/pool/http2_connection_phase.h"

#include "base/state_table_check.h"

namespace weir {
namespace {

TEST(Http2ConnectionPhase, EveryPair) {
  using P = Http2ConnectionPhase;
  using E = Http2ConnectionEvent;
  test::check_table<P, E>(kHttp2ConnectionTable, {
                                                     {P::live, E::asks, P::checking},
                                                     {P::live, E::leaves, P::finishing},
                                                     {P::live, E::closing, P::closed},
                                                     {P::checking, E::check_over, P::live},
                                                     {P::finishing, E::closing, P::closed},
                                                 });
}

}  // namespace
}  // namespace weir
