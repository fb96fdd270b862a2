#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/time.h"
#include "http/head.h"

namespace weir::filters {

// The places of the way of a request where a filter may act. A set of them is an or of their bits.
enum class Step : std::uint8_t {
  request_head = 1 << 0,
  request_body = 1 << 1,
  response_head = 1 << 2,
  response_body = 1 << 3,
};
using Steps = std::uint8_t;
constexpr Steps steps_of(Step step) {
  return static_cast<Steps>(step);
}
constexpr Steps operator|(Step a, Step b) {
  return static_cast<Steps>(static_cast<Steps>(a) | static_cast<Steps>(b));
}

// What a filter wants to happen next. The owner of the stream does it after the call has returned.
struct Action {
  enum class Kind : std::uint8_t {
    go_on,
    reply,  // answer the client with `status` and `reason` instead; possible until the response's head has been sent,
            // later the stream is broken off
  };

  Kind kind = Kind::go_on;
  std::uint16_t status = 0;
  std::string_view reason;  // a stable reason code, of static lifetime
  std::string_view body;    // in the stream's arena or static; empty: the usual one of a local reply

  static Action go_on() { return {}; }
  static Action reply(std::uint16_t status, std::string_view reason, std::string_view body = {}) {
    return {Kind::reply, status, reason, body};
  }
};

// What a filter is given beside the message. Lives as long as one call.
struct FilterContext {
  Arena& arena;             // of the stream: what is put there lives as long as the stream
  TimePoint now;            // when the loop last looked for events
  std::string_view client;  // the client's address as text, without port
  std::byte* state;         // this filter's state_bytes() of this stream, zero at first; aligned to 8
};

// A streaming step on the request and the response path. One instance serves all streams of all workers at once, so
// it is immutable; what it must remember of a stream lies in that stream's state. No call may block, keep a reference
// to its arguments, or call back into the stream.
class Filter {
 public:
  virtual ~Filter() = default;

  // As in the configuration.
  virtual std::string_view name() const = 0;
  // The steps it wants to be called for. Never changes. A stream whose filters look at no body does not copy it.
  virtual Steps steps() const = 0;
  // Memory per stream. What is put there is never destroyed, only forgotten. Never changes.
  virtual std::size_t state_bytes() const { return 0; }

  // Called once, before the first attempt.
  virtual Action on_request_head(http::RequestHead&, FilterContext&) const { return Action::go_on(); }
  // `piece` is the next part of the body, without its coding; the filter may change it, take all of it away and put it
  // out later. `last` comes exactly once, perhaps with an empty piece. Trailers pass unseen.
  virtual Action on_request_body(Buffer& piece, bool last, FilterContext&) const {
    static_cast<void>(piece);
    static_cast<void>(last);
    return Action::go_on();
  }
  // Called for the final response, not for 1xx. A filter that will change the body's length sets `body` of the head
  // accordingly.
  virtual Action on_response_head(http::ResponseHead&, FilterContext&) const { return Action::go_on(); }
  virtual Action on_response_body(Buffer& piece, bool last, FilterContext&) const {
    static_cast<void>(piece);
    static_cast<void>(last);
    return Action::go_on();
  }
};

// The filters of one route, applied in configured order on the way to the backend and on the way back. Immutable:
// shared by all workers. Heads may come out pointing into the filters' memory, so a stream holds its chain (by its
// route) for as long as its heads.
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
