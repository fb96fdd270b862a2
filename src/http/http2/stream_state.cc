#include "http/http2/stream_state.h"

#include <array>

namespace weir::http2 {
namespace {

using S = StreamState;
using V = Verdict;

constexpr auto kStates = static_cast<std::size_t>(StreamState::count_);
constexpr auto kEvents = static_cast<std::size_t>(StreamEvent::count_);

using Row = std::array<Transition, kEvents>;

// clang-format off
// tidy: table one row a state, one column an event, in the order of the enumerations
constexpr std::array<Row, kStates> kTable = {{
  // recv_headers                               recv_data                                   recv_end
  // recv_reset                                 recv_window_update                          send_headers
  // send_data                                  send_end                                    send_reset
  // idle
  {{{S::open, V::ok},                           {S::idle, V::protocol_error},               {S::idle, V::protocol_error},
    {S::idle, V::protocol_error},               {S::idle, V::protocol_error},               {S::open, V::ok},
    {S::idle, V::impossible},                   {S::idle, V::impossible},                   {S::reset_local, V::ok}}},
  // open
  {{{S::open, V::ok},                           {S::open, V::ok},                           {S::half_closed_remote, V::ok},
    {S::reset_remote, V::ok},                   {S::open, V::ok},                           {S::open, V::ok},
    {S::open, V::ok},                           {S::half_closed_local, V::ok},              {S::reset_local, V::ok}}},
  // half_closed_local
  {{{S::half_closed_local, V::ok},              {S::half_closed_local, V::ok},              {S::closed, V::ok},
    {S::reset_remote, V::ok},                   {S::half_closed_local, V::ignore},          {S::half_closed_local, V::impossible},
    {S::half_closed_local, V::impossible},      {S::half_closed_local, V::impossible},      {S::reset_local, V::ok}}},
  // half_closed_remote
  {{{S::half_closed_remote, V::stream_closed},  {S::half_closed_remote, V::stream_closed},  {S::half_closed_remote, V::stream_closed},
    {S::reset_remote, V::ok},                   {S::half_closed_remote, V::ok},             {S::half_closed_remote, V::ok},
    {S::half_closed_remote, V::ok},             {S::closed, V::ok},                         {S::reset_local, V::ok}}},
  // closed
  {{{S::closed, V::connection_closed},          {S::closed, V::connection_closed},          {S::closed, V::connection_closed},
    {S::closed, V::ignore},                     {S::closed, V::ignore},                     {S::closed, V::impossible},
    {S::closed, V::impossible},                 {S::closed, V::impossible},                 {S::closed, V::ok}}},
  // reset_local
  {{{S::reset_local, V::ignore},                {S::reset_local, V::ignore},                {S::reset_local, V::ignore},
    {S::reset_local, V::ignore},                {S::reset_local, V::ignore},                {S::reset_local, V::impossible},
    {S::reset_local, V::impossible},            {S::reset_local, V::impossible},            {S::reset_local, V::ignore}}},
  // reset_remote
  {{{S::reset_remote, V::stream_closed},        {S::reset_remote, V::stream_closed},        {S::reset_remote, V::stream_closed},
    {S::reset_remote, V::ignore},               {S::reset_remote, V::ignore},               {S::reset_remote, V::impossible},
    {S::reset_remote, V::impossible},           {S::reset_remote, V::impossible},           {S::reset_local, V::ok}}},
}};
// clang-format on

}  // namespace

Transition transition(StreamState state, StreamEvent event) {
  return kTable[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

std::string_view to_string(StreamState state) {
  static constexpr std::array<std::string_view, kStates> kNames = {
      "idle", "open", "half_closed_local", "half_closed_remote", "closed", "reset_local", "reset_remote"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string_view to_string(StreamEvent event) {
  static constexpr std::array<std::string_view, kEvents> kNames = {
      "recv_headers", "recv_data", "recv_end", "recv_reset", "recv_window_update",
      "send_headers", "send_data", "send_end", "send_reset"};
  return kNames[static_cast<std::size_t>(event)];
}

}  // namespace weir::http2
