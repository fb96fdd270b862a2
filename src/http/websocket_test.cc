#include "http/websocket.h"

#include <gtest/gtest.h>

#include <string>

namespace weir::http {
namespace {

std::string accept_of(std::string_view key) {
  const auto accept = websocket_accept(key);
  return {accept.data(), accept.size()};
}

TEST(Websocket, AnswersTheKeysOfTheRfc) {
  EXPECT_EQ(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // RFC 6455 1.3
  EXPECT_EQ(accept_of("x3JJHMbDL1EzLkh9GBhXDw=="), "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}

TEST(Websocket, KnowsTheRightAnswer) {
  EXPECT_TRUE(is_websocket_accept("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "dGhlIHNhbXBsZSBub25jZQ=="));
  EXPECT_FALSE(is_websocket_accept("s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "dGhlIHNhbXBsZSBub25jZQ=="));
  EXPECT_FALSE(is_websocket_accept("S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "dGhlIHNhbXBsZSBub25jZQ=="));
  EXPECT_FALSE(is_websocket_accept("", "dGhlIHNhbXBsZSBub25jZQ=="));
}

TEST(Websocket, AKeyIsSixteenBytesInBase64) {
  const auto key = websocket_key(0, 0);
  EXPECT_EQ(std::string(key.data(), key.size()), "AAAAAAAAAAAAAAAAAAAAAA==");
  EXPECT_NE(websocket_key(1, 2), websocket_key(2, 1));
  EXPECT_NE(websocket_key(1, 2), key);
}

}  // namespace
}  // namespace weir::http
