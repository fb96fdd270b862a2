#include "http/http2/huffman.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace weir::http2 {
namespace {

constexpr unsigned kSymbols = 257;
constexpr unsigned kEos = 256;
constexpr unsigned kBitsMax = 30;

// Bits of each symbol's code. The codes follow from them: they are canonical, that is, ascend by length and then by
// symbol.
constexpr std::array<std::uint8_t, kSymbols> kBits = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,  // 0x00
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,  // 0x10
    6,  10, 10, 12, 13, 6,  8,  11, 10, 10, 8,  11, 8,  6,  6,  6,   // 0x20
    5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8,  15, 6,  12, 10,  // 0x30
    13, 6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,   // 0x40
    7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8,  13, 19, 13, 14, 6,   // 0x50
    15, 5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,   // 0x60
    6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7,  15, 11, 14, 13, 28,  // 0x70
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,  // 0x80
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,  // 0x90
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,  // 0xa0
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,  // 0xb0
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,  // 0xc0
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,  // 0xd0
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,  // 0xe0
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,  // 0xf0
    30};

struct Code {
  std::uint32_t bits;
  std::uint32_t size;
};

// Of one length: its first code, and where its symbols begin in kByCode.
struct Length {
  std::uint32_t first_code;
  std::uint16_t first_symbol;
  std::uint16_t count;
};

struct Tables {
  std::array<Code, kSymbols> codes{};
  std::array<Length, kBitsMax + 1> lengths{};
  std::array<std::uint16_t, kSymbols> by_code{};
};

consteval Tables make_tables() {
  Tables tables;
  std::uint32_t code = 0;
  std::uint16_t at = 0;
  for (unsigned bits = 1; bits <= kBitsMax; ++bits) {
    code <<= 1;
    tables.lengths[bits] = {code, at, 0};
    for (unsigned symbol = 0; symbol < kSymbols; ++symbol) {
      if (kBits[symbol] != bits) continue;
      tables.codes[symbol] = {code++, bits};
      tables.by_code[at++] = static_cast<std::uint16_t>(symbol);
      ++tables.lengths[bits].count;
    }
  }
  if (at != kSymbols || code != std::uint32_t{1} << kBitsMax) throw "not a complete code";
  return tables;
}
constexpr Tables kTables = make_tables();

// What the next kLookupBits bits begin with: up to two symbols.
constexpr unsigned kLookupBits = 11;
struct Lookup {
  std::array<char, 2> symbols{};
  std::uint8_t bits = 0;        // of all its symbols; 0: a longer code
  std::uint8_t first_bits : 4;  // of the first symbol
  std::uint8_t count : 4;
};

consteval std::array<Lookup, 1 << kLookupBits> make_lookup() {
  std::array<Lookup, 1 << kLookupBits> table{};
  for (unsigned a = 0; a < kEos; ++a) {
    const unsigned a_bits = kBits[a];
    if (a_bits > kLookupBits) continue;
    const unsigned a_room = kLookupBits - a_bits;
    const unsigned a_first = kTables.codes[a].bits << a_room;
    for (unsigned i = 0; i < 1u << a_room; ++i) {
      Lookup& entry = table[a_first + i];
      entry.symbols[0] = static_cast<char>(a);
      entry.bits = entry.first_bits = static_cast<std::uint8_t>(a_bits);
      entry.count = 1;
    }
    for (unsigned b = 0; b < kEos; ++b) {
      if (kBits[b] > a_room) continue;
      const unsigned room = a_room - kBits[b];
      const unsigned first = a_first + (kTables.codes[b].bits << room);
      for (unsigned i = 0; i < 1u << room; ++i) {
        Lookup& entry = table[first + i];
        entry.symbols[1] = static_cast<char>(b);
        entry.bits = static_cast<std::uint8_t>(a_bits + kBits[b]);
        entry.count = 2;
      }
    }
  }
  return table;
}
constexpr std::array<Lookup, 1 << kLookupBits> kLookup = make_lookup();

