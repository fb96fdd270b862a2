#include "http/http2/hpack.h"

#include <gtest/gtest.h>

#include "http/http2/hpack_test_util.h"
#include "http/http2/huffman.h"

namespace weir::http2 {
namespace {

using test::bytes;
using test::Lines;

struct Example {
  const char* hex;
  Lines lines;
  std::uint32_t table_bytes;
};

void check(HpackDecoder& decoder, const std::vector<Example>& examples) {
  for (const Example& example : examples) {
    const test::Decoded decoded = test::decode(decoder, bytes(example.hex));
    EXPECT_FALSE(decoded.error) << example.hex;
    EXPECT_EQ(decoded.lines, example.lines) << example.hex;
    EXPECT_EQ(decoder.table_bytes(), example.table_bytes) << example.hex;
  }
}

TEST(Rfc7541Examples, SingleFields) {
  const std::vector<Example> examples = {
      {"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", {{"custom-key", "custom-header"}}, 55},
      {"040c 2f73 616d 706c 652f 7061 7468", {{":path", "/sample/path"}}, 0},
      {"1008 7061 7373 776f 7264 0673 6563 7265 74", {{"password", "secret", true}}, 0},
      {"82", {{":method", "GET"}}, 0},
  };
  for (const Example& example : examples) {
    HpackDecoder decoder;
    check(decoder, {example});
  }
}

const Lines kFirst = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "www.example.com"}};
const Lines kSecond = {{":method", "GET"},
                       {":scheme", "http"},
                       {":path", "/"},
                       {":authority", "www.example.com"},
                       {"cache-control", "no-cache"}};
const Lines kThird = {{":method", "GET"},
                      {":scheme", "https"},
                      {":path", "/index.html"},
                      {":authority", "www.example.com"},
                      {"custom-key", "custom-value"}};

TEST(Rfc7541Examples, Requests) {
  HpackDecoder decoder;
  check(decoder, {{"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", kFirst, 57},
                  {"8286 84be 5808 6e6f 2d63 6163 6865", kSecond, 110},
                  {"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", kThird, 164}});
}

TEST(Rfc7541Examples, RequestsWithHuffman) {
  HpackDecoder decoder;
  check(decoder, {{"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", kFirst, 57},
                  {"8286 84be 5886 a8eb 1064 9cbf", kSecond, 110},
                  {"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", kThird, 164}});
}

