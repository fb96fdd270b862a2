#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "filters/filter.h"

namespace weir::filters {

// The filters of one route, applied in configured order on the way to the backend and on the way back. Immutable: shared
// by all workers. Heads may come out pointing into the filters' memory, so a stream holds its chain (by its route) for as
// long as its heads.
class FilterChain {
 public:
  FilterChain() = default;
  explicit FilterChain(std::vector<std::shared_ptr<const Filter>> filters);

  // What one stream brings along: set up once, before the first call. Trivial for a chain without state.
  class Stream {
   public:
    Stream() = default;

   private:
    friend class FilterChain;
    std::byte* states_ = nullptr;
  };
  // `arena` is the stream's, and must keep what it holds until the stream has ended.
  Stream start(Arena& arena) const;

  // What changes from call to call.
  struct Call {
    Arena& arena;
    TimePoint now;
    std::string_view client;
  };

  bool empty() const { return entries_.empty(); }
  // Whether any filter wants that step: if not, its apply function need not be called.
  bool wants(Step step) const { return (steps_ & steps_of(step)) != 0; }

  // Each calls the filters that want the step, and stops at the first that does not say go_on.
  Action apply_request_head(http::RequestHead& head, Stream stream, const Call& call) const;
  Action apply_request_body(Buffer& piece, bool last, Stream stream, const Call& call) const;
  Action apply_response_head(http::ResponseHead& head, Stream stream, const Call& call) const;
  Action apply_response_body(Buffer& piece, bool last, Stream stream, const Call& call) const;

  // The names of the filters, in order.
  std::vector<std::string_view> names() const;

 private:
  struct Entry {
    std::shared_ptr<const Filter> filter;
    Steps steps;
    std::size_t state_offset;
  };

  template <typename Apply>
  Action each(Step step, Stream stream, const Call& call, Apply apply) const;

  std::vector<Entry> entries_;
  Steps steps_ = 0;
  std::size_t state_bytes_ = 0;
};

}  // namespace weir::filters
