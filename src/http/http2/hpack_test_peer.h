#pragma once

#include <nghttp2/nghttp2.h>

#include <string>
#include <string_view>

#include "base/assert.h"
#include "http/http2/hpack_test_util.h"

// Another implementation of HPACK, for tests and fuzz targets to differ from.
namespace weir::http2::test {

struct Deflater {
  nghttp2_hd_deflater* self = nullptr;
  Deflater() { WEIR_CHECK(nghttp2_hd_deflate_new(&self, kDefaultTableBytes) == 0); }
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
    WEIR_CHECK(size >= 0);
    block.resize(static_cast<std::size_t>(size));
    return block;
  }
};

struct Inflater {
  nghttp2_hd_inflater* self = nullptr;
  Inflater() { WEIR_CHECK(nghttp2_hd_inflate_new(&self) == 0); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { nghttp2_hd_inflate_del(self); }

  Decoded decode(std::string_view block) {
    Decoded decoded;
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

}  // namespace weir::http2::test
