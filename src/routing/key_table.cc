#include "routing/key_table.h"

#include <bit>

#include "base/assert.h"

namespace weir::routing {

void KeyTable::reserve(std::size_t count) {
  WEIR_CHECK(keys_.empty());
  // At most two thirds full.
  slots_.assign(std::bit_ceil(count + count / 2 + 1), Slot{});
  mask_ = slots_.size() - 1;
}

std::uint32_t KeyTable::insert(std::uint32_t scope, std::uint64_t hash, std::string_view key) {
  const std::uint64_t mixed = hash_mix(hash ^ scope, kHashStart);
  const auto tag = static_cast<std::uint32_t>(mixed >> 32);
  std::size_t at = mixed & mask_;
  for (; slots_[at].key != kNoKey; at = (at + 1) & mask_) {
    if (slots_[at].tag == tag && is(slots_[at].key, scope, key)) return slots_[at].key;
  }
  WEIR_CHECK(keys_.size() + 1 < slots_.size());
  const auto number = static_cast<std::uint32_t>(keys_.size());
  keys_.push_back({scope, static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(key.size())});
  texts_.append(key);
  slots_[at] = {tag, number};
  return number;
}

std::size_t KeyTable::memory_bytes() const {
  return slots_.capacity() * sizeof(Slot) + keys_.capacity() * sizeof(Key) + texts_.capacity();
}

}  // namespace weir::routing
