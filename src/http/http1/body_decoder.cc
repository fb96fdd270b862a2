#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "http/http1/decoder.h"
#include "http/http1/head_parser.h"
#include "http/message_rules.h"
#include "http/scan.h"

namespace weir::http1 {

using http::Field;
using http::FieldId;

namespace {

constexpr std::size_t kSizeDigitsMax = 16;
constexpr std::size_t kExtensionLineMax = 256;
// All extensions of a message: nobody uses them, and they are a cheap way to send much that carries nothing.
constexpr std::uint32_t kExtensionBytesMax = 16 * 1024;
constexpr std::uint64_t kChunkBytesMax = INT64_MAX;

bool fail(Step& step, DecodeError error, std::string_view detail) {
  step.event = Event::error;
  step.error = error;
  step.detail = detail;
  return false;
}

bool bad(Step& step, std::string_view detail) {
  return fail(step, DecodeError::bad_request, detail);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// RFC 9112 7.1.1 without the blanks that a bad grammar of old allowed: *( ";" token [ "=" ( token / quoted-string ) ]
// ).
bool is_chunk_extension(std::string_view text) {
  const char* p = text.data();
  const char* end = p + text.size();
  const auto skip_token = [&p, end] {
    const char* first = p;
    p = http::find_not_in<http::kTokenChars>(p, end);
    return p != first;
  };
  while (p != end) {
    if (*p++ != ';' || !skip_token()) return false;
    if (p == end || *p != '=') continue;
    ++p;
    if (p == end || *p != '"') {
      if (!skip_token()) return false;
      continue;
    }
    for (++p; p != end && *p != '"'; ++p) {
      if (*p == '\\' && ++p == end) return false;
    }
    if (p == end) return false;
    ++p;
  }
  return true;
}

}  // namespace

void BodyDecoder::start(BodyKind kind, std::uint64_t content_length) {
  *this = BodyDecoder();
  switch (kind) {
    case BodyKind::length:
      remaining_ = content_length;
      state_ = content_length == 0 ? State::done : State::length;
      break;
    case BodyKind::chunked:
      state_ = State::chunk_size;
      break;
    case BodyKind::until_close:
      state_ = State::until_close;
      break;
    case BodyKind::none:
    case BodyKind::stream_end:
      break;
  }
}

void BodyDecoder::skip(std::uint64_t bytes) {
  if (state_ == State::until_close) return;
  WEIR_ASSERT(bytes <= remaining_);
  remaining_ -= bytes;
  if (remaining_ != 0) return;
  if (state_ == State::length) state_ = State::done;
  if (state_ == State::chunk_data) state_ = State::chunk_data_end;
}

Step BodyDecoder::finish() {
  if (state_ == State::until_close || state_ == State::done) {
    state_ = State::done;
    return {.event = Event::end};
  }
  return {.event = Event::error, .error = DecodeError::truncated, .detail = "closed inside a body"};
}

// The size line of a chunk (RFC 9112 7.1). It is short, so an unfinished one is read again from its start, but for the
// search of its end.
bool BodyDecoder::read_chunk_size(std::string_view input, std::size_t& at, Step& step) {
  const char* first = input.data() + at;
  const char* end = input.data() + input.size();
  const char* p = first;
  std::uint64_t size = 0;
  for (int digit = 0; p != end && (digit = hex_digit(*p)) >= 0; ++p) {
    if (p - first >= std::ptrdiff_t{kSizeDigitsMax} || size > kChunkBytesMax >> 4)
      return bad(step, "chunk size too large");
    size = size << 4 | static_cast<std::uint64_t>(digit);
  }
  if (p == end) return false;
  if (p == first) return bad(step, "bad chunk size");
  if (*p != '\r' && *p != ';') return bad(step, "bad character behind a chunk size");
  const char* extension = p;
  const LineEnd line_end = find_line_end(std::max(extension, first + scanned_), end);
  const auto extension_size = static_cast<std::size_t>(line_end.at - extension);
  if (extension_size > kExtensionLineMax || extension_bytes_ + extension_size > kExtensionBytesMax) {
    return bad(step, "chunk extension too long");
  }
  if (!line_end.wrong.empty()) return bad(step, line_end.wrong);
  if (!line_end.complete) {
    scanned_ = static_cast<std::uint32_t>(line_end.at - first);
    return false;
  }
  if (!is_chunk_extension({extension, extension_size})) return bad(step, "bad chunk extension");
  extension_bytes_ += static_cast<std::uint32_t>(extension_size);
  scanned_ = 0;
  at = static_cast<std::size_t>(line_end.at + 2 - input.data());
  remaining_ = size;
  state_ = size == 0 ? State::trailers : State::chunk_data;
  return true;
}

bool BodyDecoder::read_chunk_data_end(std::string_view input, std::size_t& at, Step& step) {
  const std::string_view rest = input.substr(at, 2);
  if (!std::string_view("\r\n").starts_with(rest)) return bad(step, "chunk longer than its size");
  if (rest.size() < 2) return false;
  at += 2;
  state_ = State::chunk_size;
  return true;
}

// One line of the trailer section, copied at once.
bool BodyDecoder::read_trailer_line(std::string_view input, std::size_t& at, http::FieldList& trailers,
                                    const http::HeadLimits& limits, Step& step) {
  const char* line = input.data() + at;
  const char* end = input.data() + input.size();
  const LineEnd line_end = find_line_end(line + scanned_, end);
  const auto size = static_cast<std::size_t>(line_end.at - line);
  const std::uint64_t limit = std::min(limits.header_bytes, kHeadBytesMax);
  if (trailer_bytes_ + size > limit) return fail(step, DecodeError::headers_too_large, "trailer fields too large");
  if (!line_end.wrong.empty()) return bad(step, line_end.wrong);
  if (!line_end.complete) {
    scanned_ = static_cast<std::uint32_t>(size);
    return false;
  }
  scanned_ = 0;
  at += size + 2;
  if (size == 0) {
    state_ = State::done;
    return true;
  }
  trailer_bytes_ += static_cast<std::uint32_t>(size + 2);
  if (trailer_bytes_ > limit) return fail(step, DecodeError::headers_too_large, "trailer fields too large");
  if (++trailer_lines_ > limits.headers) return fail(step, DecodeError::headers_too_large, "too many trailer fields");
  Field field;
  const std::string_view wrong = parse_field_line({line, size}, field);
  if (!wrong.empty()) return bad(step, wrong);
  trailers.add_copy(field.name(), field.value());
  if (!http::may_be_trailer(field)) (trailers.end() - 1)->removed = true;
  return true;
}

Step BodyDecoder::next(std::string_view input, http::FieldList& trailers, const http::HeadLimits& limits) {
  Step step{.event = Event::need_more};
  std::size_t at = 0;
  bool go_on = true;
  while (go_on) {
    switch (state_) {
      case State::done:
        step.event = Event::end;
        go_on = false;
        break;
      case State::length:
      case State::chunk_data:
      case State::until_close: {
        std::size_t size = input.size() - at;
        if (state_ != State::until_close) size = std::min<std::uint64_t>(size, remaining_);
        if (size != 0) {
          step.event = Event::body;
          step.body = input.substr(at, size);
          at += size;
          skip(size);
        }
        go_on = false;
        break;
      }
      case State::chunk_size:
        go_on = read_chunk_size(input, at, step);
        break;
      case State::chunk_data_end:
        go_on = read_chunk_data_end(input, at, step);
        break;
      case State::trailers:
        go_on = read_trailer_line(input, at, trailers, limits, step);
        break;
    }
  }
  step.consumed = at;
  return step;
}

std::string_view to_string(DecodeError error) {
  switch (error) {
    case DecodeError::none:
      return "none";
    case DecodeError::bad_request:
      return "bad_request";
    case DecodeError::uri_too_long:
      return "uri_too_long";
    case DecodeError::headers_too_large:
      return "headers_too_large";
    case DecodeError::version_unsupported:
      return "version_unsupported";
    case DecodeError::bad_response:
      return "bad_response";
    case DecodeError::truncated:
      return "truncated";
  }
  return "unknown";
}

}  // namespace weir::http1
