// How the input is cut changes nothing, whatever is in it; two sessions bring any exchange through any windows.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "http/http2/session_test_util.h"

namespace weir::http2 {
namespace {

using test::Owner;

// A frame that is mostly right, on one of a few streams.
std::string draw_frame(Role role) {
  const auto id = *rc::gen::weightedElement<std::uint32_t>({{5, 1}, {5, 3}, {4, 5}, {3, 7}, {1, 0}, {1, 2}, {1, 99}});
  const auto small = *rc::gen::inRange(0, 40);
  const std::string text(static_cast<std::size_t>(small), 'x');
  const bool flag = *rc::gen::arbitrary<bool>();
  const std::string head = role == Role::client ? test::kOk : flag ? test::kGet : test::kPost;
  switch (*rc::gen::inRange(0, 16)) {
    case 0:
    case 1:
    case 2:
      return test::headers(id, head + test::field("x", text), flag);
    case 3:
      return test::frame(FrameType::headers, flag ? kFlagEndStream : std::uint8_t{0}, id, head) +
             test::frame(FrameType::continuation, kFlagEndHeaders, id, test::field("y", text));
    case 4:
    case 5:
    case 6:
      return test::data(id, text, flag);
    case 7:
      return test::frame(FrameType::data, kFlagPadded, id, static_cast<char>(small / 2) + text);
    case 8:
      return test::rst_stream(id);
    case 9:
      return test::window_update(id, static_cast<std::uint32_t>(small) * 1000);
    case 10:
      return test::frame(FrameType::ping, flag ? kFlagAck : std::uint8_t{0}, 0, "12345678");
    case 11:
      return test::settings(test::setting(Setting::initial_window_size, static_cast<std::uint32_t>(small) * 100));
    case 12:
      return test::frame(static_cast<FrameType>(0x20 + small), 0, id, text);
    case 13:
      return test::frame(FrameType::priority_update, 0, 0, test::u32(id) + "u=1");
    case 14:
      return *rc::gen::inRange(0, 8) == 0 ? test::goaway(id) : test::frame(FrameType::priority, 0, id, "12345");
    default:
      return *rc::gen::inRange(0, 8) == 0 ? text : test::headers(id, test::field("t", text), true);
  }
}

void check(Role role) {
  const auto count = *rc::gen::inRange(0, 60);
  std::string bytes = role == Role::server ? test::kServerStart : test::settings();
  for (int i = 0; i < count; ++i) bytes += draw_frame(role);
  const std::string whole = test::outcome(role, bytes, {});
  RC_ASSERT(test::outcome(role, bytes, test::byte_by_byte) == whole);
  RC_ASSERT(test::outcome(role, bytes, test::random_cut(*rc::gen::arbitrary<std::uint64_t>())) == whole);
}

RC_GTEST_PROP(SessionProperties, HowBytesAreCutChangesNothingForAServer, ()) {
  check(Role::server);
}
RC_GTEST_PROP(SessionProperties, HowBytesAreCutChangesNothingForAClient, ()) {
  check(Role::client);
}

std::string draw_body() {
  return std::string(*rc::gen::weightedElement<std::size_t>({{3, 0}, {3, 10}, {2, 5000}, {1, 100'000}}), 'b');
}

RC_GTEST_PROP(SessionProperties, ExchangesComeThroughWhole, ()) {
  SessionLimits limits;
  limits.stream_window_bytes = static_cast<std::uint32_t>(*rc::gen::inRange(1, 70'000));
  limits.frame_bytes_max = *rc::gen::element(16'384u, 20'000u);
  limits.table_bytes = *rc::gen::element(0u, 100u, 4096u);
  Owner client(Role::client, limits);
  Owner server(Role::server, limits);
  test::exchange(client, server);
  const auto count = *rc::gen::inRange(1, 8);
  std::vector<std::string> questions;
  std::vector<std::string> answers;
  for (int i = 0; i < count; ++i) {
    questions.push_back(draw_body());
    answers.push_back(draw_body());
    test::OwnedStream& stream = client.open({}, false);
    client.session.send_body(stream, questions.back());
    if (*rc::gen::arbitrary<bool>()) test::exchange(client, server);
    client.session.send_end(stream, nullptr);
  }
  test::exchange(client, server);
  for (int i = count - 1; i >= 0; --i) {
    const auto id = static_cast<std::uint32_t>(2 * i + 1);
    RC_ASSERT(server.stream(id).ended);
    server.respond(id, answers[static_cast<std::size_t>(i)]);
    if (*rc::gen::arbitrary<bool>()) test::exchange(client, server);
  }
  test::exchange(client, server);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto id = static_cast<std::uint32_t>(2 * i + 1);
    RC_ASSERT(server.stream(id).body == questions[i]);
    RC_ASSERT(client.stream(id).body == answers[i]);
    RC_ASSERT(client.stream(id).ended && client.stream(id).detached() && server.stream(id).detached());
  }
  RC_ASSERT(client.session.streams() + server.session.streams() == 0u);
  RC_ASSERT(client.session.pending() + server.session.pending() == 0u);
}

}  // namespace
}  // namespace weir::http2
