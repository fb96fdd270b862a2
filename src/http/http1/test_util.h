#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "http/http1/decoder.h"

// What the tests, fuzz targets and benchmarks of the codec share: a whole input is decoded into a value that can be
// compared.
namespace weir::http1::test {

struct Message {
  std::string start;  // what the start line was understood as
  std::string facts;  // body kind, keep-alive and the like
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::vector<std::pair<std::string, std::string>> trailers;  // those that may go on
  bool complete = false;

  bool operator==(const Message&) const = default;
};

struct Outcome {
  std::vector<Message> messages;
  DecodeError error = DecodeError::none;
  std::string detail;
  std::size_t consumed = 0;  // up to the last head, body or end

  bool operator==(const Outcome&) const = default;
};

// How many bytes of the input are known at the n-th look at it; called until it says all.
using Cut = std::function<std::size_t(std::size_t known, std::size_t size)>;

inline std::size_t whole(std::size_t, std::size_t size) {
  return size;
}
inline std::size_t byte_by_byte(std::size_t known, std::size_t) {
  return known + 1;
}

inline std::vector<std::pair<std::string, std::string>> copy_fields(const http::FieldList& fields, bool with_removed) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const http::Field& field : fields) {
    if (with_removed || !field.removed) result.emplace_back(field.name(), field.value());
  }
  return result;
}

inline std::string facts_of(http::BodyKind body, std::uint64_t length, bool keep_alive) {
  static constexpr const char* kKinds[] = {"none", "length", "chunked", "until_close", "stream_end"};
  std::string facts = kKinds[static_cast<int>(body)];
  if (body == http::BodyKind::length) facts += " " + std::to_string(length);
  if (keep_alive) facts += " keep-alive";
  return facts;
}

inline Message describe(const http::RequestHead& head) {
  Message message;
  message.start = std::string(head.method_text) + " " + std::string(head.path) + " " + std::string(head.authority) +
                  " " + std::string(to_string(head.version));
  message.facts = facts_of(head.body, head.content_length, head.keep_alive);
  if (head.expect_continue) message.facts += " continue";
  if (head.upgrade_websocket) message.facts += " websocket";
  message.fields = copy_fields(head.fields, true);
  return message;
}

inline Message describe(const http::ResponseHead& head) {
  Message message;
  message.start =
      std::string(to_string(head.version)) + " " + std::to_string(head.status) + " " + std::string(head.reason);
  message.facts = facts_of(head.body, head.content_length, head.keep_alive);
  message.fields = copy_fields(head.fields, false);
  return message;
}

// Feeds `input` as an owner of a connection would: what was not consumed comes again, with more behind it, and, to show
// references that outlived their call, from another place in memory each time.
template <typename Head, typename Next>
Outcome decode_with(std::string_view input, const Cut& cut, Head& head, http::FieldList& trailers, Next&& next) {
  Outcome outcome;
  std::size_t known = 0;
  std::size_t at = 0;
  while (true) {
    const std::string piece(input.substr(at, known - at));
    const Step step = next(std::string_view(piece));
    at += step.consumed;
    switch (step.event) {
      case Event::head:
        outcome.messages.push_back(describe(head));
        break;
      case Event::body:
        outcome.messages.back().body += step.body;
        break;
      case Event::end:
        outcome.messages.back().trailers = copy_fields(trailers, false);
        outcome.messages.back().complete = true;
        break;
      case Event::error:
        outcome.error = step.error;
        outcome.detail = step.detail;
        return outcome;
      case Event::need_more:
        if (known >= input.size()) return outcome;
        known = std::min(input.size(), std::max(known + 1, cut(known, input.size())));
        break;
    }
    if (step.event != Event::need_more) outcome.consumed = at;
    if (step.event == Event::head || step.event == Event::end) {
      head.clear();
      if (step.event == Event::end) trailers.clear();
    }
  }
}

inline Outcome decode_requests(std::string_view input, const Cut& cut = whole, const http::HeadLimits& limits = {}) {
  BufferPool pool;
  Arena arena(pool);
  http::RequestHead head(arena);
  http::FieldList trailers(arena);
  RequestDecoder decoder;
  return decode_with(input, cut, head, trailers,
                     [&](std::string_view piece) { return decoder.next(piece, head, trailers, limits); });
}

// One response to `method`, with its interim ones before it; `closed`: the peer closes behind the input.
inline Outcome decode_response(std::string_view input, const Cut& cut = whole, http::Method method = http::Method::get,
                               bool closed = false, const http::HeadLimits& limits = {}) {
  BufferPool pool;
  Arena arena(pool);
  http::ResponseHead head(arena);
  http::FieldList trailers(arena);
  ResponseDecoder decoder;
  decoder.expect(method);
  Outcome outcome = decode_with(input, cut, head, trailers,
                                [&](std::string_view piece) { return decoder.next(piece, head, trailers, limits); });
  if (!closed || outcome.error != DecodeError::none) return outcome;
  if (!outcome.messages.empty() && outcome.messages.back().complete) return outcome;
  const Step step = decoder.finish();
  outcome.error = step.error;
  if (step.event == Event::end) outcome.messages.back().complete = true;
  return outcome;
}

// Pieces of sizes that follow from `seed`, mostly small.
inline Cut random_cut(std::uint64_t seed) {
  return [seed](std::size_t known, std::size_t) mutable {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::uint64_t size = (seed >> 40) % ((seed >> 33) % 4 == 0 ? 400 : 20);
    return known + 1 + static_cast<std::size_t>(size);
  };
}

}  // namespace weir::http1::test
