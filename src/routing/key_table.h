#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace weir::routing {

inline constexpr std::uint32_t kNoKey = 0xffffffff;

// Multiplies and folds: every bit of either side reaches every bit of the result.
inline std::uint64_t hash_mix(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline constexpr std::uint64_t kHashStart = 0x9e3779b97f4a7c15;

// The hash of what was hashed so far with `piece` behind it. Depends on where the pieces were cut: cut keys and
// requests alike. Not for keys that a client chooses: tables here hold only what is configured.
inline std::uint64_t hash_append(std::uint64_t hash, std::string_view piece) {
  constexpr std::uint64_t kFactor = 0xd6e8feb86659fd93;
  const char* at = piece.data();
  std::size_t left = piece.size();
  std::uint64_t word = 0;
  for (; left >= 8; left -= 8, at += 8) {
    std::memcpy(&word, at, 8);
    hash = hash_mix(hash ^ word, kFactor);
  }
  word = 0;
  if (left >= 4) {
    std::uint32_t head = 0;
    std::uint32_t tail = 0;
    std::memcpy(&head, at, 4);
    std::memcpy(&tail, at + left - 4, 4);
    word = (std::uint64_t{head} << 32) | tail;
  } else if (left > 0) {
    word = (std::uint64_t{static_cast<unsigned char>(at[0])} << 16) |
           (std::uint64_t{static_cast<unsigned char>(at[left / 2])} << 8) | static_cast<unsigned char>(at[left - 1]);
  }
  return hash_mix(hash ^ word, kFactor ^ (std::uint64_t{piece.size()} << 40));
}

// A set of keys (a scope and some bytes), each with a number: 0, 1, 2, … in the order of insertion. Open addressing,
// the bytes in one string: about 28 bytes a key beside its text.
class KeyTable {
 public:
  // Room for `count` keys; more must not be inserted.
  void reserve(std::size_t count);
  // The key's number, old or new. `hash` is that of `key` by hash_append.
  std::uint32_t insert(std::uint32_t scope, std::uint64_t hash, std::string_view key);
  // The key's number or kNoKey.
  std::uint32_t find(std::uint32_t scope, std::uint64_t hash, std::string_view key) const {
    if (slots_.empty()) return kNoKey;
    const std::uint64_t mixed = hash_mix(hash ^ scope, kHashStart);
    const auto tag = static_cast<std::uint32_t>(mixed >> 32);
    for (std::size_t at = mixed & mask_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.key == kNoKey) return kNoKey;
      if (slot.tag == tag && is(slot.key, scope, key)) return slot.key;
    }
  }

  std::size_t size() const { return keys_.size(); }
  std::size_t memory_bytes() const;

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t key = kNoKey;
  };
  struct Key {
    std::uint32_t scope;
    std::uint32_t begin;
    std::uint32_t size;
  };

  bool is(std::uint32_t number, std::uint32_t scope, std::string_view text) const {
    const Key& key = keys_[number];
    return key.scope == scope && key.size == text.size() &&
           std::memcmp(texts_.data() + key.begin, text.data(), text.size()) == 0;
  }

  std::vector<Slot> slots_;
  std::vector<Key> keys_;
  std::string texts_;
  std::size_t mask_ = 0;
};

}  // namespace weir::routing
