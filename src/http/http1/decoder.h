#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/head.h"
#include "http/limits.h"

// Sans-I/O HTTP/1 (RFC 9110, 9112): bytes in, events out. Strict: exactly one way to read a message, or an error.
namespace weir::http1 {

using http::BodyKind;

enum class Event : std::uint8_t {
  need_more,  // what is left of the input is the beginning of something: hand it in again with more behind it
  head,       // head() is complete
  body,       // Step::body is a piece of the body, within the input
  end,        // the message is complete; trailers() holds its trailer fields, if it had any
  error,      // Step::error; the connection can't be read any further
};

enum class DecodeError : std::uint8_t {
  none,
  bad_request,          // 400
  uri_too_long,         // 414
  headers_too_large,    // 431
  version_unsupported,  // 505
  bad_response,         // any fault in a response
  truncated,            // finish() came inside a message
};
std::string_view to_string(DecodeError error);

struct Step {
  Event event = Event::need_more;
  DecodeError error = DecodeError::none;
  std::size_t consumed = 0;  // bytes of the input that are done with, those of `body` included; also with need_more
  std::string_view body = {};
  std::string_view detail = {};  // of an error, for the log: "Content-Length and Transfer-Encoding"; static text
};

// What both kinds share: the state after the head. Feed it the unread input again and again: each call gives one event.
// References of a head point into the input of the call that gave it, until RequestHead::adopt(). One thread.
class BodyDecoder {
 public:
  void start(BodyKind kind, std::uint64_t content_length);
  Step next(std::string_view input, http::FieldList& trailers, const http::HeadLimits& limits);
  // The peer has closed: the end of an until_close body, else truncated.
  Step finish();

  bool in_body() const { return state_ != State::done; }
  // Body bytes that must still come: of a length body, or of the chunk under way. What a splice may move past the
  // decoder.
  std::uint64_t remaining() const { return remaining_; }
  // `bytes` (<= remaining(), any for until_close) of the body have been moved past the decoder.
  void skip(std::uint64_t bytes);

 private:
  enum class State : std::uint8_t { done, length, until_close, chunk_size, chunk_data, chunk_data_end, trailers };

  // Each reads on in `input` from `at`. True: goes on; false: `step` is the outcome.
  bool read_chunk_size(std::string_view input, std::size_t& at, Step& step);
  bool read_chunk_data_end(std::string_view input, std::size_t& at, Step& step);
  bool read_trailer_line(std::string_view input, std::size_t& at, http::FieldList& trailers,
                         const http::HeadLimits& limits, Step& step);

  std::uint64_t remaining_ = 0;
  std::uint32_t scanned_ = 0;          // of an unfinished line: where to go on looking
  std::uint32_t extension_bytes_ = 0;  // of all the message's chunk size lines
  std::uint32_t trailer_bytes_ = 0;
  std::uint32_t trailer_lines_ = 0;
  State state_ = State::done;
};

// How far an unfinished head has been checked. All 0 at its beginning.
struct HeadProgress {
  std::uint32_t line_start = 0;    // offset of the line that is unfinished
  std::uint32_t scanned = 0;       // up to here there is no end of it
  std::uint32_t fields_start = 0;  // offset of the first field line; 0 while in the start line
  std::uint32_t lines = 0;         // complete field lines
};

class RequestDecoder {
 public:
  RequestDecoder() = default;

  // Fills `head` when it returns Event::head; `head` must be clear before the first call of a message. `trailers` are
  // filled (in their own arena, copied) before Event::end. Empty lines before a request line are skipped (RFC
  // 9112 2.2), at most a few.
  Step next(std::string_view input, http::RequestHead& head, http::FieldList& trailers, const http::HeadLimits& limits);

  // True between messages, with no byte of the next one consumed or seen (empty lines before it are not of it).
  bool between_messages() const { return !in_message_ && progress_.scanned == 0; }
  BodyDecoder& body() { return body_; }
  const BodyDecoder& body() const { return body_; }

 private:
  Step read_head(std::string_view input, http::RequestHead& head, const http::HeadLimits& limits);

  BodyDecoder body_;
  HeadProgress progress_;
  std::uint8_t empty_lines_ = 0;
  bool in_message_ = false;
};

class ResponseDecoder {
 public:
  // Before each response: what it answers. HEAD has no body whatever its fields say, nor have 1xx, 204, 304.
  void expect(http::Method method);

  // A 1xx gives Event::head and then goes on with the next head: no Event::end of its own. 101 gives Event::head and
  // after it everything is the tunnel's: the decoder has nothing more to say (need_more, nothing consumed). Bytes
  // before expect(), or behind the end of the response, are an error: nobody asked for them.
  Step next(std::string_view input, http::ResponseHead& head, http::FieldList& trailers,
            const http::HeadLimits& limits);
  // The peer has closed: the end of an until_close body, else truncated.
  Step finish();

  BodyDecoder& body() { return body_; }

 private:
  enum class State : std::uint8_t { idle, head, body, tunnel };
  Step read_head(std::string_view input, http::ResponseHead& head, const http::HeadLimits& limits);

  BodyDecoder body_;
  HeadProgress progress_;
  http::Method method_ = http::Method::get;
  State state_ = State::idle;
  std::uint8_t interim_heads_ = 0;
};

}  // namespace weir::http1
