// What must hold for any list of fields: it comes back as it was, and another implementation understands ours as we
// understand its.
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>

#include "base/rng.h"
#include "http/http2/hpack_test_util.h"

namespace weir::http2 {
namespace {

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

struct Deflater {
  nghttp2_hd_deflater* self = nullptr;
  Deflater() { EXPECT_EQ(nghttp2_hd_deflate_new(&self, kDefaultTableBytes), 0); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { nghttp2_hd_deflate_del(self); }

  std::string encode(const Lines& lines) {
    std::vector<nghttp2_nv> fields;
    for (const Line& line : lines) {
      fields.push_back(
          {reinterpret_cast<std::uint8_t*>(const_cast<char*>(line.name.data())),
           reinterpret_cast<std::uint8_t*>(const_cast<char*>(line.value.data())), line.name.size(), line.value.size(),
           static_cast<std::uint8_t>(line.never_indexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
    }
    std::string block(nghttp2_hd_deflate_bound(self, fields.data(), fields.size()), '\0');
    const ssize_t size = nghttp2_hd_deflate_hd(self, reinterpret_cast<std::uint8_t*>(block.data()), block.size(),
                                               fields.data(), fields.size());
    EXPECT_GE(size, 0);
    block.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return block;
  }
};

struct Inflater {
  nghttp2_hd_inflater* self = nullptr;
  Inflater() { EXPECT_EQ(nghttp2_hd_inflate_new(&self), 0); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { nghttp2_hd_inflate_del(self); }

  test::Decoded decode(std::string_view block) {
    test::Decoded decoded;
    const auto* at = reinterpret_cast<const std::uint8_t*>(block.data());
    std::size_t left = block.size();
    while (true) {
      nghttp2_nv field;
      int flags = 0;
      const ssize_t size = nghttp2_hd_inflate_hd2(self, &field, &flags, at, left, 1);
      if (size < 0) {
        decoded.error = true;
        return decoded;
      }
      at += size;
      left -= static_cast<std::size_t>(size);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
        decoded.lines.push_back({std::string(reinterpret_cast<char*>(field.name), field.namelen),
                                 std::string(reinterpret_cast<char*>(field.value), field.valuelen),
                                 (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0});
      }
      if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
    }
    nghttp2_hd_inflate_end_headers(self);
    return decoded;
  }
};

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
