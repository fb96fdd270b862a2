#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/arena.h"
#include "base/buffer.h"
#include "http/field.h"
#include "http/http2/hpack_table.h"

// Sans-I/O HPACK (RFC 7541): header compression of one direction of one HTTP/2 connection. One thread.
namespace weir::http2 {

// The dynamic table's size in octets, as RFC 7541 4.1 counts them, until SETTINGS_HEADER_TABLE_SIZE says otherwise.
inline constexpr std::uint32_t kDefaultTableBytes = 4096;

// One decoded field line. `name` and `value` are valid until the next call of the decoder; what is said to be kept, as
// long as the arena's content.
struct HpackField {
  std::string_view name;
  std::string_view value;
  http::FieldId id;         // `other` also for a name with capitals
  std::uint8_t name_index;  // one of those that the name has in the static table, if it came from there; else 0
  bool never_indexed;       // must be sent on as a never-indexed literal (RFC 7541 7.1.3)
  bool clean;               // a well-formed field, as RFC 9113 8.2.1 wants it; false for pseudo-header fields
  bool name_kept;           // lies in the arena or is static text
  bool value_kept;
  bool name_copied;  // within the table, which may be much more work than the few bytes that asked for it
};

class HpackDecoder {
 public:
  HpackDecoder() = default;
  HpackDecoder(const HpackDecoder&) = delete;
  HpackDecoder& operator=(const HpackDecoder&) = delete;

  // What our SETTINGS_HEADER_TABLE_SIZE allows the peer, once it has acknowledged it; at most kTableBytesMax.
  void set_table_bytes_max(std::uint32_t bytes);

  enum class Status : std::uint8_t { field, end, error };
  // A block, from begin_block() on: next() gives one field after the other, until `end`. `block` must be all of it
  // (HEADERS and its CONTINUATIONs without their frame headers) and stay while it is read. Texts that had to be decoded
  // (Huffman) are put into `arena`; the others point into `block` or a table. So a block that nothing is kept of costs
  // little more than its own size. After an error the connection can't go on (COMPRESSION_ERROR).
  void begin_block(std::string_view block, Arena& arena);
  Status next(HpackField& field);
  // Copies to the arena what of `field`, the last one, is not kept yet.
  void keep(HpackField& field);

  // Octets that the dynamic table holds now (RFC 7541 4.1); its memory is freed when it is empty.
  std::uint32_t table_bytes() const { return table_.bytes(); }
  // As HpackTable::take_memory_at_once().
  void take_memory_at_once() { table_.take_memory_at_once(); }

 private:
  bool read_integer(unsigned prefix_bits, std::uint32_t& value);
  bool read_string(std::string_view& text, bool& kept);
  bool read_indexed(HpackField& field);
  bool read_literal(unsigned prefix_bits, bool insert, HpackField& field);
  bool read_name(unsigned prefix_bits, HpackField& field, bool& clean, bool& in_table);
  void enter(HpackField& field, bool name_in_table);

  HpackTable table_{kDefaultTableBytes};
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  Arena* arena_ = nullptr;
  std::uint32_t limit_ = kDefaultTableBytes;  // of the table's size
  std::uint32_t lowest_limit_ = UINT32_MAX;   // that the next block must take note of
};

// How a field's value may be sent.
enum class Indexing : std::uint8_t {
  allowed,  // enters the table if it is likely to come again
  without,  // is not worth a place in the table
  never,    // must be in no table, here or further on (RFC 7541 7.1.3)
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

  // A block is begin_block(), fields, and what they appended to `out`. A field enters the table when it is encoded, so
  // a block that was encoded must be sent.
  void begin_block(Buffer& out);
  // `sensitive`: as a never-indexed literal. Names must be in lower case, `id` that of the name.
  void add(Buffer& out, std::string_view name, std::string_view value, http::FieldId id, bool sensitive) {
    add(out, name, value, id, 0, sensitive ? Indexing::never : Indexing::allowed);
  }
  // `name_index`: the first one that the name has in the static table; 0: look for it.
  void add(Buffer& out, std::string_view name, std::string_view value, http::FieldId id, std::uint8_t name_index,
           Indexing indexing);

  // The same to memory, for a block whose size is known to fit: each returns the end of what was written.
  static constexpr std::size_t kBlockStartMax = 12;
  // Room that a field needs.
  static constexpr std::size_t field_max(std::size_t name_size, std::size_t value_size) {
    return name_size + value_size + 24;
  }
  char* begin_block(char* out);
  char* add(char* out, std::string_view name, std::string_view value, http::FieldId id, std::uint8_t name_index,
            Indexing indexing);
  // A field that the static table has, by its index.
  static char* add_static(char* out, std::uint8_t index) {
    *out = static_cast<char>(0x80 | index);
    return out + 1;
  }

  // Frees the dynamic table's memory: the next block begins with an empty one, and says so.
  void rest();

  // Octets that the dynamic table holds now; its memory is freed when it is empty.
  std::uint32_t table_bytes() const { return table_.bytes(); }
  // As HpackTable::take_memory_at_once().
  void take_memory_at_once() { table_.take_memory_at_once(); }

 private:
  class Index;
  struct Hashes {
    std::uint32_t name;
    std::uint32_t field;
  };

  bool insert(std::string_view name, std::string_view value, std::uint8_t name_index, http::FieldId id, Hashes hashes);
  void grow_index();
  void add_large(Buffer& out, std::string_view name, std::string_view value, bool sensitive);

  HpackTable table_{kDefaultTableBytes};
  std::unique_ptr<Index> index_;
  std::uint32_t lowest_ = kDefaultTableBytes;  // what the peer allowed since the last block
  std::uint32_t wanted_ = kDefaultTableBytes;  // what the next block sets the table to
};

}  // namespace weir::http2
