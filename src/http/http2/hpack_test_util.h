#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "http/http2/hpack.h"

// What the tests, fuzz targets and benchmarks of HPACK share.
namespace weir::http2::test {

struct Line {
  std::string name;
  std::string value;
  bool never_indexed = false;

  bool operator==(const Line&) const = default;
};
using Lines = std::vector<Line>;

struct Decoded {
  Lines lines;
  bool error = false;

  bool operator==(const Decoded&) const = default;
};

// Decodes a block; each text is read when the block is done if it is kept, else at once.
inline Decoded decode(HpackDecoder& decoder, std::string_view block, Arena& arena) {
  Decoded decoded;
  std::vector<HpackField> kept;
  decoder.begin_block(block, arena);
  HpackField field;
  while (true) {
    const HpackDecoder::Status status = decoder.next(field);
    decoded.error = status == HpackDecoder::Status::error;
    if (status != HpackDecoder::Status::field) break;
    if (kept.size() % 3 == 0) decoder.keep(field);
    kept.push_back(field);
    decoded.lines.push_back({std::string(field.name), std::string(field.value), field.never_indexed});
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i].name_kept) decoded.lines[i].name = kept[i].name;
    if (kept[i].value_kept) decoded.lines[i].value = kept[i].value;
  }
  return decoded;
}

inline Decoded decode(HpackDecoder& decoder, std::string_view block) {
  BufferPool pool;
  Arena arena(pool);
  return decode(decoder, block, arena);
}

inline std::string encode(HpackEncoder& encoder, const Lines& lines) {
  BufferPool pool;
  Buffer out(pool);
  encoder.begin_block(out);
  for (const Line& line : lines) encoder.add(out, line.name, line.value, http::field_id(line.name), line.never_indexed);
  std::string block(out.size(), '\0');
  out.peek(block.data(), block.size());
  return block;
}

// "8286 8441" to bytes.
inline std::string bytes(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string result;
  for (std::size_t i = 0; i < hex.size();) {
    if (hex[i] == ' ') {
      ++i;
      continue;
    }
    result += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
    i += 2;
  }
  return result;
}

}  // namespace weir::http2::test
