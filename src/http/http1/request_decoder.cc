#include <algorithm>
#include <cstring>

#include "http/authority.h"
#include "http/http1/decoder.h"
#include "http/http1/head_parser.h"
#include "http/message_rules.h"
#include "http/scan.h"

namespace weir::http1 {

using http::Field;
using http::FieldId;
using http::Method;
using http::RequestHead;
using http::Version;

namespace {

constexpr std::size_t kVersionBytes = 8;
// RFC 9112 2.2 asks for tolerance of a stray CR LF behind a body; more than a few are no accident.
constexpr std::uint8_t kEmptyLinesMax = 4;

Fault bad(std::string_view detail) {
  return {DecodeError::bad_request, detail};
}

std::string_view between(const char* first, const char* last) {
  return {first, static_cast<std::size_t>(last - first)};
}

// What can be said of a request line before its end is there; the same is said of a complete one first.
Fault check_request_line_start(std::string_view line, std::uint64_t uri_limit) {
  const char* first = line.data();
  const char* last = first + line.size();
  const char* method_end =
      http::find_not_in<http::kTokenChars>(first, first + std::min(line.size(), http::kMethodBytesMax + 1));
  if (method_end - first > std::ptrdiff_t{http::kMethodBytesMax}) return bad("method too long");
  if (method_end == last) return {};
  if (*method_end != ' ' || method_end == first) return bad("bad method");
  const char* target = method_end + 1;
  const auto behind = static_cast<std::uint64_t>(last - target);
  if (behind <= uri_limit) return {};
  const void* space = std::memchr(target, ' ', static_cast<std::size_t>(uri_limit + 1));
  if (space == nullptr) return {DecodeError::uri_too_long, "request target too long"};
  if (last - static_cast<const char*>(space) > std::ptrdiff_t{kVersionBytes + 1}) return bad("bad request line");
  return {};
}

Fault parse_version(std::string_view text, Version& version) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text == "HTTP/1.1") {
    version = Version::http_1_1;
  } else if (text == "HTTP/1.0") {
    version = Version::http_1_0;
  } else if (text.size() == kVersionBytes && text.starts_with("HTTP/") && digit(text[5]) && text[6] == '.' &&
             digit(text[7])) {
    return {DecodeError::version_unsupported, "HTTP version"};
  } else {
    return bad("bad HTTP version");
  }
  return {};
}

// RFC 9112 3.2.2. The fields are not read yet.
Fault parse_absolute_form(RequestHead& head) {
  const std::size_t colon = head.target.find(':');
  if (colon == std::string_view::npos) return bad("bad request target");
  const std::string_view scheme = head.target.substr(0, colon);
  if (!http::equals_ignoring_case(scheme, "http") && !http::equals_ignoring_case(scheme, "https")) {
    return bad("scheme of the request target");
  }
  std::string_view rest = head.target.substr(colon);
  if (!rest.starts_with("://")) return bad("bad request target");
  rest.remove_prefix(3);
  const std::size_t authority_size = std::min(rest.find_first_of("/?"), rest.size());
  head.scheme = scheme;
  head.authority = rest.substr(0, authority_size);
  if (!http::is_authority(head.authority)) return bad("authority of the request target");
  rest.remove_prefix(authority_size);
  if (rest.starts_with('/')) {
    head.path = rest;
  } else if (rest.empty()) {
    head.path = head.method == Method::options ? "*" : "/";  // 9112 3.2.4
  } else {
    char* text = head.fields.arena().allocate(rest.size() + 1);
    text[0] = '/';
    std::memcpy(text + 1, rest.data(), rest.size());
    head.path = {text, rest.size() + 1};
  }
  return {};
}

Fault parse_target(RequestHead& head) {
  if (!http::is_target(head.target)) return bad("bad character in the request target");
  if (head.method == Method::connect) {
    if (!http::is_authority(head.target) || !http::split_authority(head.target).port)
      return bad("bad target of CONNECT");
    head.authority = head.path = head.target;
    return {};
  }
  if (head.target.starts_with('/')) {
    head.path = head.target;
    return {};
  }
  if (head.target == "*") {
    if (head.method != Method::options) return bad("target * without OPTIONS");
    head.path = head.target;
    return {};
  }
  return parse_absolute_form(head);
}

// A complete request line that check_request_line_start() found nothing wrong with.
Fault parse_request_line(std::string_view line, RequestHead& head) {
  const char* last = line.data() + line.size();
  const char* method_end = http::find_not_in<http::kTokenChars>(line.data(), last);
  if (method_end == last) return bad("bad request line");
  const char* target = method_end + 1;
  const auto* target_end = static_cast<const char*>(std::memchr(target, ' ', static_cast<std::size_t>(last - target)));
  if (target_end == nullptr || target_end == target) return bad("bad request line");
  if (const Fault fault = parse_version(between(target_end + 1, last), head.version)) return fault;
  head.method_text = between(line.data(), method_end);
  head.method = http::parse_method(head.method_text);
  head.target = between(target, target_end);
  return parse_target(head);
}

struct Hosts {
  Field* host = nullptr;
  std::uint32_t hosts = 0;
  std::uint32_t upgrades = 0;
  std::uint32_t websocket_keys = 0;
  bool to_websocket = false;
  bool expects_continue = false;
};

