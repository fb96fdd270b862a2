#include "http/http2/hpack_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "http/http2/hpack_static.h"

namespace weir::http2 {
namespace {

// A connection that is idle after one request has few entries. One that goes on gets room for minutes at once, in which
// each second's date enters; then room doubles.
constexpr std::uint32_t kEntriesAtFirst = 2;
constexpr std::uint32_t kTextAtFirst = 64;
constexpr std::uint32_t kEntriesThen = 32;
constexpr std::uint32_t kTextThen = 1024;

std::uint32_t more_than(std::uint32_t capacity, std::uint32_t at_first, std::uint32_t then) {
  return capacity == 0 ? at_first : std::max(2 * capacity, then);
}

}  // namespace

std::string_view HpackTable::name(const Entry& entry) const {
  if (entry.name_index != 0) return kStaticTable[entry.name_index].name;
  if (entry.id != http::FieldId::other) return http::field_name(entry.id);
  return {text(entry), entry.name_size};
}

void HpackTable::evict_to(std::uint32_t bytes) {
  while (bytes_ > bytes) {
    const Entry& oldest = by_age(count_ - 1);
    bytes_ -= oldest.name_size + oldest.value_size + kEntryOverhead;
    --count_;
  }
}

void HpackTable::set_bytes_max(std::uint32_t bytes) {
  WEIR_ASSERT(bytes <= kTableBytesMax);
  bytes_max_ = bytes;
  evict_to(bytes);
}

bool HpackTable::insert(std::string_view name, std::string_view value, std::uint8_t name_index, http::FieldId id,
                        bool clean) {
  const std::size_t size = name.size() + value.size() + kEntryOverhead;
  if (size > bytes_max_) {
    evict_to(0);
    return false;
  }
  evict_to(bytes_max_ - static_cast<std::uint32_t>(size));
  Entry entry{.position = 0,
              .name_size = static_cast<std::uint16_t>(name.size()),
              .value_size = static_cast<std::uint16_t>(value.size()),
              .name_index = name_index,
              .id = id,
              .clean = clean};
  if (!name_is_stored(entry)) name = {};
  const auto text_size = static_cast<std::uint32_t>(name.size() + value.size());
  if (text_end_ - text_begin_ + text_size > text_capacity_) make_room(text_size);
  if (count_ == entries_capacity_) grow_entries();
  entry.position = text_end_;
  char* at = text_.get() + (text_end_ - text_begin_);
  if (!name.empty()) std::memcpy(at, name.data(), name.size());
  if (!value.empty()) std::memcpy(at + name.size(), value.data(), value.size());
  text_end_ += text_size;
  entries_[inserted_ & (entries_capacity_ - 1)] = entry;
  ++inserted_;
  ++count_;
  bytes_ += static_cast<std::uint32_t>(size);
  return true;
}

// The text moves to the front of its memory, or to more if it fills more than half: so each byte is moved once more on
// average, and the memory stays within twice what the table may hold.
void HpackTable::make_room(std::uint32_t text_size) {
  const std::uint32_t live_begin = count_ == 0 ? text_end_ : by_age(count_ - 1).position;
  const std::uint32_t live = text_end_ - live_begin;
  const char* from = text_.get() + (live_begin - text_begin_);
  const std::uint32_t wanted = 2 * (live + text_size);
  if (wanted > text_capacity_) {
    const std::uint32_t most = 2 * bytes_max_;
    const std::uint32_t grown = at_once_ ? most : std::min(more_than(text_capacity_, kTextAtFirst, kTextThen), most);
    const std::uint32_t capacity = std::max(grown, wanted);
    auto text = std::make_unique_for_overwrite<char[]>(capacity);
    if (live != 0) std::memcpy(text.get(), from, live);
    text_ = std::move(text);
    text_capacity_ = capacity;
  } else if (live != 0) {
    std::memmove(text_.get(), from, live);
  }
  text_begin_ = live_begin;
}

void HpackTable::grow_entries() {
  const std::uint32_t more = more_than(entries_capacity_, kEntriesAtFirst, kEntriesThen);
  const std::uint32_t capacity = at_once_ ? std::max(more, std::bit_ceil(bytes_max_ / kEntryOverhead)) : more;
  auto entries = std::make_unique_for_overwrite<Entry[]>(capacity);
  for (std::uint32_t n = inserted_ - count_; n != inserted_; ++n)
    entries[n & (capacity - 1)] = entries_[n & (entries_capacity_ - 1)];
  entries_ = std::move(entries);
  entries_capacity_ = capacity;
}

void HpackTable::release() {
  entries_.reset();
  text_.reset();
  entries_capacity_ = text_capacity_ = 0;
  text_begin_ = text_end_;
}

}  // namespace weir::http2
