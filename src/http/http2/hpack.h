#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/arena.h"
#include "base/buffer.h"
#include "http/field.h"

// Sans-I/O HPACK (RFC 7541): header compression of one direction of one HTTP/2 connection. One thread.
namespace weir::http2 {

// The dynamic table's size in octets, as RFC 7541 4.1 counts them, until SETTINGS_HEADER_TABLE_SIZE says otherwise.
inline constexpr std::uint32_t kDefaultTableBytes = 4096;

// One decoded field line. `name` and `value` are valid until the next call of the decoder, except where they point into
// the arena that was given to it.
struct HpackField {
  std::string_view name;
  std::string_view value;
  http::FieldId id;
  bool never_indexed;  // must be sent on as a never-indexed literal (RFC 7541 7.1.3)
};

class HpackDecoder {
 public:
  HpackDecoder();
  HpackDecoder(const HpackDecoder&) = delete;
  HpackDecoder& operator=(const HpackDecoder&) = delete;
  ~HpackDecoder();

  // What our SETTINGS_HEADER_TABLE_SIZE allows the peer, once it has acknowledged it.
  void set_table_bytes_max(std::uint32_t bytes);

  enum class Status : std::uint8_t { field, end, error };
  // A block, from begin_block() on: next() gives one field after the other, until `end`. `block` must be all of it
  // (HEADERS and its CONTINUATIONs without their frame headers) and stay while it is read. Texts that had to be decoded
  // (Huffman) or that a dynamic table entry may lose are put into `arena`; the others point into `block` or the static
  // table. After an error the connection can't go on (COMPRESSION_ERROR).
  void begin_block(std::string_view block, Arena& arena);
  Status next(HpackField& field);

  // Octets that the dynamic table holds now (RFC 7541 4.1); its memory is freed when it is empty.
  std::uint32_t table_bytes() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

class HpackEncoder {
 public:
  HpackEncoder();
  HpackEncoder(const HpackEncoder&) = delete;
  HpackEncoder& operator=(const HpackEncoder&) = delete;
  ~HpackEncoder();

  // The peer's SETTINGS_HEADER_TABLE_SIZE; the change is said at the beginning of the next block. The encoder uses at
  // most kDefaultTableBytes however much it is allowed.
  void set_table_bytes_max(std::uint32_t bytes);

  // A block is begin_block(), fields, and what they appended to `out`. A field enters the table when it is encoded, so a
  // block that was encoded must be sent.
  void begin_block(Buffer& out);
  // `sensitive`: as a never-indexed literal. Names must be in lower case.
  void add(Buffer& out, std::string_view name, std::string_view value, http::FieldId id, bool sensitive);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace weir::http2
