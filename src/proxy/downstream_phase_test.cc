#include "proxy/downstream_phase.h"

#include "base/state_table_check.h"

namespace weir::proxy {
namespace {

TEST(DownstreamPhase, EveryPair) {
  using P = DownstreamPhase;
  using E = DownstreamEvent;
  test::check_table<P, E>(kDownstreamTable,
                          {
                              {P::idle, E::request_began, P::head},   {P::idle, E::lingering, P::linger},
                              {P::idle, E::closing, P::closed},       {P::head, E::blank_line, P::idle},
                              {P::head, E::head_read, P::body},       {P::head, E::answered_last, P::busy},
                              {P::head, E::closing, P::closed},       {P::body, E::request_read, P::busy},
                              {P::body, E::answered, P::discard},     {P::body, E::answered_last, P::busy},
                              {P::body, E::closing, P::closed},       {P::busy, E::answered, P::idle},
                              {P::busy, E::answered_last, P::busy},   {P::busy, E::switched, P::tunnel},
                              {P::busy, E::lingering, P::linger},     {P::busy, E::closing, P::closed},
                              {P::discard, E::rest_read, P::idle},    {P::discard, E::lingering, P::linger},
                              {P::discard, E::closing, P::closed},    {P::tunnel, E::half_closed, P::busy},
                              {P::tunnel, E::answered_last, P::busy}, {P::tunnel, E::closing, P::closed},
                              {P::linger, E::closing, P::closed},
                          });
}

}  // namespace
}  // namespace weir::proxy
