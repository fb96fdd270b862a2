// Answers of HTTP/2 backends that break the rules of RFC 9113 8: nothing of them gets through, and only their own
// stream is lost.

#include <gmock/gmock.h>

#include "sim/fixture.h"

namespace weir::sim {
namespace {

constexpr std::uint8_t kData = 0, kHeaders = 1;
constexpr std::uint8_t kEndStream = 1, kEndHeaders = 4;

struct Frame {
  std::uint8_t type;
  std::uint8_t flags;
  std::string payload;
};

// A head, or trailers.
Frame fields(const Message::Fields& all, std::uint8_t flags = 0) {
  return {kHeaders, static_cast<std::uint8_t>(kEndHeaders | flags), h2_block(all)};
}
Frame data(std::string bytes, std::uint8_t flags = 0) {
  return {kData, flags, std::move(bytes)};
}

enum class Seen : std::uint8_t {
  nothing,  // 502 upstream_protocol_error
  part,     // the beginning of an answer, which is visibly broken off
  all,      // an answer without a body, which was over before the fault
};

struct Malformed {
  const char* name;
  Seen seen;
  std::vector<Frame> frames;
  const char* method = "GET";
};

void PrintTo(const Malformed& one, std::ostream* to) {
  *to << one.name;
}

// The whole answer is a head with a fault in it.
Malformed head(const char* name, Message::Fields all) {
  all.emplace_back("x-evil", "evil");
  return {name, Seen::nothing, {fields(all, kEndStream)}};
}
// The same with a status before it.
Malformed field(const char* name, std::string bad_name, std::string bad_value) {
  return head(name, {{":status", "200"}, {std::move(bad_name), std::move(bad_value)}});
}
// A good answer of four bytes with these trailers.
Malformed trailers(const char* name, const Message::Fields& all, std::uint8_t flags = kEndStream) {
  return {name, Seen::part, {fields({{":status", "200"}}), data("good"), fields(all, flags)}};
}

std::vector<Malformed> heads() {
  return {
      head("no_status", {}),
      head("two_statuses", {{":status", "200"}, {":status", "200"}}),
      head("status_behind_a_field", {{"x-a", "a"}, {":status", "200"}}),
      head("empty_status", {{":status", ""}}),
      head("status_of_two_digits", {{":status", "20"}}),
      head("status_of_four_digits", {{":status", "0200"}}),
      head("status_below_100", {{":status", "099"}}),
      head("status_with_a_sign", {{":status", "+20"}}),
      head("status_with_a_reason", {{":status", "200 OK"}}),
      head("switching_protocols", {{":status", "101"}}),
      field("pseudo_field_of_requests", ":path", "/evil"),
      field("unknown_pseudo_field", ":evil", "1"),
      field("upper_case", "X-Upper", "1"),
      field("empty_name", "", "1"),
      field("space_in_name", "x y", "1"),
      field("colon_in_name", "x:y", "1"),
      field("control_in_name", "x\x01y", "1"),
      field("cr_in_value", "x-a", "a\rb"),
      field("lf_in_value", "x-a", "a\nevil: 1"),
      field("nul_in_value", "x-a", std::string("a\0b", 3)),
      field("space_before_value", "x-a", " a"),
      field("tab_behind_value", "x-a", "a\t"),
      field("connection", "connection", "close"),
      field("keep_alive", "keep-alive", "timeout=5"),
      field("proxy_connection", "proxy-connection", "keep-alive"),
      field("transfer_encoding", "transfer-encoding", "chunked"),
      field("upgrade", "upgrade", "websocket"),
      field("length_that_is_no_number", "content-length", "abc"),
      field("negative_length", "content-length", "-1"),
      field("list_of_lengths", "content-length", "5, 6"),
      field("length_past_64_bits", "content-length", "18446744073709551616"),
      field("length_of_a_body_that_does_not_come", "content-length", "3"),
      head("two_lengths", {{":status", "200"}, {"content-length", "0"}, {"content-length", "1"}}),
  };
}

std::vector<Malformed> sequences() {
  const Frame ok = fields({{":status", "200"}});
  const Frame hints = fields({{":status", "103"}, {"link", "</a>"}});
  return {
      {"data_before_the_head", Seen::nothing, {data("evil", kEndStream)}},
      {"interim_that_ends_the_stream", Seen::nothing, {fields({{":status", "103"}, {"x-evil", "evil"}}, kEndStream)}},
      {"data_behind_an_interim", Seen::nothing, {hints, data("evil", kEndStream)}},
      {"body_to_head", Seen::all, {ok, data("evil", kEndStream)}, "HEAD"},
      {"body_of_204", Seen::all, {fields({{":status", "204"}}), data("evil", kEndStream)}},
      {"body_of_304", Seen::all, {fields({{":status", "304"}}), data("evil", kEndStream)}},
      {"body_shorter_than_its_length",
       Seen::part,
       {fields({{":status", "200"}, {"content-length", "10"}}), data("good", kEndStream)}},
      {"body_longer_than_its_length",
       Seen::part,
       {fields({{":status", "200"}, {"content-length", "10"}}), data("good"), data("evil evil", kEndStream)}},
      {"trailers_before_the_length_is_reached",
       Seen::part,
       {fields({{":status", "200"}, {"content-length", "10"}}), data("good"), fields({{"x-t", "evil"}}, kEndStream)}},
      trailers("trailers_with_a_status", {{":status", "200"}, {"x-t", "evil"}}),
      trailers("trailers_with_a_pseudo_field_last", {{"x-t", "evil"}, {":path", "/"}}),
      trailers("trailers_in_upper_case", {{"X-Evil", "evil"}}),
      trailers("trailers_of_the_connection", {{"connection", "evil"}}),
      trailers("trailers_with_framing", {{"transfer-encoding", "evil"}}),
      trailers("trailers_with_a_line_break", {{"x-t", "a\r\nevil: 1"}}),
      trailers("a_second_head", {{":status", "200"}, {"x-t", "evil"}}, 0),
      trailers("trailers_that_do_not_end_the_stream", {{"x-t", "evil"}}, 0),
  };
}

std::vector<Malformed> all_malformed() {
  std::vector<Malformed> all = heads();
  for (Malformed& one : sequences()) all.push_back(std::move(one));
  return all;
}

Script script_of(const std::vector<Frame>& frames) {
  Script script;
  for (const Frame& frame : frames) {
    // Apart from each other, so that what is right goes on before the fault is found.
    script.push_back({Action::Kind::raw, h2_frame(frame.type, frame.flags, 0, frame.payload), {}, 1});
    script.push_back(wait_for(1ms));
  }
  script.push_back(wait_for(kForever));
  return script;
}

class Http2Malformed : public OverWiresWith<Malformed> {};

TEST_P(Http2Malformed, AnswersEndTheirOwnStreamAndNothingOfThemPasses) {
  backend().on("/bad", script_of(param().frames));
  backend().on("/good", Script{send_bytes("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfirs"), wait_for(200ms),
                               send_bytes("last")});
  start();
  SimClient& good = connect();
  good.get("/good");
  run(20ms);
  SimClient& bad = connect();
  bad.request(param().method, "/bad");
  run(100ms);

  if (param().seen == Seen::nothing) {
    ASSERT_EQ(bad.answer_count(), 1U);
    expect_local_reply(bad, 502, "upstream_protocol_error");
    EXPECT_EQ(last_log("reason"), "upstream_protocol_error");
  } else if (param().seen == Seen::all) {
    ASSERT_EQ(bad.answer_count(), 1U);
    EXPECT_NE(bad.answers().back().status, 502);
    EXPECT_EQ(bad.answers().back().body, "");
  } else {
    EXPECT_EQ(bad.answer_count(), 0U);
    EXPECT_TRUE(broken_off(bad));
    EXPECT_TRUE(std::string_view("good").starts_with(bad.reader().current.body)) << bad.reader().current.body;
  }
  EXPECT_EQ(bad.received().find("evil"), std::string::npos) << bad.received();
  EXPECT_EQ(last_log("attempts"), "1");  // what breaks rules is not asked again

  // The stream's fault, and not the connection's.
  ASSERT_EQ(backend().heads(), 2U);
  EXPECT_TRUE(exchange(1).stopped());
  run(200ms);
  ASSERT_EQ(good.answer_count(), 1U);
  EXPECT_EQ(good.answers().back().body, "firslast");
  EXPECT_EQ(get("/good").answer_count(), 0U);
  run(300ms);
  EXPECT_EQ(backend().connections().size(), 1U);
  EXPECT_EQ(clients_.back()->answer_count(), 1U);
}

// What follows the end of a stream is the connection's fault (RFC 9113 5.1): the answer stands, nothing of the rest
// gets through, and others can ask again.
class Http2BehindTheEnd : public OverWiresWith<Malformed> {};

TEST_P(Http2BehindTheEnd, NothingPasses) {
  backend().on("/bad", script_of(param().frames));
  start();
  SimClient& bad = connect();
  bad.request(param().method, "/bad");
  run(100ms);
  ASSERT_EQ(bad.answer_count(), 1U);
  EXPECT_EQ(bad.answers().back().status, 200);
  EXPECT_EQ(bad.answers().back().body, "");
  EXPECT_EQ(bad.received().find("evil"), std::string::npos) << bad.received();
  SimClient& next = get("/");
  ASSERT_EQ(next.answer_count(), 1U);
  EXPECT_EQ(next.answers().back().status, 200);
  EXPECT_EQ(bad.answer_count(), 1U);
  EXPECT_EQ(next.received().find("evil"), std::string::npos) << next.received();
}

std::vector<Malformed> behind_the_end() {
  const Frame end = fields({{":status", "200"}}, kEndStream);
  return {
      {"a_second_head", Seen::all, {end, fields({{":status", "200"}, {"x-evil", "evil"}}, kEndStream)}},
      {"a_second_head_that_is_malformed", Seen::all, {end, fields({{"x-evil", "evil"}})}},
      {"an_interim", Seen::all, {end, fields({{":status", "103"}, {"x-evil", "evil"}})}},
      {"data", Seen::all, {end, data("evil", kEndStream)}},
  };
}

INSTANTIATE_TEST_SUITE_P(, Http2BehindTheEnd,
                         testing::Combine(testing::ValuesIn(kWiresToHttp2), testing::ValuesIn(behind_the_end())),
                         [](const auto& info) {
                           return name_of(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
                         });

INSTANTIATE_TEST_SUITE_P(, Http2Malformed,
                         testing::Combine(testing::ValuesIn(kWiresToHttp2), testing::ValuesIn(all_malformed())),
                         [](const auto& info) {
                           return name_of(std::get<0>(info.param)) + "_" + std::get<1>(info.param).name;
                         });

}  // namespace
}  // namespace weir::sim
