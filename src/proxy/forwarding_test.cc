#include "proxy/forwarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace weir::proxy {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Request {
  explicit Request(const Fields& fields) {
    for (const auto& [name, value] : fields) head.fields.add_copy(name, value);
    if (const http::Field* host = head.fields.find(http::FieldId::host)) head.authority = host->value();
  }
  Fields prepare(std::string_view peer, std::string_view trusted = {}, bool via = false) {
    std::vector<Cidr> ranges;
    if (!trusted.empty()) ranges.push_back(*Cidr::parse(trusted));
    const IpAddress from = peer.empty() ? IpAddress{} : *IpAddress::parse(peer);
    identity = identify_client(head, from, ranges);
    tell_of_client(head, {&identity, "http", "id-1", via});
    prepare_request(head, {&identity, "http", "id-1", via});
    Fields out;
    for (const http::Field& field : head.fields) {
      if (!field.removed) out.emplace_back(field.name(), field.value());
    }
    return out;
  }
  std::string client() const {
    char text[IpAddress::kMaxText];
    return {text, identity.client.format(text)};
  }
  BufferPool pool;
  Arena arena{pool};
  http::RequestHead head{arena};
  ClientIdentity identity;
};

TEST(Forwarding, TeTrailersOfHttp2AndGrpcPasses) {
  const auto te_of = [](const Fields& fields, http::Version version) {
    Request request(fields);
    request.head.version = version;
    std::string te;
    for (const auto& [name, value] : request.prepare("192.0.2.1")) {
      if (name == "te" || name == "connection") te += name + "=" + value + " ";
    }
    return te;
  };
  const std::string passed = "te=trailers connection=te ";
  using http::Version;
  EXPECT_EQ(te_of({{"te", "trailers"}}, Version::http_2), passed);
  EXPECT_EQ(te_of({{"te", "gzip, Trailers"}, {"connection", "te"}}, Version::http_2), passed);
  EXPECT_EQ(te_of({{"te", "trailers"}, {"content-type", "application/grpc+proto"}}, Version::http_1_1), passed);
  EXPECT_EQ(te_of({{"te", "trailers"}}, Version::http_1_1), "");
  EXPECT_EQ(te_of({{"te", "gzip"}}, Version::http_2), "");
  EXPECT_EQ(te_of({{"content-type", "application/grpc"}}, Version::http_2), "");
}

TEST(Forwarding, SetsWhatABackendIsToKnow) {
  EXPECT_THAT(Request({{"host", "a"}, {"Accept", "*/*"}}).prepare("192.0.2.1"),
              testing::ElementsAre(std::pair("host", "a"), std::pair("Accept", "*/*"),
                                   std::pair("x-forwarded-for", "192.0.2.1"), std::pair("x-forwarded-proto", "http"),
                                   std::pair("x-forwarded-host", "a"), std::pair("x-request-id", "id-1")));
}

TEST(Forwarding, TakesHopByHopFieldsOutAndWhatConnectionNames) {
  const Fields out = Request({{"host", "a"},
                              {"connection", "close, X-Mine, host, content-length, transfer-encoding, ,keep-alive"},
                              {"connection", "x-other"},
                              {"x-mine", "1"},
                              {"X-OTHER", "1"},
                              {"keep-alive", "timeout=5"},
                              {"te", "trailers"},
                              {"upgrade", "h2c"},
                              {"http2-settings", "AAMAAABkAARAAAAAAAIAAAAA"},
                              {"proxy-authorization", "secret"},
                              {"proxy-connection", "keep-alive"},
                              {"content-length", "5"},
                              {"x-kept", "1"}})
                         .prepare("192.0.2.1");
  std::vector<std::string> names;
  for (const auto& [name, value] : out) names.push_back(name);
  EXPECT_THAT(names, testing::ElementsAre("host", "content-length", "x-kept", "x-forwarded-for", "x-forwarded-proto",
                                          "x-forwarded-host", "x-request-id"));
}

