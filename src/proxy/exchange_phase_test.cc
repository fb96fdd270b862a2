#include "proxy/exchange_phase.h"

#include "base/state_table_check.h"

namespace weir::proxy {
namespace {

TEST(ExchangePhase, EveryPairOfTheRequest) {
  using P = RequestPhase;
  using E = RequestEvent;
  test::check_table<P, E>(kRequestTable, {
                                             {P::head, E::head_read, P::body},
                                             {P::body, E::end_read, P::done},
                                             {P::body, E::tunnel_began, P::body},
                                             {P::done, E::tunnel_began, P::body},
                                         });
}

TEST(ExchangePhase, EveryPairOfTheResponse) {
  using P = ResponsePhase;
  using E = ResponseEvent;
  test::check_table<P, E>(kResponseTable, {
                                              {P::waiting, E::head_sent, P::body},
                                              {P::body, E::end_sent, P::done},
                                          });
}

}  // namespace
}  // namespace weir::proxy
