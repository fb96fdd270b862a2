#include "filters/filter.h"

#include <cstring>
#include <utility>

namespace weir::filters {

FilterChain::FilterChain(std::vector<std::shared_ptr<const Filter>> filters) {
  entries_.reserve(filters.size());
  for (auto& filter : filters) {
    const Steps steps = filter->steps();
    const std::size_t bytes = (filter->state_bytes() + 7) & ~std::size_t{7};
    entries_.push_back({std::move(filter), steps, state_bytes_});
    steps_ = static_cast<Steps>(steps_ | steps);
    state_bytes_ += bytes;
  }
}

FilterChain::Stream FilterChain::start(Arena& arena) const {
  Stream stream;
  if (state_bytes_ != 0) {
    stream.states_ = arena.allocate_array<std::byte>(state_bytes_);
    std::memset(stream.states_, 0, state_bytes_);
  }
  return stream;
}

template <typename Apply>
Action FilterChain::each(Step step, Stream stream, const Call& call, Apply apply) const {
  if (!wants(step)) return Action::go_on();
  for (const Entry& entry : entries_) {
    if ((entry.steps & steps_of(step)) == 0) continue;
    std::byte* state = stream.states_ == nullptr ? nullptr : stream.states_ + entry.state_offset;
    FilterContext context{call.arena, call.now, call.client, state};
    const Action action = apply(*entry.filter, context);
    if (action.kind != Action::Kind::go_on) return action;
  }
  return Action::go_on();
}

Action FilterChain::apply_request_head(http::RequestHead& head, Stream stream, const Call& call) const {
  return each(Step::request_head, stream, call,
              [&](const Filter& filter, FilterContext& context) { return filter.on_request_head(head, context); });
}

Action FilterChain::apply_request_body(Buffer& piece, bool last, Stream stream, const Call& call) const {
  return each(Step::request_body, stream, call, [&](const Filter& filter, FilterContext& context) {
    return filter.on_request_body(piece, last, context);
  });
}

Action FilterChain::apply_response_head(http::ResponseHead& head, Stream stream, const Call& call) const {
  return each(Step::response_head, stream, call,
              [&](const Filter& filter, FilterContext& context) { return filter.on_response_head(head, context); });
}

Action FilterChain::apply_response_body(Buffer& piece, bool last, Stream stream, const Call& call) const {
  return each(Step::response_body, stream, call, [&](const Filter& filter, FilterContext& context) {
    return filter.on_response_body(piece, last, context);
  });
}

std::vector<std::string_view> FilterChain::names() const {
  std::vector<std::string_view> names;
  names.reserve(entries_.size());
  for (const Entry& entry : entries_) names.push_back(entry.filter->name());
  return names;
}

}  // namespace weir::filters