TEST(Forwarding, AnUntrustedClientCannotForgeInAnySpelling) {
  for (const char* name : {"x-forwarded-for", "X_Forwarded_For", "x-forwarded_proto", "X-Forwarded-Prefix", "forwarded",
                           "X-Real-IP", "x_real_ip", "client-cert", "Client_Cert_Chain", "x-client-cert-subject",
                           "X_CLIENT_CERT_SAN", "x_request_id"}) {
    const Fields out = Request({{"host", "a"}, {name, "forged"}}).prepare("192.0.2.1");
    for (const auto& [kept, value] : out) EXPECT_NE(value, "forged") << name;
    EXPECT_EQ(out.size(), 5U) << name;
  }
  EXPECT_EQ(Request({{"host", "a"}, {"x-forwards", "1"}, {"client", "1"}}).prepare("192.0.2.1").size(), 7U);
}

TEST(Forwarding, ATrustedProxyIsAppendedTo) {
  Request request({{"host", "a"},
                   {"x-forwarded-for", "203.0.113.9, 10.0.0.2"},
                   {"x-forwarded-for", "10.0.0.3"},
                   {"x_forwarded_for", "forged"},
                   {"x-forwarded-proto", "https"},
                   {"client-cert", "forged"}});
  const Fields out = request.prepare("10.0.0.1", "10.0.0.0/8");
  EXPECT_THAT(out, testing::Contains(std::pair("x-forwarded-for", "203.0.113.9, 10.0.0.2, 10.0.0.3, 10.0.0.1")));
  EXPECT_THAT(out, testing::Contains(std::pair("x-forwarded-proto", "https")));
  EXPECT_THAT(out, testing::Contains(std::pair("x-forwarded-host", "a")));
  EXPECT_THAT(out, testing::Not(testing::Contains(testing::Pair(testing::_, "forged"))));
  EXPECT_EQ(request.client(), "203.0.113.9");
}

TEST(Forwarding, TheClientIsTheRightmostUntrustedAddress) {
  const auto client = [](std::string list, std::string_view peer = "10.0.0.1") {
    Request request({{"host", "a"}, {"x-forwarded-for", std::move(list)}});
    request.prepare(peer, "10.0.0.0/8");
    return request.client();
  };
  EXPECT_EQ(client("1.1.1.1, 203.0.113.9"), "203.0.113.9");
  EXPECT_EQ(client("1.1.1.1, 203.0.113.9", "192.0.2.1"), "192.0.2.1");  // not trusted
  EXPECT_EQ(client("10.0.0.7"), "10.0.0.7");
  EXPECT_EQ(client("1.1.1.1, unknown, 10.0.0.7"), "10.0.0.7");  // nobody knows who stands before "unknown"
  EXPECT_EQ(client(""), "10.0.0.1");
}

TEST(Forwarding, AFitRequestIdIsKeptOnce) {
  Request request({{"host", "a"}, {"x-request-id", "mine"}, {"x-request-id", "second"}});
  const std::string_view id = request.head.fields.find(http::FieldId::x_request_id)->value();
  request.identity = identify_client(request.head, *IpAddress::parse("192.0.2.1"), {});
  tell_of_client(request.head, {&request.identity, "http", id, false});
  prepare_request(request.head, {&request.identity, "http", id, false});
  EXPECT_EQ(request.head.fields.count(http::FieldId::x_request_id), 1U);
  EXPECT_EQ(request.head.fields.find(http::FieldId::x_request_id)->value(), "mine");
  EXPECT_TRUE(is_request_id(std::string(128, 'x')));
  EXPECT_FALSE(is_request_id(std::string(129, 'x')));
  EXPECT_FALSE(is_request_id(""));
  EXPECT_FALSE(is_request_id("a b"));
  EXPECT_FALSE(is_request_id("a\x80"));
}

