#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "http/http2/hpack.h"
#include "http/http2/hpack_static.h"
#include "http/http2/huffman.h"

namespace weir::http2 {

using http::FieldId;

namespace {

constexpr std::size_t kIdCount = static_cast<std::size_t>(FieldId::count_);

consteval std::array<std::uint8_t, kIdCount> make_index_of_id() {
  std::array<std::uint8_t, kIdCount> indices{};
  for (std::size_t i = 1; i <= kStaticCount; ++i)
    indices[static_cast<std::size_t>(kStaticTable[i].id)] = static_cast<std::uint8_t>(i);
  indices[0] = 0;
  return indices;
}
constexpr std::array<std::uint8_t, kIdCount> kIndexOfId = make_index_of_id();

// Finds the index of those names of the static table that have no id.
constexpr std::size_t slot_of_name(std::string_view name) {
  const auto byte = [name](std::size_t i) { return static_cast<unsigned char>(name[i]); };
  return (name.size() * 2 + byte(0) * 17u + byte(name.size() - 1) * 2u + byte(name.size() / 2)) & 63;
}

consteval std::array<std::uint8_t, 64> make_name_slots() {
  std::array<std::uint8_t, 64> slots{};
  for (std::size_t i = kPseudoMax + 1; i <= kStaticCount; ++i) {
    if (kStaticTable[i].id != FieldId::other) continue;
    std::uint8_t& slot = slots[slot_of_name(kStaticTable[i].name)];
    if (slot != 0) throw "two names share a slot";
    slot = static_cast<std::uint8_t>(i);
  }
  return slots;
}
constexpr std::array<std::uint8_t, 64> kNameSlots = make_name_slots();

std::uint8_t find_static_name(std::string_view name, FieldId id) {
  if (id != FieldId::other) return kIndexOfId[static_cast<std::size_t>(id)];
  if (name.empty()) return 0;
  if (name[0] == ':') return static_name_index(name);
  const std::uint8_t index = kNameSlots[slot_of_name(name)];
  return index != 0 && kStaticTable[index].name == name ? index : 0;
}

// Values that seldom come twice, or not for long: a place in the table would be wasted. A date is the same in all
// answers of a second: where there are several, it pays at once.
consteval std::uint64_t make_unique_names() {
  std::uint64_t mask = 0;
  for (const std::string_view name : {":path", "age", "content-length", "content-range", "etag", "expires", "if-match",
                                      "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
                                      "last-modified", "location", "range", "retry-after", "set-cookie"}) {
    mask |= std::uint64_t{1} << static_name_index(name);
  }
  return mask;
}
constexpr std::uint64_t kUniqueNames = make_unique_names();

bool seldom_comes_twice(std::uint8_t name_index, FieldId id) {
  return id == FieldId::x_request_id || ((kUniqueNames >> name_index) & 1) != 0;
}

template <typename Word>
std::uint64_t load(const char* p) {
  Word word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Collisions cost compression and nothing else: whoever provokes them harms nobody.
std::uint64_t hash_text(std::uint64_t seed, std::string_view text) {
  constexpr std::uint64_t kA = 0x9e3779b97f4a7c15ULL;
  constexpr std::uint64_t kB = 0xd1b54a32d192ed03ULL;
  const char* p = text.data();
  std::size_t size = text.size();
  std::uint64_t hash = seed ^ (size * kA);
  for (; size > 16; p += 16, size -= 16) hash = mix(load<std::uint64_t>(p) ^ kA, load<std::uint64_t>(p + 8) ^ hash);
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  if (size >= 8) {
    a = load<std::uint64_t>(p);
    b = load<std::uint64_t>(p + size - 8);
  } else if (size >= 4) {
    a = load<std::uint32_t>(p);
    b = load<std::uint32_t>(p + size - 4);
  } else if (size > 0) {
    a = static_cast<unsigned char>(p[0]) | static_cast<unsigned>(static_cast<unsigned char>(p[size / 2])) << 8 |
        static_cast<unsigned>(static_cast<unsigned char>(p[size - 1])) << 16;
  }
  return mix(a ^ kB, b ^ hash);
}

std::uint64_t hash_name(std::string_view name, std::uint8_t static_index) {
  return static_index != 0 ? static_index * 0x9e3779b97f4a7c15ULL : hash_text(0, name);
}

char* write_integer(char* out, std::uint8_t flags, unsigned prefix_bits, std::size_t value) {
  const std::size_t prefix_max = (std::size_t{1} << prefix_bits) - 1;
  if (value < prefix_max) {
    *out++ = static_cast<char>(flags | value);
    return out;
  }
  *out++ = static_cast<char>(flags | prefix_max);
  for (value -= prefix_max; value >= 0x80; value >>= 7) *out++ = static_cast<char>(0x80 | (value & 0x7f));
  *out++ = static_cast<char>(value);
  return out;
}

char* write_plain(char* out, std::string_view text) {
  out = write_integer(out, 0, 7, text.size());
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* write_string(char* out, std::string_view text) {
  if (text.size() < 0x7f) {  // the size takes a byte, Huffman or not
    if (char* end = huffman_encode(text, out + 1)) {
      *out = static_cast<char>(0x80 | (end - out - 1));
      return end;
    }
  } else {
    const std::size_t size = huffman_size(text);
    if (size < text.size()) return huffman_encode(text, write_integer(out, 0x80, 7, size));
  }
  return write_plain(out, text);
}

char* write_indexed(char* out, std::uint32_t age) {
  return write_integer(out, 0x80, 7, age + kStaticCount + 1);
}

}  // namespace

// Finds entries by hash. A slot names an entry by the low bits of its number, and is stale when that has left the
// table; whatever is found is compared. Small as long as few entries were put in: most connections see few fields.
class HpackEncoder::Index {
 public:
  explicit Index(bool large) : mask_(large ? kBucketsMax - 1 : kBucketsAtFirst - 1) {}

  // By name, the number of the entry that served last: most fields say the same as the time before. Names share places
  // by chance, so whoever looks compares the name too.
  std::uint16_t& recent_of(std::string_view name, FieldId id) {
    if (id != FieldId::other) return recent_[static_cast<std::size_t>(id) % kRecent];
    return recent_[name.empty() ? 0 : (name.size() * 5 + static_cast<unsigned char>(name.back())) % kRecent];
  }

  // The age of the first entry with that hash for which `matches`, or -1.
  template <typename Matches>
  int find(const HpackTable& table, std::uint32_t hash, Matches&& matches) const {
    for (const Slot& slot : buckets_[hash & mask_].slots) {
      if (slot.tag != tag(hash)) continue;
      const std::uint32_t age = table.age_of(slot.number);
      if (age < table.count() && matches(table.by_age(age))) return static_cast<int>(age);
    }
    return -1;
  }

  // The entry gets the place of one with the same hash or of the oldest in its bucket.
  void add(std::uint32_t entry, std::uint32_t hash) {
    const auto number = static_cast<std::uint16_t>(entry);
    Slot* place = nullptr;
    unsigned oldest = 0;
    for (Slot& slot : buckets_[hash & mask_].slots) {
      const unsigned age = slot.tag == tag(hash) ? 0x10000u : static_cast<std::uint16_t>(number - slot.number);
      if (place != nullptr && age <= oldest) continue;
      place = &slot;
      oldest = age;
    }
    *place = {number, tag(hash)};
  }

  // Whether the field was seen before; from now on it was.
  bool see(std::uint32_t hash) {
    std::uint32_t& seen = buckets_[hash & mask_].seen;
    const std::uint32_t mark = hash >> 24;
    for (unsigned shift = 0; shift < 32; shift += 8) {
      if (((seen >> shift) & 0xff) == mark) return true;
    }
    seen = seen << 8 | mark;
    return false;
  }

  // Too small for so many entries: they must be added anew after grow().
  bool crowded(std::uint32_t entries) const { return mask_ + 1 < kBucketsMax && entries > 2 * (mask_ + 1); }
  void grow() {
    mask_ = kBucketsMax - 1;
    buckets_ = std::make_unique<Bucket[]>(kBucketsMax);
  }

 private:
  static constexpr std::size_t kRecent = 32;
  static constexpr std::uint32_t kBucketsAtFirst = 8;
  static constexpr std::uint32_t kBucketsMax = 64;

  struct Slot {
    std::uint16_t number;
    std::uint16_t tag;
  };
  struct Bucket {
    std::array<Slot, 4> slots;
    std::uint32_t seen;  // fields that came once: the last four marks
  };

  static std::uint16_t tag(std::uint32_t hash) { return static_cast<std::uint16_t>(hash >> 16); }

  std::array<std::uint16_t, kRecent> recent_{};
  std::uint32_t mask_;
  std::unique_ptr<Bucket[]> buckets_ = std::make_unique<Bucket[]>(mask_ + 1);
};

HpackEncoder::HpackEncoder() = default;
HpackEncoder::~HpackEncoder() = default;

void HpackEncoder::set_table_bytes_max(std::uint32_t bytes) {
  wanted_ = std::min(bytes, kDefaultTableBytes);
  lowest_ = std::min(lowest_, wanted_);
}

char* HpackEncoder::begin_block(char* out) {
  const auto say = [&](std::uint32_t bytes) {
    out = write_integer(out, 0x20, 5, bytes);
    table_.set_bytes_max(bytes);
  };
  if (lowest_ < table_.bytes_max()) say(lowest_);
  if (wanted_ != table_.bytes_max()) say(wanted_);
  lowest_ = wanted_;
  // An empty table may be about to get its first entry: what was seen before is not forgotten.
  table_.release_if_empty();
  if (table_.bytes_max() == 0) index_.reset();
  return out;
}

void HpackEncoder::begin_block(Buffer& out) {
  if (lowest_ == table_.bytes_max() && wanted_ == lowest_) return;
  char* start = out.reserve(kBlockStartMax).data();
  out.commit(static_cast<std::size_t>(begin_block(start) - start));
}

bool HpackEncoder::insert(std::string_view name, std::string_view value, std::uint8_t name_index, FieldId id,
                          Hashes hashes) {
  if (name.size() + value.size() + kEntryOverhead > table_.bytes_max() / 4 * 3) return false;
  table_.insert(name, value, name_index, id, true);
  if (index_->crowded(table_.count())) {
    grow_index();
    return true;
  }
  const std::uint32_t number = table_.inserted() - 1;
  if (hashes.field != 0) index_->add(number, hashes.field);
  if (name_index == 0) index_->add(number, hashes.name);
  return true;
}

void HpackEncoder::grow_index() {
  index_->grow();
  for (std::uint32_t age = table_.count(); age-- > 0;) {
    const HpackTable::Entry& entry = table_.by_age(age);
    const std::uint64_t name_hash = hash_name(table_.name(entry), entry.name_index);
    const std::uint32_t number = table_.inserted() - 1 - age;
    index_->add(number, static_cast<std::uint32_t>(hash_text(name_hash, table_.value(entry))));
    if (entry.name_index == 0) index_->add(number, static_cast<std::uint32_t>(name_hash));
  }
}

void HpackEncoder::rest() {
  index_.reset();
  if (table_.count() == 0) return;
  table_.clear();
  lowest_ = 0;
}

char* HpackEncoder::add(char* out, std::string_view name, std::string_view value, FieldId id, std::uint8_t name_index,
                        Indexing indexing) {
  std::uint32_t index = name_index != 0 ? name_index : find_static_name(name, id);
  name_index = static_cast<std::uint8_t>(index);
  if (kStaticTable[name_index].value.size() != 0 && indexing != Indexing::never) {
    for (std::uint8_t i = name_index; kStaticTable[i].name == kStaticTable[name_index].name; ++i) {
      if (kStaticTable[i].value == value) return add_static(out, i);
    }
  }
  bool enters = false;
  if (table_.bytes_max() != 0) {
    if (index_ == nullptr) index_ = std::make_unique<Index>(table_.takes_memory_at_once());
    if (indexing == Indexing::allowed && seldom_comes_twice(name_index, id)) indexing = Indexing::without;
    std::uint16_t& recent = index_->recent_of(name, id);
    const auto is_it = [&](const HpackTable::Entry& entry) {
      return entry.value_size == value.size() && table_.value(entry) == value && entry.id == id &&
             (id != FieldId::other || table_.name(entry) == name);
    };
    if (indexing == Indexing::allowed) {
      const std::uint32_t age = table_.age_of(recent);
      if (age < table_.count() && is_it(table_.by_age(age))) return write_indexed(out, age);
    }
    Hashes hashes{};
    const std::uint64_t name_hash = hash_name(name, name_index);
    hashes.name = static_cast<std::uint32_t>(name_hash);
    if (indexing == Indexing::allowed) {
      hashes.field = static_cast<std::uint32_t>(hash_text(name_hash, value));
      if (const int age = index_->find(table_, hashes.field, is_it); age >= 0) {
        recent = static_cast<std::uint16_t>(table_.inserted() - 1 - static_cast<std::uint32_t>(age));
        return write_indexed(out, static_cast<std::uint32_t>(age));
      }
    }
    if (index == 0) {
      const int age =
          index_->find(table_, hashes.name, [&](const HpackTable::Entry& entry) { return table_.name(entry) == name; });
      if (age >= 0) index = static_cast<std::uint32_t>(age) + kStaticCount + 1;
    }
    // A name that no table has is worth its place at once; it must not take a secret along.
    if (indexing != Indexing::never && (index == 0 || (indexing == Indexing::allowed && index_->see(hashes.field)))) {
      enters = insert(name, value, name_index, id, hashes);
      recent = static_cast<std::uint16_t>(table_.inserted() - 1);
    }
  }
  if (enters) {
    out = write_integer(out, 0x40, 6, index);
  } else {
    out = write_integer(out, indexing == Indexing::never ? 0x10 : 0, 4, index);
  }
  if (index == 0) out = write_string(out, name);
  return write_string(out, value);
}

void HpackEncoder::add(Buffer& out, std::string_view name, std::string_view value, FieldId id, std::uint8_t name_index,
                       Indexing indexing) {
  const std::size_t size_max = field_max(name.size(), value.size());
  if (size_max > kSliceCapacity) return add_large(out, name, value, indexing == Indexing::never);
  char* start = out.reserve(size_max).data();
  const char* end = add(start, name, value, id, name_index, indexing);
  out.commit(static_cast<std::size_t>(end - start));
}

// Too large for one piece, and for the table.
void HpackEncoder::add_large(Buffer& out, std::string_view name, std::string_view value, bool sensitive) {
  char start[8];
  const auto write = [&](std::uint8_t flags, unsigned prefix_bits, std::size_t number) {
    const char* end = write_integer(start, flags, prefix_bits, number);
    out.append({start, static_cast<std::size_t>(end - start)});
  };
  write(sensitive ? 0x10 : 0, 4, 0);
  write(0, 7, name.size());
  out.append(name);
  write(0, 7, value.size());
  out.append(value);
}

}  // namespace weir::http2