Hosts read_hosts(http::FieldList& fields) {
  Hosts seen;
  for (Field& field : fields) {
    switch (field.id) {
      case FieldId::host:
        seen.host = &field;
        ++seen.hosts;
        break;
      case FieldId::upgrade:
        ++seen.upgrades;
        seen.to_websocket = http::equals_ignoring_case(field.value(), "websocket");
        break;
      case FieldId::sec_websocket_key:
        ++seen.websocket_keys;
        break;
      case FieldId::expect:
        seen.expects_continue |= http::equals_ignoring_case(field.value(), "100-continue");
        break;
      default:
        break;
    }
  }
  return seen;
}

// What the fields mean together: only asked once the head is complete.
Fault interpret(RequestHead& head) {
  const Hosts seen = read_hosts(head.fields);
  const bool modern = head.version == Version::http_1_1;
  if (seen.hosts > 1) return bad("several Host");
  if (seen.hosts == 0 && modern) return bad("no Host");
  if (seen.host != nullptr) {
    if (!http::is_authority(seen.host->value())) return bad("bad Host");
    if (head.authority.empty()) {
      head.authority = seen.host->value();
    } else {  // RFC 9112 3.2.2: what the target says replaces what Host says
      seen.host->value_data = head.authority.data();
      seen.host->value_size = static_cast<std::uint32_t>(head.authority.size());
    }
  }
  const Framing framing = read_framing(head.fields, head.version);
  if (!framing.wrong.empty()) return bad(framing.wrong);
  head.body = framing.body;
  head.content_length = framing.content_length;
  head.keep_alive = !framing.close && (modern || framing.keep_alive);
  head.expect_continue = modern && seen.expects_continue;
  const bool no_body = head.body == BodyKind::none || (head.body == BodyKind::length && head.content_length == 0);
  head.upgrade_websocket = modern && head.method == Method::get && no_body && framing.upgrade && seen.upgrades == 1 &&
                           seen.to_websocket && seen.websocket_keys == 1;
  return {};
}

Step error_step(const Fault& fault) {
  return {.event = Event::error, .error = fault.error, .detail = fault.detail};
}
Step need_more() {
  return {.event = Event::need_more};
}

// The request line from progress.line_start on.
ParseState read_request_line(const char* begin, const char* end, RequestHead& head, HeadProgress& progress,
                             const http::HeadLimits& limits, Fault& fault) {
  const LineEnd line_end = find_line_end(begin + progress.scanned, end);
  const std::string_view line = between(begin, line_end.at);
  fault = check_request_line_start(line, std::min(limits.uri_bytes, kHeadBytesMax));
  if (fault) return ParseState::fault;
  if (!line_end.wrong.empty()) {
    fault = bad(line_end.wrong);
    return ParseState::fault;
  }
  if (!line_end.complete) {
    progress.scanned = static_cast<std::uint32_t>(line_end.at - begin);
    // A CR alone has been seen too: see between_messages(). Looking at it again does no harm.
    return ParseState::incomplete;
  }
  fault = parse_request_line(line, head);
  if (fault) return ParseState::fault;
  progress.line_start = progress.scanned = progress.fields_start = static_cast<std::uint32_t>(line_end.at + 2 - begin);
  return ParseState::complete;
}

}  // namespace

Step RequestDecoder::read_head(std::string_view input, RequestHead& head, const http::HeadLimits& limits) {
  const char* begin = input.data();
  const char* end = begin + input.size();
  Fault fault;
  // What was incomplete before is only checked until its end has come.
  const bool resumed = progress_.scanned != 0;
  if (resumed) {
    ParseState state = ParseState::complete;
    if (progress_.fields_start == 0) state = read_request_line(begin, end, head, progress_, limits, fault);
    if (state == ParseState::complete) {
      FieldSection section(begin, end, progress_, limits);
      state = section.resume();
      fault = section.fault();
    }
    head.clear();
    if (state == ParseState::fault) return error_step(fault);
    if (state == ParseState::incomplete) return need_more();
    progress_ = {};
  }
  ParseState state = read_request_line(begin, end, head, progress_, limits, fault);
  FieldSection section(begin, end, progress_, limits);
  if (state == ParseState::complete) {
    state = section.parse(head.fields);
    fault = section.fault();
  }
  if (state == ParseState::complete) fault = interpret(head);
  if (fault) return error_step(fault);
  if (state == ParseState::incomplete) {
    head.clear();
    return need_more();
  }
  const auto size = static_cast<std::size_t>(section.position() - begin);
  head.raw = {begin, size};
  progress_ = {};
  empty_lines_ = 0;
  in_message_ = true;
  body_.start(head.body, head.content_length);
  return {.event = Event::head, .consumed = size};
}

Step RequestDecoder::next(std::string_view input, RequestHead& head, http::FieldList& trailers,
                          const http::HeadLimits& limits) {
  if (in_message_) {
    const Step step = body_.next(input, trailers, limits);
    if (step.event == Event::end) in_message_ = false;
    return step;
  }
  std::size_t skipped = 0;
  while (progress_.scanned <= 1 && input.starts_with("\r\n")) {
    if (++empty_lines_ > kEmptyLinesMax) return error_step(bad("too many empty lines"));
    progress_ = {};
    input.remove_prefix(2);
    skipped += 2;
  }
  if (input.empty()) return {.event = Event::need_more, .consumed = skipped};
  Step step = need_more();
  if (input == "\r") {
    progress_.scanned = 1;
  } else {
    if (input.front() == '\r') return error_step(bad("CR without LF"));
    step = read_head(input, head, limits);
  }
  step.consumed += skipped;
  return step;
}

}  // namespace weir::http1
