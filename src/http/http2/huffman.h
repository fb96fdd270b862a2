#pragma once

#include <cstddef>
#include <string_view>

// The Huffman code of HPACK (RFC 7541 5.2, appendix B). Pure.
namespace weir::http2 {

// What `size` encoded bytes decode to at most: the shortest codes have 5 bits.
constexpr std::size_t huffman_decoded_max(std::size_t size) {
  return size * 8 / 5;
}

// Decodes to `out`, which has room for huffman_decoded_max() and 1 more byte. Returns the end of what was written, or
// null if EOS occurs, or if what follows the last symbol is not fewer than 8 bits, all ones.
char* huffman_decode(std::string_view encoded, char* out);

// The bytes that `text` takes when it is encoded.
std::size_t huffman_size(std::string_view text);
// Encodes to `out`, which has room for text.size() + 8. Returns the end of what was written, or null if that would not
// be shorter than `text`; then what lies behind `out` is undefined.
char* huffman_encode(std::string_view text, char* out);

}  // namespace weir::http2
