#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

// WEIR_SCALAR: as on a machine with none of these instruction sets; http1_scalar_test is built so.
#if defined(WEIR_SCALAR)
#elif defined(__SSE4_2__)
#include <nmmintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

// Finding the first byte that does not belong to a set: what nearly all of parsing is. Each instruction set gives the
// same answers; Simd is the best of the machine that was compiled for.
namespace weir::http {

// A set of bytes: any of ASCII, and all or none of 0x80..0xff.
struct CharClass {
  std::array<std::uint8_t, 16> low{};  // bit h of low[l]: the character with high nibble h and low nibble l belongs
  bool high = false;

  constexpr bool contains(char c) const {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x80 ? ((low[u & 15] >> (u >> 4)) & 1) != 0 : high;
  }
  constexpr CharClass with(const char* characters) const {
    CharClass result = *this;
    for (; *characters != 0; ++characters) result.set(static_cast<unsigned char>(*characters));
    return result;
  }
  constexpr CharClass without(const char* characters) const {
    CharClass result = *this;
    for (; *characters != 0; ++characters) {
      const auto u = static_cast<unsigned char>(*characters);
      result.low[u & 15] = static_cast<std::uint8_t>(result.low[u & 15] & ~(1u << (u >> 4)));
    }
    return result;
  }
  constexpr CharClass with_range(unsigned char first, unsigned char last) const {
    CharClass result = *this;
    for (unsigned c = first; c <= last; ++c) result.set(static_cast<unsigned char>(c));
    return result;
  }
  constexpr CharClass with_high() const {
    CharClass result = *this;
    result.high = true;
    return result;
  }

  bool operator==(const CharClass&) const = default;

  constexpr void set(unsigned char u) { low[u & 15] = static_cast<std::uint8_t>(low[u & 15] | (1u << (u >> 4))); }
};

inline constexpr CharClass kAlphaNumeric = CharClass{}.with_range('0', '9').with_range('a', 'z').with_range('A', 'Z');
// RFC 9110 5.6.2.
inline constexpr CharClass kTokenChars = kAlphaNumeric.with("!#$%&'*+-.^_`|~");
// RFC 9110 5.5: HTAB, SP, VCHAR, obs-text.
inline constexpr CharClass kValueChars = CharClass{}.with_range(0x20, 0x7e).with("\t").with_high();
// RFC 3986 2.3.
inline constexpr CharClass kUnreservedChars = kAlphaNumeric.with("-._~");
// What a request target may hold: RFC 3986 without "#", and what browsers send unencoded.
inline constexpr CharClass kTargetChars = kUnreservedChars.with("!$&'()*+,;=:@/?%[]|^{}");

struct Scalar {
  template <CharClass kClass>
  static const char* find_not_in(const char* p, const char* end) {
    while (p != end && kClass.contains(*p)) ++p;
    return p;
  }
};

#if defined(WEIR_SCALAR)
using Simd = Scalar;
#elif defined(__SSE4_2__)
struct Sse {
  // A bit for each of 16 bytes that is outside the class.
  template <CharClass kClass>
  static unsigned outside(const char* p) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    if constexpr (kClass == kValueChars) {  // the one that most bytes are compared with: cheaper without tables
      const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
      const __m128i tab = _mm_cmpeq_epi8(x, _mm_set1_epi8('\t'));
      const __m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));
      return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del)));
    } else {
      const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kClass.low.data()));
      const __m128i bits = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
      const __m128i row = _mm_shuffle_epi8(low, x);  // 0 where x >= 0x80
      const __m128i bit = _mm_shuffle_epi8(bits, _mm_and_si128(_mm_srli_epi16(x, 4), _mm_set1_epi8(15)));
      const __m128i none = _mm_cmpeq_epi8(_mm_and_si128(row, bit), _mm_setzero_si128());
      const auto mask = static_cast<unsigned>(_mm_movemask_epi8(none));
      return kClass.high ? mask & ~static_cast<unsigned>(_mm_movemask_epi8(x)) : mask;
    }
  }

  template <CharClass kClass>
  static const char* find_not_in(const char* p, const char* end) {
    for (; end - p >= 16; p += 16) {
      const unsigned mask = outside<kClass>(p);
      if (mask != 0) return p + std::countr_zero(mask);
    }
    return Scalar::find_not_in<kClass>(p, end);
  }
};
using Simd = Sse;
#elif defined(__ARM_NEON) && defined(__aarch64__)
struct Neon {
  template <CharClass kClass>
  static const char* find_not_in(const char* p, const char* end) {
    static constexpr std::uint8_t kBits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 0, 0, 0, 0, 0, 0};
    const uint8x16_t low = vld1q_u8(kClass.low.data());
    const uint8x16_t bits = vld1q_u8(kBits);
    for (; end - p >= 16; p += 16) {
      const uint8x16_t x = vld1q_u8(reinterpret_cast<const std::uint8_t*>(p));
      const uint8x16_t row = vqtbl1q_u8(low, vandq_u8(x, vdupq_n_u8(15)));
      const uint8x16_t bit = vqtbl1q_u8(bits, vshrq_n_u8(x, 4));  // 0 where x >= 0x80
      uint8x16_t outside = vmvnq_u8(vtstq_u8(row, bit));
      if constexpr (kClass.high) outside = vandq_u8(outside, vcltq_u8(x, vdupq_n_u8(0x80)));
      const std::uint64_t mask =
          vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(outside), 4)), 0);  // 4 bits a byte
      if (mask != 0) return p + std::countr_zero(mask) / 4;
    }
    return Scalar::find_not_in<kClass>(p, end);
  }
};
using Simd = Neon;
#else
using Simd = Scalar;
#endif

// The first byte in [p, end) outside the class, or end. Reads nothing outside [p, end).
template <CharClass kClass>
inline const char* find_not_in(const char* p, const char* end) {
  return Simd::find_not_in<kClass>(p, end);
}

}  // namespace weir::http
