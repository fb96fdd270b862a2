#pragma once

#include <cstdint>
#include <string_view>

#include "base/rng.h"
#include "sim/backend.h"
#include "sim/scenario_plan.h"

namespace weir::sim {

// What an HTTP/2 backend does to one request, or to the whole connection because of it.
enum class H2BackendFault : std::uint8_t {
  none,
  refuses_stream,
  resets_stream_before_head,
  resets_stream_after_head,
  resets_stream_in_body,
  answers_early_and_resets_stream,
  goes_away_below,
  goes_away_in_two_steps,
  goes_away_and_closes,
  resets_connection,
  closes_in_frame,
  stalls_in_frame,
  stalls_before_head,
  stalls_after_head,
  drips,
  answers_early,
  answers_late,
  stops_reading_stream,
  reads_nothing_more,
  sends_garbage,
  breaks_rules,
  floods,
  changes_streams_max,
  changes_window,
  grpc_unavailable,
  count_
};
std::string_view to_string(H2BackendFault fault);

// What a connection of an HTTP/2 backend is like from its beginning.
enum class H2ConnectionKind : std::uint8_t {
  usual,
  allows_few_streams,
  has_small_windows,
  offers_no_tunnels,
  has_late_preface,
  has_no_preface,
  count_
};
std::string_view to_string(H2ConnectionKind kind);

// The script for this request, as plan_answer() says it of HTTP/1: what is said in HTTP/1 terms is translated.
AnswerPlan plan_http2_answer(const Message& request, H2BackendFault fault, Rng& rng);
// For the next connection that it accepts.
void prepare_connection(SimBackend& backend, H2ConnectionKind kind, Rng& rng);

}  // namespace weir::sim
