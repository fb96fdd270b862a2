// HPACK: what we take of any blocks, one after the other on one connection, another implementation takes alike, and
// what we write of it both read. A block is its length (one byte) and its bytes; a length of 0 is followed by a change
// of the table's size.
#include <cstddef>
#include <cstdint>

#include "http/http2/hpack_test_peer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  using namespace weir::http2;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  HpackDecoder decoder;
  HpackEncoder encoder;
  HpackDecoder our_reader;
  test::Inflater peer;
  test::Inflater peer_reader;
  while (input.size() > 1) {
    std::size_t length = static_cast<unsigned char>(input.front());
    input.remove_prefix(1);
    if (length == 0) {
      const std::uint32_t bytes = static_cast<unsigned char>(input.front()) * 16u;
      input.remove_prefix(1);
      decoder.set_table_bytes_max(bytes);
      WEIR_CHECK(nghttp2_hd_inflate_change_table_size(peer.self, bytes) == 0);
      encoder.set_table_bytes_max(bytes);
      our_reader.set_table_bytes_max(bytes);
      WEIR_CHECK(nghttp2_hd_inflate_change_table_size(peer_reader.self, bytes) == 0);
      continue;
    }
    length = std::min(length, input.size());
    const std::string block(input.substr(0, length));  // to be found reading beyond its end
    input.remove_prefix(length);
    const test::Decoded decoded = test::decode(decoder, block);
    if (decoded.error) return 0;
    const test::Decoded theirs = peer.decode(block);
    WEIR_CHECK(theirs == decoded);
    WEIR_CHECK(nghttp2_hd_inflate_get_dynamic_table_size(peer.self) == decoder.table_bytes());

    test::Lines lines = decoded.lines;
    for (test::Line& line : lines) {  // the encoder takes names in lower case
      for (char& c : line.name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    }
    const std::string again = test::encode(encoder, lines);
    const test::Decoded read = test::decode(our_reader, again);
    WEIR_CHECK(!read.error && read.lines == lines);
    const test::Decoded read_by_peer = peer_reader.decode(again);
    WEIR_CHECK(!read_by_peer.error && read_by_peer.lines == lines);
    WEIR_CHECK(our_reader.table_bytes() == encoder.table_bytes());
  }
  return 0;
}
