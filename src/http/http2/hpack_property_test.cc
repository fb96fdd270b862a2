// What must hold for any list of fields: it comes back as it was, and another implementation understands ours as we
// understand its.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>

#include "base/rng.h"
#include "http/http2/hpack_test_peer.h"

namespace weir::http2 {
namespace {

using test::Deflater;
using test::Inflater;
using test::Line;
using test::Lines;

// Names and values that come again, mixed with some that do not.
Lines draw_lines(Rng& rng) {
  static constexpr const char* kNames[] = {":method", ":path",        ":authority", ":status", "accept",      "cookie",
                                           "etag",    "x-request-id", "x-a",        "x-b",     "user-agent",  "date",
                                           "te",      "set-cookie",   "vary",       "host",    "content-type"};
  static constexpr const char* kValues[] = {"GET",           "/",         "200",      "",
                                            "gzip, deflate", "text/html", "a=b; c=d", "\x80\xff"};
  Lines lines;
  for (std::uint64_t i = rng.below(12); i-- > 0;) {
    Line line;
    line.name = rng.chance(0.9) ? kNames[rng.below(std::size(kNames))] : "x-" + std::to_string(rng.below(200));
    if (rng.chance(0.7)) {
      line.value = kValues[rng.below(std::size(kValues))];
    } else {
      const std::uint64_t size = rng.chance(0.05) ? rng.below(5000) : rng.below(100);
      const bool any = rng.chance(0.3);
      for (std::uint64_t n = 0; n < size; ++n)
        line.value += static_cast<char>(any ? rng.below(256) : rng.between('0', 'z'));
    }
    line.never_indexed = rng.chance(0.1);
    lines.push_back(std::move(line));
  }
  return lines;
}

TEST(HpackProperties, Nghttp2ReadsWhatWeWrite) {
  Rng rng(1);
  for (int connection = 0; connection < 100; ++connection) {
    HpackEncoder encoder;
    Inflater peer;
    for (int i = 0; i < 60; ++i) {
      if (rng.chance(0.1)) {
        const std::uint64_t changes = rng.between(1, 3);
        for (std::uint64_t n = 0; n < changes; ++n) {
          const auto bytes = static_cast<std::uint32_t>(rng.chance(0.3) ? 0 : rng.below(8192));
          encoder.set_table_bytes_max(bytes);
          ASSERT_EQ(nghttp2_hd_inflate_change_table_size(peer.self, bytes), 0);
        }
      }
      const Lines lines = draw_lines(rng);
      const test::Decoded decoded = peer.decode(test::encode(encoder, lines));
      ASSERT_FALSE(decoded.error) << connection << " " << i;
      ASSERT_TRUE(decoded.lines == lines) << connection << " " << i;
      ASSERT_EQ(nghttp2_hd_inflate_get_dynamic_table_size(peer.self), encoder.table_bytes());
    }
  }
}

TEST(HpackProperties, WeReadWhatNghttp2Writes) {
  Rng rng(2);
  for (int connection = 0; connection < 100; ++connection) {
    HpackDecoder decoder;
    Deflater peer;
    for (int i = 0; i < 60; ++i) {
      if (rng.chance(0.1)) {
        const std::uint64_t changes = rng.between(1, 3);
        for (std::uint64_t n = 0; n < changes; ++n) {
          const auto bytes = static_cast<std::uint32_t>(rng.chance(0.3) ? 0 : rng.below(kDefaultTableBytes + 1));
          decoder.set_table_bytes_max(bytes);
          ASSERT_EQ(nghttp2_hd_deflate_change_table_size(peer.self, bytes), 0);
        }
      }
      Lines lines = draw_lines(rng);
      const test::Decoded decoded = test::decode(decoder, peer.encode(lines));
      ASSERT_FALSE(decoded.error) << connection << " " << i;
      ASSERT_EQ(decoded.lines.size(), lines.size());
      for (std::size_t n = 0; n < lines.size(); ++n) {
        ASSERT_EQ(decoded.lines[n].name, lines[n].name);
        ASSERT_EQ(decoded.lines[n].value, lines[n].value);
        // It makes secrets of some fields by itself.
        if (lines[n].never_indexed) ASSERT_TRUE(decoded.lines[n].never_indexed);
      }
      ASSERT_EQ(nghttp2_hd_deflate_get_dynamic_table_size(peer.self), decoder.table_bytes());
    }
  }
}

RC_GTEST_PROP(HpackProperties, WhatIsEncodedComesBack, (std::uint64_t seed)) {
  Rng rng(seed);
  HpackEncoder encoder;
  HpackDecoder decoder;
  for (int i = 0; i < 5; ++i) {
    const Lines lines = draw_lines(rng);
    const test::Decoded decoded = test::decode(decoder, test::encode(encoder, lines));
    RC_ASSERT(!decoded.error);
    RC_ASSERT(decoded.lines == lines);
    RC_ASSERT(decoder.table_bytes() == encoder.table_bytes());
  }
}

// Bytes that are no block: we refuse more than nghttp2 does, and what both take they read alike.
TEST(HpackProperties, WhatWeTakeOfDamagedBlocksNghttp2TakesAlike) {
  Rng rng(3);
  int taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    HpackEncoder encoder;
    std::string block = test::encode(encoder, draw_lines(rng));
    for (std::uint64_t n = rng.below(3); n-- > 0 && !block.empty();)
      block[rng.below(block.size())] = static_cast<char>(rng.below(256));
    HpackDecoder decoder;
    Inflater peer;
    const test::Decoded ours = test::decode(decoder, block);
    if (ours.error) continue;
    const test::Decoded theirs = peer.decode(block);
    ++taken;
    ASSERT_FALSE(theirs.error) << i;
    ASSERT_TRUE(theirs.lines == ours.lines) << i;
    ASSERT_EQ(nghttp2_hd_inflate_get_dynamic_table_size(peer.self), decoder.table_bytes()) << i;
  }
  EXPECT_GT(taken, 5'000);
}

}  // namespace
}  // namespace weir::http2
