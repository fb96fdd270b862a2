#include "observe/metric_store.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace weir::observe {
namespace {

std::uint64_t mix(std::uint64_t hash, std::string_view text) {
  constexpr std::uint64_t kPrime = 0x9e3779b97f4a7c15ULL;
  hash = (hash ^ text.size()) * kPrime;
  while (text.size() >= 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data(), 8);
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 32;
    text.remove_prefix(8);
  }
  std::uint64_t rest = 0;
  if (!text.empty()) std::memcpy(&rest, text.data(), text.size());
  hash = (hash ^ rest) * kPrime;
  return hash ^ (hash >> 29);
}

constexpr std::size_t cell_size(CellType type) {
  switch (type) {
    case CellType::kCounter:
      return sizeof(Counter);
    case CellType::kHistogram:
      return sizeof(Histogram);
    case CellType::kGauge:
    case CellType::kInfo:
      break;
  }
  return sizeof(Gauge);
}

}  // namespace

std::string_view Series::value_of(Label label) const {
  const auto names = describe(family_).labels();
  const auto found = std::ranges::find(names, label);
  return found == names.end() ? std::string_view{} : this->label(static_cast<std::size_t>(found - names.begin()));
}

MetricStore::MetricStore(std::string worker) : worker_(std::move(worker)) {}

MetricStore::~MetricStore() {
  for (Series* series : table_) {
    if (series == nullptr) continue;
    WEIR_ASSERT(series->references_ == 0);
    destroy(series);
  }
  free_retired();
  WEIR_ASSERT(retained_count() == 0);
  for (Chunk* chunk = chunks_.load(); chunk != nullptr;) delete std::exchange(chunk, chunk->next);
}

bool MetricStore::matches(const Series& series, Family family, Labels labels, std::uint64_t hash) const {
  if (series.hash_ != hash || series.family_ != family) return false;
  std::size_t index = 0;
  for (std::string_view value : labels) {
    if (series.label(index++) != value) return false;
  }
  return true;
}

Series* MetricStore::find_or_create(Family family, Labels labels) {
  WEIR_ASSERT(labels.size() + (describe(family).per_worker ? 1 : 0) == describe(family).label_count);
  std::uint64_t hash = static_cast<std::uint64_t>(family) + 1;
  for (std::string_view value : labels) hash = mix(hash, value);
  if (!table_.empty()) {
    const std::size_t mask = table_.size() - 1;
    for (std::size_t i = hash & mask; table_[i] != nullptr; i = (i + 1) & mask) {
      if (matches(*table_[i], family, labels, hash)) return table_[i];
    }
  }
  return create(family, labels, hash);
}

Series* MetricStore::create(Family family, Labels labels, std::uint64_t hash) {
  const FamilyDescriptor& descriptor = describe(family);
  std::array<std::string_view, kLabelsMax> values;
  std::copy(labels.begin(), labels.end(), values.begin());
  if (descriptor.per_worker) values[labels.size()] = worker_;

  std::size_t text_size = 0;
  for (std::size_t i = 0; i < descriptor.label_count; ++i) text_size += values[i].size() + 1;
  const std::size_t cell = cell_size(descriptor.type);
  char* memory = static_cast<char*>(::operator new(sizeof(Series) + cell + text_size));

  Series* series = new (memory) Series;
  series->store_ = this;
  series->hash_ = hash;
  series->family_ = family;
  series->label_count_ = descriptor.label_count;
  series->cell_ = memory + sizeof(Series);
  series->text_ = memory + sizeof(Series) + cell;
  char* end = series->text_;
  for (std::size_t i = 0; i < descriptor.label_count; ++i) {
    end = std::copy(values[i].begin(), values[i].end(), end);
    series->label_ends_[i] = static_cast<std::uint32_t>(end - series->text_);
    *end++ = '\0';
  }
  switch (descriptor.type) {
    case CellType::kCounter:
      new (series->cell_) Counter;
      break;
    case CellType::kHistogram:
      new (series->cell_) Histogram(*descriptor.buckets);
      break;
    case CellType::kGauge:
    case CellType::kInfo:
      new (series->cell_) Gauge;
      break;
  }
  if (wanted_ && !wanted_(*series)) {
    series->detached_.store(true, std::memory_order_relaxed);
    retained_.fetch_add(1, std::memory_order_relaxed);
    return series;
  }
  if ((count_ + 1) * 2 > table_.size()) grow_table();
  insert(series);
  ++count_;
  series->slot_ = take_slot();
  series->slot_->store(series, std::memory_order_release);
  return series;
}

