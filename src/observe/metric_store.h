#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "observe/cells.h"
#include "observe/family.h"

namespace weir::observe {

class MetricStore;

// One cell with its label values, in one piece of memory: this header, the cell, the text of the labels. The labels lie
// one after the other, each followed by a NUL that is not part of it.
class Series {
 public:
  Series(const Series&) = delete;
  Series& operator=(const Series&) = delete;

  Family family() const { return family_; }
  std::size_t label_count() const { return label_count_; }
  std::string_view label(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : label_ends_[index - 1] + 1;
    return {text_ + begin, label_ends_[index] - begin};
  }
  // The value of the label named `label`, empty if the family has none of that name.
  std::string_view value_of(Label label) const;
  // The first `count` labels as one text, for ordering and comparing.
  std::string_view packed_labels(std::size_t count) const { return {text_, count == 0 ? 0 : label_ends_[count - 1]}; }

  const Counter& counter() const { return *static_cast<const Counter*>(cell_); }
  const Gauge& gauge() const { return *static_cast<const Gauge*>(cell_); }
  const Histogram& histogram() const { return *static_cast<const Histogram*>(cell_); }

  // Removed from its store; a reader leaves it out.
  bool detached() const { return detached_.load(std::memory_order_relaxed); }

 private:
  friend class MetricStore;
  template <typename Cell>
  friend class CellRef;
  Series() = default;

  MetricStore* store_ = nullptr;
  std::atomic<Series*>* slot_ = nullptr;
  Series* next_retired_ = nullptr;
  void* cell_ = nullptr;
  char* text_ = nullptr;
  std::uint64_t hash_ = 0;
  std::uint32_t references_ = 0;  // of the owner thread's handles
  Family family_{};
  std::uint8_t label_count_ = 0;
  std::atomic<bool> detached_{false};
  std::array<std::uint32_t, kLabelsMax> label_ends_{};
};

// A counted reference to a cell. While one exists the cell can be written, even after its series was removed from the
// store (nobody sees it then). Belongs to the thread that owns the store and must not outlive the store. Dropping the
// last one does not remove the series: only remove_if() does.
template <typename Cell>
class CellRef {
 public:
  CellRef() = default;
  CellRef(const CellRef& other) : series_(other.series_) {
    if (series_ != nullptr) ++series_->references_;
  }
  CellRef(CellRef&& other) noexcept : series_(std::exchange(other.series_, nullptr)) {}
  CellRef& operator=(CellRef other) noexcept {
    std::swap(series_, other.series_);
    return *this;
  }
  ~CellRef() { reset(); }

  void reset();
  explicit operator bool() const { return series_ != nullptr; }
  Cell* operator->() const { return static_cast<Cell*>(series_->cell_); }
  Cell& operator*() const { return *static_cast<Cell*>(series_->cell_); }

 private:
  friend class MetricStore;
  explicit CellRef(Series* series) : series_(series) { ++series_->references_; }

  Series* series_ = nullptr;
};

using CounterRef = CellRef<Counter>;
using GaugeRef = CellRef<Gauge>;
using HistogramRef = CellRef<Histogram>;

// The cells of one thread (a worker, the control thread, the log writer). That thread, the owner, creates, writes and
// removes; it never waits and takes no lock that it could wait for. Any other thread may read at the same time through
// a Reading. A series costs nothing until its first use.
class MetricStore {
 public:
  // `worker` is the value of the worker label of all families that have one.
  explicit MetricStore(std::string worker = {});
  MetricStore(const MetricStore&) = delete;
  MetricStore& operator=(const MetricStore&) = delete;
  // All handles and Readings must be gone.
  ~MetricStore();

  using Labels = std::initializer_list<std::string_view>;

  // Owner thread. Finds the series of these label values, in the order of the family's table without the worker, or
  // makes it. Finding does not allocate; making does. The text is copied. Keep the handle where it is used often.
  CounterRef counter(Family family, Labels labels = {}) {
    WEIR_ASSERT(describe(family).type == CellType::kCounter);
    return CounterRef(find_or_create(family, labels));
  }
  GaugeRef gauge(Family family, Labels labels = {}) {
    WEIR_ASSERT(describe(family).type == CellType::kGauge || describe(family).type == CellType::kInfo);
    return GaugeRef(find_or_create(family, labels));
  }
  HistogramRef histogram(Family family, Labels labels = {}) {
    WEIR_ASSERT(describe(family).type == CellType::kHistogram);
    return HistogramRef(find_or_create(family, labels));
  }

