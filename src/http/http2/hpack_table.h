#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "http/field.h"

namespace weir::http2 {

// What RFC 7541 4.1 adds to the octets of an entry's name and value.
inline constexpr std::uint32_t kEntryOverhead = 32;
// What a dynamic table may be set to at most.
inline constexpr std::uint32_t kTableBytesMax = 64 * 1024;

// The dynamic table of one direction (RFC 7541 2.3.2, 4). Takes its memory as it fills, or all at once. The text of
// names that the static table or http::field_name() have is not stored. One thread.
class HpackTable {
 public:
  struct Entry {
    std::uint32_t position;   // of its text in all the text that was ever stored
    std::uint16_t name_size;  // also if the name is not stored
    std::uint16_t value_size;
    std::uint8_t name_index;  // of the static table; 0: not there
    http::FieldId id;
    bool clean;  // name and value are well-formed as RFC 9113 8.2.1 says
  };

  explicit HpackTable(std::uint32_t bytes_max) : bytes_max_(bytes_max) {}

  std::uint32_t bytes() const { return bytes_; }
  std::uint32_t bytes_max() const { return bytes_max_; }
  std::uint32_t count() const { return count_; }
  // How many entries ever entered (modulo 2^32): the number of the next one.
  std::uint32_t inserted() const { return inserted_; }

  // By age: 0 is the newest; age < count(). Valid until the table changes, like the texts.
  const Entry& by_age(std::uint32_t age) const { return entries_[(inserted_ - 1 - age) & (entries_capacity_ - 1)]; }
  // Of the entry of which `number` is the low bits of its number; count() or more if it has left the table.
  std::uint32_t age_of(std::uint16_t number) const { return static_cast<std::uint16_t>(inserted_ - 1 - number); }
  std::string_view name(const Entry& entry) const;
  std::string_view value(const Entry& entry) const {
    return {text(entry) + (name_is_stored(entry) ? entry.name_size : 0), entry.value_size};
  }
  // Whether name() points into the table, right before value().
  static bool name_is_stored(const Entry& entry) { return entry.name_index == 0 && entry.id == http::FieldId::other; }

  // For a connection that carries much for long: the first entry takes all the memory that bytes_max() may ever need,
  // so that none is taken later.
  void take_memory_at_once() { at_once_ = true; }
  bool takes_memory_at_once() const { return at_once_; }

  // Evicts what does not fit any more. `bytes` <= kTableBytesMax.
  void set_bytes_max(std::uint32_t bytes);
  // Evicts what is in the way. An entry larger than the table empties it and does not enter it: false. The texts must
  // not lie in the table. `id` is that of the name, or `other` if it has capitals.
  bool insert(std::string_view name, std::string_view value, std::uint8_t name_index, http::FieldId id, bool clean);

  void clear() {
    evict_to(0);
    release_if_empty();
  }

  // Gives the memory of an empty table back.
  void release_if_empty() {
    if (count_ == 0 && entries_capacity_ != 0) release();
  }

 private:
  const char* text(const Entry& entry) const { return text_.get() + (entry.position - text_begin_); }
  void evict_to(std::uint32_t bytes);
  void make_room(std::uint32_t text_size);
  void grow_entries();
  void release();

  std::unique_ptr<Entry[]> entries_;    // a ring by number
  std::unique_ptr<char[]> text_;        // of the entries, by age, without gaps
  std::uint32_t entries_capacity_ = 0;  // a power of 2, or 0
  std::uint32_t text_capacity_ = 0;
  std::uint32_t text_begin_ = 0;  // position of text_[0]
  std::uint32_t text_end_ = 0;    // position behind the newest text
  std::uint32_t inserted_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t bytes_ = 0;
  std::uint32_t bytes_max_;
  bool at_once_ = false;
};

}  // namespace weir::http2
