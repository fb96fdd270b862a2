#include "http/http2/frame.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace weir::http2 {
namespace {

TEST(Frame, AHeaderIsWrittenAsItIsRead) {
  char bytes[kFrameHeaderBytes];
  write_frame_header(bytes, {0x123456, 0x789abcde & kStreamIdMax, FrameType::goaway, 0x2d});
  EXPECT_EQ(std::string(bytes, sizeof(bytes)), "\x12\x34\x56\x07\x2d\x78\x9a\xbc\xde");
  const FrameHeader header = read_frame_header(bytes);
  EXPECT_EQ(header.length, 0x123456u);
  EXPECT_EQ(header.stream, 0x789abcdeu);
  EXPECT_EQ(header.type, FrameType::goaway);
  EXPECT_TRUE(header.has(kFlagPriority));
  EXPECT_FALSE(header.has(0x10));
}

TEST(Frame, TheReservedBitIsIgnored) {
  EXPECT_EQ(read_frame_header("\x00\x00\x00\x00\x00\xff\xff\xff\xff").stream, kStreamIdMax);
}

TEST(Frame, ErrorsHaveTheNamesOfTheRfc) {
  EXPECT_EQ(to_string(ErrorCode::enhance_your_calm), "ENHANCE_YOUR_CALM");
  EXPECT_EQ(to_string(static_cast<ErrorCode>(0xe)), "UNKNOWN");
  for (std::uint32_t code = 0; code <= 0xd; ++code) EXPECT_NE(to_string(static_cast<ErrorCode>(code)), "UNKNOWN");
}

}  // namespace
}  // namespace weir::http2