// The symbol that the top bits of `window` begin with, one of more than kLookupBits bits.
unsigned decode_long(std::uint64_t window, unsigned& bits) {
  for (bits = kLookupBits + 1; bits < kBitsMax; ++bits) {
    const Length& length = kTables.lengths[bits];
    const auto index = static_cast<std::uint32_t>(window >> (64 - bits)) - length.first_code;
    if (index < length.count) return kTables.by_code[length.first_symbol + index];
  }
  const Length& length = kTables.lengths[kBitsMax];
  const auto index = static_cast<std::uint32_t>(window >> (64 - kBitsMax)) - length.first_code;
  return kTables.by_code[length.first_symbol + index];
}

std::uint64_t load_big_endian(const char* p) {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
  return word;
}

}  // namespace

char* huffman_decode(std::string_view encoded, char* out) {
  const char* p = encoded.data();
  const char* const end = p + encoded.size();
  std::uint64_t window = 0;  // the next bits, from the top
  unsigned have = 0;         // how many of them are known to be there
  while (end - p >= 8) {
    window |= load_big_endian(p) >> have;
    p += (63 - have) >> 3;
    have |= 56;
    do {  // no code is longer than what is there
      const Lookup entry = kLookup[window >> (64 - kLookupBits)];
      unsigned bits = entry.bits;
      std::memcpy(out, entry.symbols.data(), 2);
      out += entry.count;
      if (bits == 0) [[unlikely]] {
        const unsigned symbol = decode_long(window, bits);
        if (symbol == kEos) return nullptr;
        *out++ = static_cast<char>(symbol);
      }
      window <<= bits;
      have -= bits;
    } while (have >= kBitsMax);
  }
  while (true) {
    for (; have <= 56 && p != end; have += 8) window |= std::uint64_t{static_cast<unsigned char>(*p++)} << (56 - have);
    // Behind the end there are ones, as in the padding.
    const std::uint64_t bits_left = have == 64 ? window : window | (~std::uint64_t{0} >> have);
    const Lookup entry = kLookup[bits_left >> (64 - kLookupBits)];
    unsigned bits = entry.bits;
    if (entry.count == 2 && bits <= have) {
      std::memcpy(out, entry.symbols.data(), 2);
      out += 2;
    } else if (entry.count != 0 && entry.first_bits <= have) {
      *out++ = entry.symbols[0];
      bits = entry.first_bits;
    } else {
      unsigned symbol = kEos;
      if (entry.count == 0) symbol = decode_long(bits_left, bits);
      if (entry.count != 0 || bits > have) return have < 8 && bits_left == ~std::uint64_t{0} ? out : nullptr;
      if (symbol == kEos) return nullptr;
      *out++ = static_cast<char>(symbol);
    }
    window = bits == 64 ? 0 : window << bits;
    have -= bits;
  }
}

std::size_t huffman_size(std::string_view text) {
  std::size_t bits = 0;
  for (const char c : text) bits += kBits[static_cast<unsigned char>(c)];
  return (bits + 7) / 8;
}

char* huffman_encode(std::string_view text, char* out) {
  const char* const limit = out + text.size();  // not reached by what is shorter
  std::uint64_t window = 0;                     // the low `have` bits are still to be written
  unsigned have = 0;
  for (const char c : text) {
    const Code code = kTables.codes[static_cast<unsigned char>(c)];
    window = window << code.size | code.bits;
    have += code.size;
    if (have < 32) continue;
    have -= 32;
    auto word = static_cast<std::uint32_t>(window >> have);
    if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap32(word);
    std::memcpy(out, &word, sizeof word);
    out += sizeof word;
    if (out >= limit) return nullptr;
  }
  const unsigned padding = (8 - have % 8) % 8;
  window = window << padding | ((1u << padding) - 1);
  for (have += padding; have > 0; have -= 8) *out++ = static_cast<char>(window >> (have - 8));
  return out < limit ? out : nullptr;
}

}  // namespace weir::http2
