#pragma once

#include <cstdint>
#include <vector>

#include "observe/metric_store.h"

namespace weir::proxy {

// A family's counters by a small key (a status, or method and status together), found without hashing label texts. Most
// traffic has one or two keys, so the last one found is looked at first.
class StatusCounters {
 public:
  // The counter of `key`; make() gives its series the first time.
  template <typename Make>
  observe::Counter& get(std::uint32_t key, Make&& make) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].key != key) continue;
      if (i > 0) std::swap(entries_[i], entries_[i - 1]);
      return *entries_[i == 0 ? 0 : i - 1].counter;
    }
    entries_.push_back({key, make()});
    return *entries_.back().counter;
  }

 private:
  struct Entry {
    std::uint32_t key;
    observe::CounterRef counter;
  };
  std::vector<Entry> entries_;
};

}  // namespace weir::proxy