  // Owner thread. Removes every series for which matches(const Series&) holds: it is no longer shown, and asking for
  // the same labels again starts from 0. Looks at all series: meant for reloads, with one call for all that goes.
  // Returns how many.
  template <std::predicate<const Series&> Matches>
  std::size_t remove_if(Matches&& matches);

  // Owner thread. From then on a series for which `wanted` does not hold when it is asked for is made removed, as it
  // were: its handle can be written, and nobody sees it. For what ends after a reload removed its name, or it would
  // make the series again. Null: all are wanted.
  void show_only(std::function<bool(const Series&)> wanted) { wanted_ = std::move(wanted); }

  // Any thread. Frees what was removed, unless a Reading is open (which frees it when it closes). Never waits. Also
  // done by removing itself.
  void collect_garbage();

  // Series that are shown; owner thread.
  std::size_t series_count() const { return count_; }
  // Removed series whose memory has not been freed yet, because of a Reading or a handle; for tests, any thread.
  std::size_t retained_count() const { return retained_.load(std::memory_order_relaxed); }

  // Any thread but the owner's path: while it exists the series that for_each gave out stay in memory. Readings of one
  // store exclude each other.
  class Reading {
   public:
    explicit Reading(const MetricStore& store) : store_(&store), lock_(store.readers_) {}
    Reading(Reading&&) = default;
    ~Reading() {
      if (lock_.owns_lock()) store_->free_retired();
    }

    template <std::invocable<const Series&> Visit>
    void for_each(Visit&& visit) const;

   private:
    const MetricStore* store_;
    std::unique_lock<std::mutex> lock_;
  };

 private:
  template <typename Cell>
  friend class CellRef;
  struct Chunk;
  using Slot = std::atomic<Series*>;
  static constexpr std::size_t kChunkSlots = 62;

  Series* find_or_create(Family family, Labels labels);
  Series* create(Family family, Labels labels, std::uint64_t hash);
  bool matches(const Series& series, Family family, Labels labels, std::uint64_t hash) const;
  Slot* take_slot();
  void grow_table();
  void insert(Series* series);
  void erase_at(std::size_t index);
  void detach(Series* series);
  void release(Series* series);
  void retire(Series* series);
  void free_retired() const;
  static void destroy(Series* series);

  const std::string worker_;
  std::vector<Series*> table_;  // open addressing, linear probing, a power of two
  std::size_t count_ = 0;
  std::function<bool(const Series&)> wanted_;
  std::vector<Slot*> free_slots_;
  // What readers see: chunks are only ever added while the store lives.
  std::atomic<Chunk*> chunks_{nullptr};
  mutable std::atomic<Series*> retired_{nullptr};
  mutable std::atomic<std::size_t> retained_{0};
  mutable std::mutex readers_;  // the owner only ever tries it
};

struct MetricStore::Chunk {
  Chunk* next = nullptr;
  std::array<Slot, kChunkSlots> slots{};
};

template <typename Cell>
void CellRef<Cell>::reset() {
  if (series_ == nullptr) return;
  if (--series_->references_ == 0 && series_->detached()) series_->store_->release(series_);
  series_ = nullptr;
}

template <std::predicate<const Series&> Matches>
std::size_t MetricStore::remove_if(Matches&& matches) {
  std::size_t removed = 0;
  for (std::size_t i = 0; i < table_.size();) {
    Series* series = table_[i];
    if (series != nullptr && matches(std::as_const(*series))) {
      erase_at(i);  // may move a later one here: look again
      detach(series);
      ++removed;
    } else {
      ++i;
    }
  }
  if (removed > 0) collect_garbage();
  return removed;
}

template <std::invocable<const Series&> Visit>
void MetricStore::Reading::for_each(Visit&& visit) const {
  for (const Chunk* chunk = store_->chunks_.load(std::memory_order_acquire); chunk != nullptr; chunk = chunk->next) {
    for (const Slot& slot : chunk->slots) {
      if (const Series* series = slot.load(std::memory_order_acquire)) visit(*series);
    }
  }
}

}  // namespace weir::observe
