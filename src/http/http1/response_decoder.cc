#include <algorithm>

#include "http/http1/decoder.h"
#include "http/http1/head_parser.h"
#include "http/list.h"
#include "http/scan.h"

namespace weir::http1 {

using http::Field;
using http::FieldId;
using http::Method;
using http::ResponseHead;
using http::Version;

namespace {

// Heads of 1xx before the final one: a few are normal, an endless row is an attack.
constexpr std::uint8_t kInterimHeadsMax = 32;
constexpr std::size_t kStatusLineMax = 8 * 1024;
constexpr std::size_t kStatusBytes = 12;  // "HTTP/1.1 200"
constexpr std::string_view kVersionPrefix = "HTTP/1.";

Step error_step(std::string_view detail) {
  return {.event = Event::error, .error = DecodeError::bad_response, .detail = detail};
}

// What can be said of a status line before its end is there.
std::string_view check_status_line_start(std::string_view line) {
  const std::size_t size = std::min(line.size(), kVersionPrefix.size());
  if (line.substr(0, size) != kVersionPrefix.substr(0, size)) return "not an HTTP/1 response";
  if (line.size() > kStatusLineMax) return "status line too long";
  return {};
}

// RFC 9112 4. The space before an empty reason may be missing. What is wrong, or empty.
std::string_view parse_status_line(std::string_view line, ResponseHead& head) {
  if (line.size() < kStatusBytes) return "bad status line";
  if (line[7] != '0' && line[7] != '1') return "HTTP version of the response";
  head.version = line[7] == '1' ? Version::http_1_1 : Version::http_1_0;
  if (line[8] != ' ') return "bad status line";
  unsigned status = 0;
  for (const char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return "bad status code";
    status = status * 10 + static_cast<unsigned>(c - '0');
  }
  if (status < 100 || status > 599) return "bad status code";
  head.status = static_cast<std::uint16_t>(status);
  if (line.size() == kStatusBytes) return {};
  if (line[kStatusBytes] != ' ') return "bad status line";
  head.reason = line.substr(kStatusBytes + 1);
  return {};
}

// "timeout=N" of Keep-Alive; -1 if there is none that can be understood.
std::int32_t keep_alive_timeout(std::string_view value) {
  std::int32_t timeout = -1;
  http::for_each_element(value, [&timeout](std::string_view element) {
    constexpr std::string_view kName = "timeout=";
    if (element.size() <= kName.size() || element.size() > kName.size() + 9) return true;
    if (!http::equals_ignoring_case(element.substr(0, kName.size()), kName)) return true;
    std::int32_t seconds = 0;
    for (const char c : element.substr(kName.size())) {
      if (c < '0' || c > '9') return true;
      seconds = seconds * 10 + (c - '0');
    }
    timeout = seconds;
    return false;
  });
  return timeout;
}

// What the fields mean together, for an answer to `method`. What is wrong, or empty.
std::string_view interpret(ResponseHead& head, Method method) {
  const Framing framing = read_framing(head.fields, head.version);
  if (!framing.wrong.empty()) return framing.wrong;
  const bool interim = head.status < 200;
  if (interim || head.status == 204) {
    // RFC 9110 8.6, 9112 6.1. A 204 that says it is empty is common and harmless; the field must not go on.
    if (framing.body == BodyKind::chunked) return "Transfer-Encoding where there is no body";
    if (framing.has_length && (interim || framing.content_length != 0)) return "Content-Length where there is no body";
    head.fields.remove(FieldId::content_length);
  }
  if (interim && head.version == Version::http_1_0) return "1xx in HTTP/1.0";
  if (interim || head.status == 204 || head.status == 304 || method == Method::head) {
    head.body = BodyKind::none;
  } else if (framing.body == BodyKind::none) {
    head.body = BodyKind::until_close;
  } else {
    head.body = framing.body;
    head.content_length = framing.content_length;
  }
  head.keep_alive =
      head.body != BodyKind::until_close && !framing.close && (head.version == Version::http_1_1 || framing.keep_alive);
  if (const Field* field = head.fields.find(FieldId::keep_alive))
    head.keep_alive_timeout_s = keep_alive_timeout(field->value());
  return {};
}

// The status line from progress.line_start on; `wrong` says what is wrong with it.
ParseState read_status_line(const char* begin, const char* end, ResponseHead& head, HeadProgress& progress,
                            std::string_view& wrong) {
  const LineEnd line_end = find_line_end(begin + progress.scanned, end);
  const std::string_view line{begin, static_cast<std::size_t>(line_end.at - begin)};
  wrong = check_status_line_start(line);
  if (wrong.empty()) wrong = line_end.wrong;
  if (!wrong.empty()) return ParseState::fault;
  if (!line_end.complete) {
    progress.scanned = static_cast<std::uint32_t>(line.size());
    return ParseState::incomplete;
  }
  wrong = parse_status_line(line, head);
  if (!wrong.empty()) return ParseState::fault;
  progress.line_start = progress.scanned = progress.fields_start = static_cast<std::uint32_t>(line.size() + 2);
  return ParseState::complete;
}

}  // namespace

void ResponseDecoder::expect(Method method) {
  method_ = method;
  progress_ = {};
  interim_heads_ = 0;
  state_ = State::head;
}

Step ResponseDecoder::read_head(std::string_view input, ResponseHead& head, const http::HeadLimits& limits) {
  const char* begin = input.data();
  const char* end = begin + input.size();
  std::string_view wrong;
  const bool resumed = progress_.scanned != 0;
  if (resumed) {
    ParseState state = ParseState::complete;
    if (progress_.fields_start == 0) state = read_status_line(begin, end, head, progress_, wrong);
    if (state == ParseState::complete) {
      FieldSection section(begin, end, progress_, limits);
      state = section.resume();
      wrong = section.fault().detail;
    }
    head.clear();
    if (state == ParseState::fault) return error_step(wrong);
    if (state == ParseState::incomplete) return {.event = Event::need_more};
    progress_ = {};
  }
  ParseState state = read_status_line(begin, end, head, progress_, wrong);
  FieldSection section(begin, end, progress_, limits);
  if (state == ParseState::complete) {
    state = section.parse(head.fields);
    wrong = section.fault().detail;
  }
  if (state == ParseState::complete) wrong = interpret(head, method_);
  if (!wrong.empty()) return error_step(wrong);
  if (state == ParseState::incomplete) {
    head.clear();
    return {.event = Event::need_more};
  }
  const auto size = static_cast<std::size_t>(section.position() - begin);
  head.raw = {begin, size};
  progress_ = {};
  if (head.status == 101) {
    state_ = State::tunnel;
  } else if (head.status >= 200) {
    state_ = State::body;
    body_.start(head.body, head.content_length);
  } else if (++interim_heads_ > kInterimHeadsMax) {
    return error_step("too many 1xx");
  }
  return {.event = Event::head, .consumed = size};
}

Step ResponseDecoder::next(std::string_view input, ResponseHead& head, http::FieldList& trailers,
                           const http::HeadLimits& limits) {
  switch (state_) {
    case State::tunnel:
      break;
    case State::idle:
      if (!input.empty()) return error_step("bytes that nobody asked for");
      break;
    case State::head:
      if (!input.empty()) return read_head(input, head, limits);
      break;
    case State::body: {
      Step step = body_.next(input, trailers, limits);
      if (step.event == Event::end) state_ = State::idle;
      if (step.event == Event::error) step.error = DecodeError::bad_response;
      return step;
    }
  }
  return {.event = Event::need_more};
}

Step ResponseDecoder::finish() {
  if (state_ != State::body)
    return {.event = Event::error, .error = DecodeError::truncated, .detail = "closed inside a message"};
  const Step step = body_.finish();
  if (step.event == Event::end) state_ = State::idle;
  return step;
}

}  // namespace weir::http1