const Lines kRedirect = {{":status", "302"},
                         {"cache-control", "private"},
                         {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
                         {"location", "https://www.example.com"}};
const Lines kTemporary = {{":status", "307"},
                          {"cache-control", "private"},
                          {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
                          {"location", "https://www.example.com"}};
const Lines kCookie = {{":status", "200"},
                       {"cache-control", "private"},
                       {"date", "Mon, 21 Oct 2013 20:13:22 GMT"},
                       {"location", "https://www.example.com"},
                       {"content-encoding", "gzip"},
                       {"set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"}};

TEST(Rfc7541Examples, ResponsesWithEviction) {
  HpackDecoder decoder;
  decoder.set_table_bytes_max(256);
  check(decoder,
        {{"3fe1 01"  // the update to 256 that the examples take for granted
          "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120"
          "474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
          kRedirect, 222},
         {"4803 3330 37c1 c0bf", kTemporary, 222},
         {"88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738"
          "666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33"
          "3630 303b 2076 6572 7369 6f6e 3d31",
          kCookie, 215}});
}

TEST(Rfc7541Examples, ResponsesWithHuffman) {
  HpackDecoder decoder;
  decoder.set_table_bytes_max(256);
  check(decoder, {{"3fe1 01"
                   "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d"
                   "29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                   kRedirect, 222},
                  {"4883 640e ffc1 c0bf", kTemporary, 222},
                  {"88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d"
                   "d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106"
                   "3d50 07",
                   kCookie, 215}});
}

// What a decoder must not take (RFC 7541 2.3.3, 4.2, 5.1, 5.2, 6.3), each from a fresh one.
TEST(HpackDecoder, RefusesWhatIsBroken) {
  const std::pair<const char*, const char*> cases[] = {
      {"80", "index 0"},
      {"be", "index behind an empty dynamic table"},
      {"ff00", "index behind an empty dynamic table"},
      {"ff", "index without its second byte"},
      {"ff80", "integer without its end"},
      {"ffffffffff0f", "integer overflow"},
      {"ffffffffffffffffffff7f", "integer overflow"},
      {"7fffffffff0f00", "integer overflow in the index of a name"},
      {"ff808080808000", "integer with superfluous bytes"},
      {"7e0161", "name behind an empty dynamic table"},
      {"40", "literal without name"},
      {"4001", "name without its bytes"},
      {"400161", "literal without value"},
      {"40016102 61", "value that is cut"},
      {"04ff ffff ff07", "value of 4 GiB"},
      {"3fe2 1f", "size update above the limit"},
      {"8220", "size update behind a field"},
      {"2020 2082", "three size updates"},
      {"3f", "size update that is cut"},
      {"0481 ff", "padding of 8 bits"},
      {"0482 1fff", "padding of 11 bits"},
      {"0481 18", "padding of zeros"},
      {"0481 1e", "padding that is not all ones"},
      {"0484 ffff ffff", "EOS"},
      {"0485 1fff ffff ff", "EOS behind a symbol"},
      {"048a 1fff ffff ff1f 1f1f 1f1f", "EOS in a longer text"},
  };
  for (const auto& [hex, what] : cases) {
    HpackDecoder decoder;
    EXPECT_TRUE(test::decode(decoder, bytes(hex)).error) << what;
  }
}

TEST(HpackDecoder, TakesWhatIsAtTheEdge) {
  const std::pair<const char*, Lines> cases[] = {
      {"", {}},
      {"20", {}},
      {"203f e11f 82", {{":method", "GET"}}},  // to 0 and back to 4096
      {"0481 1f", {{":path", "a"}}},
      {"0480", {{":path", ""}}},
      {"0400", {{":path", ""}}},
      {"0000 00", {{"", ""}}},
      {"4000 00", {{"", ""}}},
      {"0f00 00", {{"accept-charset", ""}}},  // a name's index of two bytes
  };
  for (const auto& [hex, lines] : cases) {
    HpackDecoder decoder;
    const test::Decoded decoded = test::decode(decoder, bytes(hex));
    EXPECT_FALSE(decoded.error) << hex;
    EXPECT_EQ(decoded.lines, lines) << hex;
  }
}

TEST(HpackDecoder, AskedForLessItWaitsForTheUpdate) {
  const auto outcome = [](std::initializer_list<std::uint32_t> limits, const char* block) {
    HpackDecoder decoder;
    for (const std::uint32_t limit : limits) decoder.set_table_bytes_max(limit);
    return test::decode(decoder, bytes(block)).error;
  };
  EXPECT_TRUE(outcome({100}, "82"));
  EXPECT_FALSE(outcome({100}, "3f45 82"));  // 100
  EXPECT_FALSE(outcome({100}, "20 82"));
  EXPECT_TRUE(outcome({100}, "3f46 82"));           // 101
  EXPECT_TRUE(outcome({100, 4096}, "3fe1 1f 82"));  // the lowest is not said
  EXPECT_FALSE(outcome({100, 4096}, "3f45 3fe1 1f 82"));
  EXPECT_FALSE(outcome({100, 4096}, "3f45 82"));
  EXPECT_FALSE(outcome({8192}, "82"));
  EXPECT_FALSE(outcome({8192}, "3fe1 3f 82"));
  EXPECT_TRUE(outcome({8192}, "3fe2 3f 82"));
  HpackDecoder decoder;  // the update is due once
  decoder.set_table_bytes_max(100);
  EXPECT_FALSE(test::decode(decoder, bytes("20 82")).error);
  EXPECT_FALSE(test::decode(decoder, bytes("82")).error);
  decoder.set_table_bytes_max(50);  // the table is at 0: nothing to say
  EXPECT_FALSE(test::decode(decoder, bytes("82")).error);
}

// 37, then 13, where the limit had been 16 and then 256: the lowest must be said first.
TEST(Bugs, Case031TheFirstSizeUpdateAboveTheLowestLimit) {
  HpackDecoder decoder;
  decoder.set_table_bytes_max(16);
  decoder.set_table_bytes_max(256);
  EXPECT_TRUE(test::decode(decoder, bytes("3f06 2d")).error);
}

TEST(HpackDecoder, ALiteralMayEvictTheEntryThatGivesItsName) {
  HpackDecoder decoder;
  decoder.set_table_bytes_max(80);
  const std::string name(20, 'n');
  std::string block = bytes("3f31") + '\x40' + '\x14' + name + '\x05' + "first";  // 80; an entry of 57
  block += "\x7e\x06second";
  block += '\xbe';
  const test::Decoded decoded = test::decode(decoder, block);
  EXPECT_FALSE(decoded.error);
  EXPECT_EQ(decoded.lines, (Lines{{name, "first"}, {name, "second"}, {name, "second"}}));
  EXPECT_EQ(decoder.table_bytes(), 58u);
}

TEST(HpackDecoder, AnEntryLargerThanTheTableEmptiesIt) {
  HpackDecoder decoder;
  EXPECT_FALSE(test::decode(decoder, bytes("4001 6101 62")).error);
  EXPECT_EQ(decoder.table_bytes(), 34u);
  std::string large = bytes("4001 617f e11e");  // a value of 127 + 97 + 30 * 128 = 4064
  large += std::string(4064, 'v');
  const test::Decoded decoded = test::decode(decoder, large);
  ASSERT_FALSE(decoded.error);
  EXPECT_EQ(decoded.lines, (Lines{{"a", std::string(4064, 'v')}}));
  EXPECT_EQ(decoder.table_bytes(), 0u);
  EXPECT_TRUE(test::decode(decoder, bytes("be")).error);
}

TEST(HpackDecoder, SaysWhichFieldsAreClean) {
  const auto clean = [](std::string_view name, std::string_view value, bool huffman) {
    std::string block = "\x40";
    for (const std::string_view text : {name, value}) {
      std::string coded(text.size() + 8, '\0');
      const char* end = huffman ? huffman_encode(text, coded.data()) : nullptr;
      if (end != nullptr) {
        coded.resize(static_cast<std::size_t>(end - coded.data()));
        block += static_cast<char>(0x80 | coded.size());
        block += coded;
      } else {
        block += static_cast<char>(text.size());
        block += text;
      }
    }
    BufferPool pool;
    Arena arena(pool);
    HpackDecoder decoder;
    HpackField field;
    block += '\xbe';                         // the same from the table
    block += std::string("\x7e\x01") + "x";  // its name from the table, with a good value
    decoder.begin_block(block, arena);
    EXPECT_EQ(decoder.next(field), HpackDecoder::Status::field);
    const bool first = field.clean;
    EXPECT_EQ(decoder.next(field), HpackDecoder::Status::field);
    EXPECT_EQ(field.clean, first);
    EXPECT_EQ(decoder.next(field), HpackDecoder::Status::field);
    if (first) EXPECT_TRUE(field.clean);
    return first ? "all" : field.clean ? "name" : "none";
  };
  for (const bool huffman : {false, true}) {
    EXPECT_STREQ(clean("x-a", "b c", huffman), "all");
    EXPECT_STREQ(clean("x-a", "", huffman), "all");
    EXPECT_STREQ(clean("host", "aaaaaaaa", huffman), "all");
    EXPECT_STREQ(clean("x-a", "b\tc\xff", huffman), "all");
    EXPECT_STREQ(clean("x-a", " bbbbbbbb", huffman), "name");
    EXPECT_STREQ(clean("x-a", "bbbbbbbb\t", huffman), "name");
    EXPECT_STREQ(clean("x-a", "bbbbbbbbbbbbbbbbbbb\r", huffman), "name");
    EXPECT_STREQ(clean("x-a", std::string_view("b\0", 2), huffman), "name");
    EXPECT_STREQ(clean("x-A", "b", huffman), "none");
    EXPECT_STREQ(clean("Host", "b", huffman), "none");
    EXPECT_STREQ(clean("x a", "b", huffman), "none");
    EXPECT_STREQ(clean("", "b", huffman), "none");
    EXPECT_STREQ(clean(":path", "/", huffman), "none");
  }
}

TEST(HpackEncoder, WhatComesAgainBecomesAByte) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  const Lines lines = {{":method", "GET"},
                       {":authority", "www.example.com"},
                       {"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
                       {"accept-language", "en-GB,en;q=0.7,de;q=0.3"},
                       {"sec-fetch-mode", "navigate"},
                       {"x-forwarded-proto", "https"}};
  std::string block;
  for (int i = 0; i < 3; ++i) {
    block = test::encode(encoder, lines);
    EXPECT_EQ(test::decode(decoder, block).lines, lines);
  }
  EXPECT_EQ(block.size(), lines.size());
  EXPECT_EQ(encoder.table_bytes(), decoder.table_bytes());
}

TEST(HpackEncoder, KeepsOutOfTheTableWhatSeldomComesTwice) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  const Lines lines = {{":path", "/a/b"},
                       {"content-length", "123"},
                       {"etag", "\"abc\""},
                       {"last-modified", "Sat, 21 Nov 2026 09:09:01 GMT"},
                       {"set-cookie", "a=b"}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(test::decode(decoder, test::encode(encoder, lines)).lines, lines);
  EXPECT_EQ(encoder.table_bytes(), 0u);
  // An id is new each time. Its name, which no table has, is not.
  std::size_t size = 0;
  for (const char* id : {"00000000000000000000000000000000", "8f14e45fceea167a5a36dedd4bea2543"}) {
    const std::string block = test::encode(encoder, {{"x-request-id", id}});
    EXPECT_EQ(test::decode(decoder, block).lines, (Lines{{"x-request-id", id}}));
    EXPECT_EQ(encoder.table_bytes(), 32u + 12 + 32);
    size = block.size();
  }
  EXPECT_LE(size, 2u + 32);
}

TEST(HpackEncoder, MemoryTakenAtOnceSaysTheSame) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  encoder.take_memory_at_once();
  decoder.take_memory_at_once();
  for (int i = 0; i < 500; ++i) {
    const Lines lines = {{"x-number", std::to_string(i / 3)}, {"x-name-" + std::to_string(i % 90), "same"}};
    ASSERT_EQ(test::decode(decoder, test::encode(encoder, lines)).lines, lines) << i;
    ASSERT_EQ(encoder.table_bytes(), decoder.table_bytes()) << i;
  }
  EXPECT_GT(encoder.table_bytes(), kDefaultTableBytes * 3 / 4);
}

TEST(HpackEncoder, SecretsEnterNoTable) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  const Lines lines = {{"authorization", "Bearer 123", true}, {"x-secret", "123", true}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(test::decode(decoder, test::encode(encoder, lines)).lines, lines);
  EXPECT_EQ(encoder.table_bytes(), 0u);
  EXPECT_EQ(decoder.table_bytes(), 0u);
}

TEST(HpackEncoder, SaysTheLowestSizeThenTheLast) {
  HpackEncoder encoder;
  const auto block = [&] { return test::encode(encoder, {{":method", "GET"}}); };
  block();
  encoder.set_table_bytes_max(4096);
  encoder.set_table_bytes_max(65536);  // it uses no more than 4096
  const std::string plain = block();
  encoder.set_table_bytes_max(100);
  encoder.set_table_bytes_max(2000);
  encoder.set_table_bytes_max(1000);
  EXPECT_EQ(block(), bytes("3f45 3fc9 07") + plain);
  EXPECT_EQ(block(), plain);
  encoder.set_table_bytes_max(0);
  EXPECT_EQ(test::encode(encoder, {{"x-a", "b"}, {"x-a", "b"}}).size(), 1u + 2 * 7);
  EXPECT_EQ(encoder.table_bytes(), 0u);
  encoder.set_table_bytes_max(4096);
  EXPECT_EQ(block().substr(0, 3), bytes("3fe1 1f"));
}

TEST(HpackEncoder, AFieldLargerThanASliceGoesThrough) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  for (const bool secret : {false, true}) {
    const Lines lines = {{"x-a", std::string(3 * kSliceCapacity, 'v'), secret}, {"x-b", "c"}};
    const test::Decoded decoded = test::decode(decoder, test::encode(encoder, lines));
    EXPECT_FALSE(decoded.error);
    EXPECT_TRUE(decoded.lines == lines);
  }
}

TEST(HuffmanCode, EveryByteComesBack) {
  for (int c = 0; c < 256; ++c) {
    for (std::size_t before = 0; before < 24; ++before) {
      const std::string text =
          std::string(before, 'a') + static_cast<char>(c) + std::string(40, 'e') + std::string(1 + before % 3, '0');
      std::string coded(text.size() + 8, '\0');
      const char* end = huffman_encode(text, coded.data());
      ASSERT_NE(end, nullptr);
      coded.resize(static_cast<std::size_t>(end - coded.data()));
      EXPECT_EQ(coded.size(), huffman_size(text));
      std::string decoded(huffman_decoded_max(coded.size()) + 1, '\0');
      end = huffman_decode(coded, decoded.data());
      ASSERT_NE(end, nullptr);
      decoded.resize(static_cast<std::size_t>(end - decoded.data()));
      ASSERT_EQ(decoded, text);
    }
  }
}

TEST(HuffmanCode, WhatWouldNotBeShorterIsNotEncoded) {
  char out[64];
  for (const std::string_view text : {"", "a", "^^^^^^^^", "\x80\x81", "?!?!?!?!"}) {
    EXPECT_EQ(huffman_encode(text, out), nullptr) << text;
  }
  EXPECT_NE(huffman_encode("aaa", out), nullptr);
}

// With its index small and grown, and after it was freed: what is encoded is what is decoded.
TEST(HpackEncoder, MayRestBetweenBlocks) {
  HpackEncoder encoder;
  HpackDecoder decoder;
  Lines lines;
  for (int i = 0; i < 60; ++i) lines.push_back({"x-" + std::to_string(i), "value " + std::to_string(i)});
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(test::decode(decoder, encode(encoder, lines)).lines, lines);
    EXPECT_EQ(encoder.table_bytes(), decoder.table_bytes());
    if (round < 2) continue;
    encoder.rest();
    EXPECT_EQ(encoder.table_bytes(), 0U);
  }
  encoder.set_table_bytes_max(100);
  encoder.rest();
  EXPECT_EQ(test::decode(decoder, encode(encoder, lines)).lines, lines);
  EXPECT_LE(decoder.table_bytes(), 100U);
  // What was said often is found whatever the index has become.
  HpackEncoder growing;
  const std::size_t first = encode(growing, lines).size();
  encode(growing, lines);
  EXPECT_LT(encode(growing, lines).size(), first / 5);
}

}  // namespace
}  // namespace weir::http2
