// Every pair of a state and an event: the table, and a session that is driven into the state and given the event.
#include "http/http2/stream_state.h"

#include <gtest/gtest.h>

#include <array>

#include "http/http2/session_test_util.h"

namespace weir::http2 {
namespace {

using S = StreamState;
using E = StreamEvent;
using V = Verdict;
using test::Owner;

constexpr auto kStates = static_cast<std::size_t>(S::count_);
constexpr auto kEvents = static_cast<std::size_t>(E::count_);

template <typename Visit>
void for_each_pair(Visit&& visit) {
  for (std::size_t state = 0; state < kStates; ++state) {
    for (std::size_t event = 0; event < kEvents; ++event) visit(static_cast<S>(state), static_cast<E>(event));
  }
}

bool is_over(S state) {
  return state == S::closed || state == S::reset_local || state == S::reset_remote;
}
bool local_open(S state) {
  return state == S::open || state == S::half_closed_remote;
}
bool remote_open(S state) {
  return state == S::open || state == S::half_closed_local;
}

TEST(StreamState, EveryPairKeepsTheRulesOfTheTable) {
  for_each_pair([](S state, E event) {
    const Transition result = transition(state, event);
    SCOPED_TRACE(std::string(to_string(state)) + " " + std::string(to_string(event)));
    // What is refused or ignored changes nothing.
    if (result.verdict != V::ok) EXPECT_EQ(result.next, state);
    // Nothing opens again.
    if (is_over(state)) EXPECT_TRUE(is_over(result.next));
    // Only END_STREAM and RST_STREAM end a side, each its own.
    if (result.verdict == V::ok && state != S::idle) {
      EXPECT_EQ(local_open(result.next),
                local_open(state) && event != E::send_end && event != E::send_reset && event != E::recv_reset);
      EXPECT_EQ(remote_open(result.next),
                remote_open(state) && event != E::recv_end && event != E::send_reset && event != E::recv_reset);
    }
    // We say nothing on a side of ours that is over; the peer gets an error unless it could not know.
    const bool says = event == E::send_headers || event == E::send_data || event == E::send_end;
    if (says && state != S::idle) EXPECT_EQ(result.verdict == V::impossible, !local_open(state));
    const bool hears = event == E::recv_headers || event == E::recv_data || event == E::recv_end;
    if (hears && state != S::idle) EXPECT_EQ(result.verdict == V::ok, remote_open(state));
    if (!says) EXPECT_NE(result.verdict, V::impossible);
  });
}

// A server with stream 1 in that state. Stream 3 is always idle.
std::unique_ptr<Owner> server_in(S state) {
  auto owner = std::make_unique<Owner>(Role::server);
  owner->feed(test::kServerStart);
  if (state != S::idle) {
    const bool ends = state == S::half_closed_remote || state == S::closed;
    owner->feed(test::headers(1, test::kPost, ends));
  }
  if (state == S::half_closed_local) {
    owner->send_head(1);
    owner->session.send_end(owner->stream(1), nullptr, true);
  }
  if (state == S::closed) owner->respond(1, "");
  if (state == S::reset_local) owner->session.reset(owner->stream(1), ErrorCode::cancel);
  if (state == S::reset_remote) owner->feed(test::rst_stream(1));
  if (state == S::open || state == S::half_closed_remote) owner->send_head(1);
  owner->take();
  owner->events.clear();
  return owner;
}

std::string bytes_of(E event) {
  switch (event) {
    case E::recv_headers:
      return test::headers(1, test::field("t", "1"), true);
    case E::recv_data:
      return test::data(1, "x");
    case E::recv_end:
      return test::data(1, "", true);
    case E::recv_reset:
      return test::rst_stream(1);
    case E::recv_window_update:
      return test::window_update(1, 5000);
    default:
      return {};
  }
}

void send(Owner& owner, E event) {
  test::OwnedStream& stream = owner.stream(1);
  if (event == E::send_data) owner.session.send_body(stream, "x");
  if (event == E::send_end) owner.session.send_end(stream, nullptr, true);
  if (event == E::send_reset) owner.session.reset(stream, ErrorCode::cancel);
}

TEST(StreamState, EveryPairIsSeenInASession) {
  for_each_pair([](S state, E event) {
    SCOPED_TRACE(std::string(to_string(state)) + " " + std::string(to_string(event)));
    const Transition expected = transition(state, event);
    // A head is sent once; nothing can be sent on what is not there.
    const bool sends = event == E::send_headers || event == E::send_data || event == E::send_end;
    if (event == E::send_headers || (state == S::idle && (sends || event == E::send_reset))) return;
    if (expected.verdict == V::impossible) {
      if (!is_over(state)) return;  // an assertion of ours
    }
    const std::unique_ptr<Owner> owner = server_in(state);
    if (state != S::idle) ASSERT_EQ(owner->stream(1).state(), state);
    if (const std::string bytes = bytes_of(event); !bytes.empty()) {
      // The first HEADERS are a request.
      owner->feed(state == S::idle && event == E::recv_headers ? test::headers(1, test::kPost, false) : bytes);
    } else {
      send(*owner, event);
    }
    const std::string out = testing::PrintToString(owner->take_frames());
    const auto says = [&out](std::string_view text) { return out.find(text) != std::string::npos; };
    EXPECT_EQ(owner->session.broken(),
              expected.verdict == V::connection_closed || expected.verdict == V::protocol_error);
    EXPECT_EQ(says("STREAM_CLOSED"), expected.verdict == V::stream_closed || expected.verdict == V::connection_closed)
        << out;
    EXPECT_EQ(says("PROTOCOL_ERROR"), expected.verdict == V::protocol_error) << out;
    if (expected.verdict == V::ignore) EXPECT_TRUE(owner->events.empty());
    if (expected.verdict == V::ok && state == S::idle) EXPECT_EQ(owner->stream(1).state(), S::open);
    if (expected.verdict == V::ok && !is_over(state) && state != S::idle) {
      // Trailers carry END_STREAM with them.
      const S next = event == E::recv_headers ? transition(expected.next, E::recv_end).next : expected.next;
      EXPECT_EQ(owner->stream(1).state(), next);
      EXPECT_EQ(owner->stream(1).detached(), is_over(next));
    }
  });
}

TEST(StreamState, EachHasAName) {
  EXPECT_EQ(to_string(S::half_closed_remote), "half_closed_remote");
  EXPECT_EQ(to_string(E::send_reset), "send_reset");
}

}  // namespace
}  // namespace weir::http2