MetricStore::Slot* MetricStore::take_slot() {
  if (free_slots_.empty()) {
    auto* chunk = new Chunk;
    free_slots_.reserve(free_slots_.capacity() + kChunkSlots);
    for (std::size_t i = kChunkSlots; i-- > 0;) free_slots_.push_back(&chunk->slots[i]);
    chunk->next = chunks_.load(std::memory_order_relaxed);
    chunks_.store(chunk, std::memory_order_release);
  }
  Slot* slot = free_slots_.back();
  free_slots_.pop_back();
  return slot;
}

void MetricStore::grow_table() {
  std::vector<Series*> old(std::max<std::size_t>(16, table_.size() * 2));
  std::swap(old, table_);
  for (Series* series : old) {
    if (series != nullptr) insert(series);
  }
}

void MetricStore::insert(Series* series) {
  const std::size_t mask = table_.size() - 1;
  std::size_t i = series->hash_ & mask;
  while (table_[i] != nullptr) i = (i + 1) & mask;
  table_[i] = series;
}

// Closes the gap by moving back those that were pushed past it, so that there are no tombstones.
void MetricStore::erase_at(std::size_t index) {
  const std::size_t mask = table_.size() - 1;
  std::size_t gap = index;
  for (std::size_t i = (gap + 1) & mask; table_[i] != nullptr; i = (i + 1) & mask) {
    const std::size_t home = table_[i]->hash_ & mask;
    if (((i - home) & mask) >= ((i - gap) & mask)) {
      table_[gap] = table_[i];
      gap = i;
    }
  }
  table_[gap] = nullptr;
}

void MetricStore::detach(Series* series) {
  --count_;
  retained_.fetch_add(1, std::memory_order_relaxed);
  series->detached_.store(true, std::memory_order_relaxed);
  series->slot_->store(nullptr, std::memory_order_release);
  free_slots_.push_back(series->slot_);
  if (series->references_ == 0) retire(series);
}

// The last handle of a detached series went.
void MetricStore::release(Series* series) {
  retire(series);
  collect_garbage();
}

void MetricStore::retire(Series* series) {
  Series* head = retired_.load(std::memory_order_relaxed);
  do {
    series->next_retired_ = head;
  } while (!retired_.compare_exchange_weak(head, series, std::memory_order_release, std::memory_order_relaxed));
}

void MetricStore::collect_garbage() {
  if (retired_.load(std::memory_order_relaxed) == nullptr) return;
  std::unique_lock lock(readers_, std::try_to_lock);
  if (lock.owns_lock()) free_retired();
}

// With readers_ held, or nobody left to read.
void MetricStore::free_retired() const {
  Series* series = retired_.exchange(nullptr, std::memory_order_acquire);
  while (series != nullptr) {
    destroy(std::exchange(series, series->next_retired_));
    retained_.fetch_sub(1, std::memory_order_relaxed);
  }
}

void MetricStore::destroy(Series* series) {
  static_assert(std::is_trivially_destructible_v<Counter> && std::is_trivially_destructible_v<Gauge> &&
                std::is_trivially_destructible_v<Histogram>);
  series->~Series();
  ::operator delete(series);
}

}  // namespace weir::observe
