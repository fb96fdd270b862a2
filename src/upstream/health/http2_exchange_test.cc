#include "upstream/health/http2_exchange.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "http/http2/session_test_util.h"

namespace weir::health {
namespace {

using http2::ErrorCode;
using http2::Role;
using http2::test::OwnedStream;
using http2::test::Owner;
using std::string_literals::operator""s;

// A message of HealthCheckResponse in gRPC's frame.
std::string message(std::string_view bytes) {
  std::string framed(5, '\0');
  http2::write_u32(framed.data() + 1, static_cast<std::uint32_t>(bytes.size()));
  return framed.append(bytes);
}
std::string status(char number) {
  return message("\x08"s + number);
}

class Http2ExchangeTest : public testing::Test {
 protected:
  ~Http2ExchangeTest() override {
    exchange.reset();
    EXPECT_EQ(pool.outstanding(), 0U);
  }

  void start() { exchange.emplace(pool, settings, "app:50051", secure, server.now); }
  // Both sides talk until neither has more to say.
  void talk(std::size_t piece = SIZE_MAX) {
    for (int i = 0; i < 20; ++i) {
      server.feed(exchange->take_output());
      const std::string bytes = server.take_all();
      if (bytes.empty()) return;
      for (std::size_t at = 0; at < bytes.size() && !result; at += std::min(piece, bytes.size() - at)) {
        result = exchange->receive(std::string_view(bytes).substr(at, piece), server.now);
      }
    }
  }
  // A head, a message, and trailers with a grpc-status.
  void answer(std::string_view body, std::string_view grpc_status, std::uint16_t http_status = 200,
              std::string_view type = "application/grpc+proto") {
    http::ResponseHead head(arena);
    head.status = http_status;
    head.version = http::Version::http_2;
    head.fields.add("content-type", type, http::FieldId::content_type);
    OwnedStream& stream = server.stream(1);
    server.session.send_head(stream, head, false);
    server.session.send_body(stream, body);
    trailers.add("grpc-status", grpc_status, http::FieldId::other);
    server.session.send_end(stream, grpc_status.empty() ? nullptr : &trailers);
    talk();
  }
  void trailers_only(std::string_view grpc_status) {
    http::ResponseHead head(arena);
    head.status = 200;
    head.version = http::Version::http_2;
    head.fields.add("content-type", "application/grpc", http::FieldId::content_type);
    head.fields.add("grpc-status", grpc_status, http::FieldId::other);
    server.session.send_head(server.stream(1), head, true);
    talk();
  }
  void expect(Outcome outcome, std::string_view reason) {
    ASSERT_TRUE(result);
    EXPECT_EQ(result->outcome, outcome);
    EXPECT_EQ(result->reason, reason);
  }

