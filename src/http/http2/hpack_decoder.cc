#include <algorithm>

#include "base/assert.h"
#include "http/http2/hpack.h"
#include "http/http2/hpack_static.h"
#include "http/http2/huffman.h"
#include "http/scan.h"

namespace weir::http2 {

using http::FieldId;

namespace {

constexpr std::uint32_t kNoUpdateNeeded = UINT32_MAX;
// A size update where none may stand: what is read instead of a block that lacks one.
constexpr std::string_view kBadBlock = "\x20";

constexpr http::CharClass kNameChars = http::kTokenChars.without("ABCDEFGHIJKLMNOPQRSTUVWXYZ");

// RFC 9113 8.2.1.
bool is_field_name(std::string_view name) {
  const char* end = name.data() + name.size();
  return !name.empty() && http::find_not_in<kNameChars>(name.data(), end) == end;
}

bool is_size_update(char c) {
  return (static_cast<unsigned char>(c) & 0xe0) == 0x20;
}

}  // namespace

void HpackDecoder::set_table_bytes_max(std::uint32_t bytes) {
  WEIR_ASSERT(bytes <= kTableBytesMax);
  limit_ = bytes;
  if (bytes < table_.bytes_max()) lowest_limit_ = std::min(lowest_limit_, bytes);
}

// Size updates stand at the beginning (RFC 7541 4.2): at most the lowest and the last, the first no higher than a lower
// limit that is to be taken note of. One that is wrong stays where it is, and next() stumbles over it.
void HpackDecoder::begin_block(std::string_view block, Arena& arena) {
  at_ = block.data();
  end_ = at_ + block.size();
  arena_ = &arena;
  for (int i = 0; i < 2 && at_ != end_ && is_size_update(*at_); ++i) {
    const char* start = at_;
    std::uint32_t bytes = 0;
    if (!read_integer(5, bytes) || bytes > limit_ || bytes > lowest_limit_) {
      at_ = start;
      return;
    }
    lowest_limit_ = kNoUpdateNeeded;
    table_.set_bytes_max(bytes);
  }
  if (lowest_limit_ == kNoUpdateNeeded) return;
  at_ = kBadBlock.data();
  end_ = at_ + kBadBlock.size();
}

HpackDecoder::Status HpackDecoder::next(HpackField& field) {
  if (at_ == end_) {
    table_.release_if_empty();
    return Status::end;
  }
  const auto first = static_cast<unsigned char>(*at_);
  bool good = false;
  if ((first & 0x80) != 0) {
    good = read_indexed(field);
  } else if ((first & 0x40) != 0) {
    good = read_literal(6, true, field);
  } else if ((first & 0x20) == 0) {
    good = read_literal(4, false, field);
    field.never_indexed = (first & 0x10) != 0;
  }
  return good ? Status::field : Status::error;
}

void HpackDecoder::keep(HpackField& field) {
  if (!field.name_kept && !field.value_kept && field.name.data() + field.name.size() == field.value.data()) {
    const std::size_t name_size = field.name.size();
    const std::string_view both = arena_->copy({field.name.data(), name_size + field.value.size()});
    field.name = both.substr(0, name_size);
    field.value = both.substr(name_size);
  } else {
    if (!field.name_kept) field.name = arena_->copy(field.name);
    if (!field.value_kept) field.value = arena_->copy(field.value);
  }
  field.name_kept = field.value_kept = true;
}

// RFC 7541 5.1. Four bytes behind the prefix are more than any size or index here needs.
bool HpackDecoder::read_integer(unsigned prefix_bits, std::uint32_t& value) {
  const std::uint32_t prefix_max = (1u << prefix_bits) - 1;
  value = static_cast<unsigned char>(*at_++) & prefix_max;
  if (value < prefix_max) return true;
  for (unsigned shift = 0; shift < 28; shift += 7) {
    if (at_ == end_) return false;
    const auto byte = static_cast<unsigned char>(*at_++);
    value += std::uint32_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

bool HpackDecoder::read_string(std::string_view& text, bool& kept) {
  if (at_ == end_) return false;
  const bool huffman = (static_cast<unsigned char>(*at_) & 0x80) != 0;
  std::uint32_t size = 0;
  if (!read_integer(7, size) || size > static_cast<std::size_t>(end_ - at_)) return false;
  text = {at_, size};
  at_ += size;
  kept = huffman;
  if (!huffman) return true;
  const std::size_t size_max = huffman_decoded_max(size) + 1;
  char* decoded = arena_->allocate(size_max);
  const char* decoded_end = huffman_decode(text, decoded);
  if (decoded_end == nullptr) return false;
  text = {decoded, static_cast<std::size_t>(decoded_end - decoded)};
  arena_->shrink(decoded, size_max, text.size());
  return true;
}

bool HpackDecoder::read_indexed(HpackField& field) {
  std::uint32_t index = 0;
  if (!read_integer(7, index) || index == 0) return false;
  if (index <= kStaticCount) {
    const StaticField& entry = kStaticTable[index];
    field = {.name = entry.name,
             .value = entry.value,
             .id = entry.id,
             .name_index = static_cast<std::uint8_t>(index),
             .never_indexed = false,
             .clean = index > kPseudoMax,
             .name_kept = true,
             .value_kept = true,
             .name_copied = false};
    return true;
  }
  index -= kStaticCount + 1;
  if (index >= table_.count()) return false;
  const HpackTable::Entry& entry = table_.by_age(index);
  field = {.name = table_.name(entry),
           .value = table_.value(entry),
           .id = entry.id,
           .name_index = entry.name_index,
           .never_indexed = false,
           .clean = entry.clean,
           .name_kept = !HpackTable::name_is_stored(entry),
           .value_kept = false,
           .name_copied = false};
  return true;
}

// The name of a literal. `clean`: it is well-formed. `in_table`: it points into the dynamic table.
bool HpackDecoder::read_name(unsigned prefix_bits, HpackField& field, bool& clean, bool& in_table) {
  std::uint32_t index = 0;
  if (!read_integer(prefix_bits, index)) return false;
  field.name_index = 0;
  field.name_kept = true;
  if (index == 0) {
    if (!read_string(field.name, field.name_kept)) return false;
    clean = is_field_name(field.name);
    field.id = clean ? http::field_id(field.name) : FieldId::other;
    if (field.id == FieldId::other) return true;
    field.name = http::field_name(field.id);
    field.name_kept = true;
    return true;
  }
  if (index <= kStaticCount) {
    field.name = kStaticTable[index].name;
    field.id = kStaticTable[index].id;
    field.name_index = static_cast<std::uint8_t>(index);
    clean = index > kPseudoMax;
    return true;
  }
  index -= kStaticCount + 1;
  if (index >= table_.count()) return false;
  const HpackTable::Entry& entry = table_.by_age(index);
  field.name = table_.name(entry);
  field.id = entry.id;
  field.name_index = entry.name_index;
  in_table = HpackTable::name_is_stored(entry);
  field.name_kept = !in_table;
  clean = entry.clean || is_field_name(field.name);
  return true;
}

bool HpackDecoder::read_literal(unsigned prefix_bits, bool insert, HpackField& field) {
  bool clean = false;
  bool name_in_table = false;
  if (!read_name(prefix_bits, field, clean, name_in_table)) return false;
  if (!read_string(field.value, field.value_kept)) return false;
  field.never_indexed = false;
  field.clean = clean && http::is_field_value(field.value);
  field.name_copied = insert && name_in_table;
  if (insert) enter(field, name_in_table);
  return true;
}

// What the arena holds of a name that the table gives to its newest entry, perhaps in place of its owner, is given back
// at once: that a field costs memory is decided by who keeps it.
void HpackDecoder::enter(HpackField& field, bool name_in_table) {
  if (!name_in_table) {
    table_.insert(field.name, field.value, field.name_index, field.id, field.clean);
    return;
  }
  const std::string_view name = arena_->copy(field.name);
  if (!table_.insert(name, field.value, field.name_index, field.id, field.clean)) {
    field.name = name;  // once: the table is empty now
    field.name_kept = true;
    return;
  }
  arena_->shrink(const_cast<char*>(name.data()), name.size(), 0);
  const HpackTable::Entry& entry = table_.by_age(0);
  field.name = table_.name(entry);
  if (!field.value_kept) field.value = table_.value(entry);
}

}  // namespace weir::http2