TEST(Forwarding, FramingAndUpgradeAreSaidAnew) {
  Request chunked({{"host", "a"}, {"transfer-encoding", "Chunked"}});
  chunked.head.body = http::BodyKind::chunked;
  EXPECT_THAT(chunked.prepare("192.0.2.1"), testing::Contains(std::pair("transfer-encoding", "chunked")));
  EXPECT_EQ(chunked.head.fields.count(http::FieldId::transfer_encoding), 1U);
  Request upgrade({{"host", "a"}, {"connection", "keep-alive, Upgrade"}, {"upgrade", "WebSocket"}});
  upgrade.head.upgrade_websocket = true;
  const Fields out = upgrade.prepare("192.0.2.1", {}, true);
  EXPECT_THAT(out, testing::Contains(std::pair("connection", "upgrade")));
  EXPECT_THAT(out, testing::Contains(std::pair("upgrade", "websocket")));
  EXPECT_THAT(out, testing::Contains(std::pair("via", "1.1 weir")));
}

TEST(Forwarding, TrailersCannotSayWhatHeadsMayNot) {
  BufferPool pool;
  Arena arena(pool);
  http::FieldList trailers(arena);
  for (const char* name :
       {"x-sum", "X_Forwarded_For", "content-length", "host", "connection", "x_request_id", "Client-Cert"}) {
    trailers.add_copy(name, "1");
  }
  clean_trailers(trailers);
  std::vector<std::string> kept;
  for (const http::Field& field : trailers) {
    if (!field.removed) kept.emplace_back(field.name());
  }
  EXPECT_THAT(kept, testing::ElementsAre("x-sum"));
}

TEST(Forwarding, ResponsesLoseTheirHopAndGetADateAndAnId) {
  BufferPool pool;
  Arena arena(pool);
  http::ResponseHead head(arena);
  head.status = 200;
  for (const auto& [name, value] : Fields{{"connection", "x-secret, date"},
                                          {"x-secret", "1"},
                                          {"date", "then"},
                                          {"x-request-id", "theirs"},
                                          {"transfer-encoding", "chunked"},
                                          {"server", "s"}}) {
    head.fields.add_copy(name, value);
  }
  prepare_response(head, {"id-1", "now", false});
  Fields out;
  for (const http::Field& field : head.fields) {
    if (!field.removed) out.emplace_back(field.name(), field.value());
  }
  EXPECT_THAT(
      out, testing::ElementsAre(std::pair("server", "s"), std::pair("date", "now"), std::pair("x-request-id", "id-1")));
}

// The field that is added to a head without any.
std::string framing(std::uint16_t status, http::BodyKind body, http::Method method = http::Method::get) {
  BufferPool pool;
  Arena arena(pool);
  http::ResponseHead head(arena);
  head.status = status;
  head.body = body;
  frame_response(head, method);
  std::string text;
  for (const http::Field& field : head.fields) text += std::string(field.name()) + ": " + std::string(field.value());
  return text;
}

// An answer that HTTP/2 ends with its head left an HTTP/1.1 client waiting for the close.
TEST(Bugs, Case029AnEndWithoutALengthForHttp1) {
  using http::BodyKind;
  EXPECT_EQ(framing(200, BodyKind::stream_end), "transfer-encoding: chunked");
  EXPECT_EQ(framing(200, BodyKind::until_close), "transfer-encoding: chunked");
  EXPECT_EQ(framing(200, BodyKind::length), "");
  EXPECT_EQ(framing(200, BodyKind::none), "content-length: 0");  // END_STREAM has said it
  EXPECT_EQ(framing(302, BodyKind::none, http::Method::post), "content-length: 0");
  EXPECT_EQ(framing(200, BodyKind::none, http::Method::head), "");
  for (const unsigned status : {101u, 103u, 204u, 304u}) {
    EXPECT_EQ(framing(static_cast<std::uint16_t>(status), BodyKind::none), "") << status;
  }
}

}  // namespace
}  // namespace weir::proxy