  BufferPool pool{4};
  BufferPool own_pool{4};
  Arena arena{own_pool};
  http::FieldList trailers{arena};
  HealthCheckSettings settings;
  bool secure = false;
  Owner server{Role::server};
  std::optional<Http2Exchange> exchange;
  std::optional<ProbeResult> result;
};

class GrpcCallTest : public Http2ExchangeTest {
 protected:
  GrpcCallTest() { settings.type = CheckType::grpc; }
};

TEST_F(GrpcCallTest, AsksForTheWholeServer) {
  start();
  talk();
  EXPECT_EQ(server.stream(1).request.method_text, "POST");
  EXPECT_EQ(server.stream(1).request.path, "/grpc.health.v1.Health/Check");
  EXPECT_EQ(server.stream(1).request.authority, "app:50051");
  EXPECT_EQ(server.stream(1).request.scheme, "http");
  EXPECT_EQ(server.stream(1).request.fields.find("content-type")->value(), "application/grpc");
  EXPECT_EQ(server.stream(1).request.fields.find("te")->value(), "trailers");
  EXPECT_EQ(server.stream(1).request.fields.find("grpc-timeout")->value(), "2000000u");
  EXPECT_EQ(server.stream(1).body, std::string(5, '\0'));
  EXPECT_TRUE(server.stream(1).ended);
  answer(status(1), "0");
  expect(Outcome::success, "SERVING");
}

TEST_F(GrpcCallTest, AsksForAService) {
  settings.service = std::string(200, 's');
  secure = true;
  start();
  talk();
  EXPECT_EQ(server.stream(1).request.scheme, "https");
  EXPECT_EQ(server.stream(1).body, message("\x0a\xc8\x01" + settings.service));
  answer(status(1), "0");
  expect(Outcome::success, "SERVING");
}

TEST_F(GrpcCallTest, OnlyServingIsHealthy) {
  const std::pair<std::string, std::string> kAnswers[] = {
      {message(""), "UNKNOWN"},
      {status(0), "UNKNOWN"},
      {status(2), "NOT_SERVING"},
      {status(3), "SERVICE_UNKNOWN"},
      {status(4), "health status 4"},
      {message("\x08"), "its answer can't be read"},
      {message("\x0a\x05x"), "its answer can't be read"},
      {"", "its answer can't be read"},
      {"\1"s + status(1).substr(1), "its answer can't be read"},  // compressed, which nobody asked for
      {status(1) + "x", "its answer can't be read"},
  };
  for (const auto& [body, reason] : kAnswers) {
    Owner fresh(Role::server);
    SCOPED_TRACE(reason);
    Http2Exchange one(pool, settings, "a", false, fresh.now);
    fresh.feed(one.take_output());
    http::FieldList ok(arena);
    ok.add("grpc-status", "0", http::FieldId::other);
    http::ResponseHead head(arena);
    head.status = 200;
    head.version = http::Version::http_2;
    head.fields.add("content-type", "application/grpc", http::FieldId::content_type);
    fresh.session.send_head(fresh.stream(1), head, false);
    fresh.session.send_body(fresh.stream(1), body);
    fresh.session.send_end(fresh.stream(1), &ok);
    result = one.receive(fresh.take_all(), fresh.now);
    expect(Outcome::failure, reason);
  }
}

TEST_F(GrpcCallTest, OtherFieldsOfTheMessageAreSkipped) {
  start();
  talk();
  answer(message("\x12\x02hi\x19" + std::string(8, 'x') + "\x25" + std::string(4, 'y') + "\x08\x01\x30\x80\x01"), "0");
  expect(Outcome::success, "SERVING");
}

TEST_F(GrpcCallTest, AStatusOfTheCallIsAFailure) {
  start();
  talk();
  trailers_only("12");
  expect(Outcome::failure, "grpc-status 12: it has no health service");
}

TEST_F(GrpcCallTest, AServiceThatIsNotKnown) {
  start();
  talk();
  trailers_only("5");
  expect(Outcome::failure, "grpc-status 5: it does not know the service");
}

TEST_F(GrpcCallTest, AStatusBehindAMessageHoldsToo) {
  start();
  talk();
  answer(status(1), "14");
  expect(Outcome::failure, "grpc-status 14");
}

TEST_F(GrpcCallTest, AnAnswerWithoutAStatusIsNone) {
  start();
  talk();
  answer(status(1), "");
  expect(Outcome::failure, "its answer has no grpc-status");
}

TEST_F(GrpcCallTest, AnAnswerOfHttpIsNone) {
  start();
  talk();
  answer("not found", "", 404, "text/plain");
  expect(Outcome::failure, "status 404");
}

TEST_F(GrpcCallTest, AnAnswerOfAnotherTypeIsNone) {
  start();
  talk();
  answer(status(1), "0", 200, "text/html");
  expect(Outcome::failure, "its answer is not gRPC's");
}

TEST_F(GrpcCallTest, AnAnswerMayComeByteByByte) {
  start();
  talk(1);
  http::ResponseHead head(arena);
  head.status = 200;
  head.version = http::Version::http_2;
  head.fields.add("content-type", "application/grpc", http::FieldId::content_type);
  server.session.send_head(server.stream(1), head, false);
  server.session.send_body(server.stream(1), status(1));
  trailers.add("grpc-status", "0", http::FieldId::other);
  server.session.send_end(server.stream(1), &trailers);
  talk(1);
  expect(Outcome::success, "SERVING");
}

TEST_F(GrpcCallTest, AnEndlessAnswerIsGivenUp) {
  start();
  talk();
  answer(std::string(5000, 'x'), "0");
  expect(Outcome::failure, "its answer is too long");
}

TEST_F(GrpcCallTest, AResetIsAFailure) {
  start();
  talk();
  server.session.reset(server.stream(1), ErrorCode::enhance_your_calm);
  talk();
  expect(Outcome::failure, "stream reset: ENHANCE_YOUR_CALM");
}

TEST_F(GrpcCallTest, AGoawayIsAFailure) {
  start();
  result = exchange->receive(http2::test::settings() + http2::test::goaway(0), server.now);
  expect(Outcome::failure, "it takes no more requests");
}

TEST_F(GrpcCallTest, AnotherProtocolIsAFailure) {
  start();
  result = exchange->receive("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", server.now);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, Outcome::failure);
  EXPECT_TRUE(result->reason.starts_with("bad answer: ")) << result->reason;
}

TEST_F(GrpcCallTest, AnEndIsAFailure) {
  start();
  result = exchange->ended();
  expect(Outcome::failure, "it does not speak HTTP/2");
  result.reset();
  talk();
  result = exchange->ended();
  expect(Outcome::failure, "closed before it answered");
}

// A GET, answered by frames as they stand on the wire.
class GetTest : public Http2ExchangeTest {
 protected:
  GetTest() {
    settings.path = "/health?full=1";
    settings.expect = {{200, 299}, {404, 404}};
    settings.head_limits.header_bytes = 8 * 1024;
    start();
  }
  void receive(std::string_view frames) {
    if (result) return;
    result = exchange->receive(http2::test::settings() + std::string(frames), server.now);
  }
  // An answer's head that enters no table.
  static std::string head(std::string_view status, bool end, std::string_view more = {}) {
    return http2::test::headers(1, http2::test::field(":status", status) + std::string(more), end);
  }
};

TEST_F(GetTest, AsksAsTheSettingsSay) {
  talk();
  EXPECT_EQ(server.stream(1).request.method_text, "GET");
  EXPECT_EQ(server.stream(1).request.path, "/health?full=1");
  EXPECT_EQ(server.stream(1).request.authority, "app:50051");
  EXPECT_EQ(server.stream(1).request.fields.find("user-agent")->value(), "weir-health-check");
  EXPECT_EQ(server.stream(1).request.fields.find("accept")->value(), "*/*");
  EXPECT_EQ(server.stream(1).request.fields.find("te"), nullptr);
  EXPECT_TRUE(server.stream(1).ended);
  EXPECT_EQ(server.stream(1).body, "");
  server.respond(1, "well");
  talk();
  expect(Outcome::success, "status 200");
}

TEST_F(GetTest, AHeadMayBeAllOfTheAnswer) {
  receive(head("404", true));
  expect(Outcome::success, "status 404");
}

TEST_F(GetTest, TheRestOfAnAnswerThatIsNotExpectedIsNotWaitedFor) {
  receive(head("503", false));
  expect(Outcome::failure, "status 503");
}

TEST_F(GetTest, InterimAnswersAreSkipped) {
  receive(head("103", false) + head("100", false));
  EXPECT_FALSE(result);
  EXPECT_FALSE(exchange->head_read());
  receive(head("200", false));
  EXPECT_FALSE(result);
  EXPECT_TRUE(exchange->head_read());
  receive(http2::test::data(1, "", true));
  expect(Outcome::success, "status 200");
}

TEST_F(GetTest, AnUpgradeIsNoAnswer) {
  receive(head("101", false));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, Outcome::failure);
}

TEST_F(GetTest, TrailersAreOfNoInterest) {
  receive(head("200", false) + http2::test::data(1, "ok") +
          http2::test::headers(1, http2::test::field("grpc-status", "14"), true));
  expect(Outcome::success, "status 200");
}

TEST_F(GetTest, ABodyIsWaitedForUpToItsBound) {
  receive(head("200", false));
  const std::string kilobytes(16 * 1024, 'x');
  for (int i = 0; i < 4; ++i) receive(http2::test::data(1, kilobytes));
  EXPECT_FALSE(result);
  receive(http2::test::data(1, "x"));
  expect(Outcome::success, "status 200");
}

TEST_F(GetTest, ABodyThatIsNotAsLongAsItSaidIsAFailure) {
  receive(head("200", false, http2::test::field("content-length", "9")) + http2::test::data(1, "ab", true));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, Outcome::failure);
  EXPECT_TRUE(result->reason.starts_with("bad answer: ")) << result->reason;
}

TEST_F(GetTest, AResetIsAFailureBeforeAndWithinTheAnswer) {
  receive(http2::test::rst_stream(1, ErrorCode::refused_stream));
  expect(Outcome::failure, "it takes no more requests");
  for (const bool begun : {false, true}) {
    start();
    result.reset();
    if (begun) receive(head("200", false));
    receive(http2::test::rst_stream(1, ErrorCode::internal_error));
    expect(Outcome::failure, "stream reset: INTERNAL_ERROR");
  }
}

TEST_F(GetTest, AGoawayThatLeavesItOutIsAFailureAndAnotherIsNot) {
  receive(http2::test::goaway(1));
  EXPECT_FALSE(result);
  receive(head("200", true));
  expect(Outcome::success, "status 200");
  start();
  result.reset();
  receive(http2::test::goaway(0));
  expect(Outcome::failure, "it takes no more requests");
}

TEST_F(GetTest, AnEndIsAFailure) {
  EXPECT_EQ(exchange->ended().reason, "it does not speak HTTP/2");
  EXPECT_FALSE(exchange->spoken());
  receive("");
  EXPECT_TRUE(exchange->spoken());
  EXPECT_EQ(exchange->ended().reason, "closed before it answered");
  receive(head("200", false));
  EXPECT_EQ(exchange->ended().reason, "closed inside its answer");
}

TEST_F(GetTest, AHeadAboveItsBoundIsAFailure) {
  receive(head("200", true, http2::test::field("x", std::string(9000, 'x'))));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->outcome, Outcome::failure);
}

}  // namespace
}  // namespace weir::health
