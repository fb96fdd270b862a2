#include "http/http1/head_parser.h"

#include <algorithm>

#include "http/list.h"
#include "http/message_rules.h"
#include "http/scan.h"

namespace weir::http1 {

using http::Field;
using http::FieldId;
using http::FieldList;

namespace {

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view describe(char c) {
  if (c == '\n') return "LF without CR";
  if (c == '\0') return "NUL";
  return "control character";
}

std::string_view trim(const char* first, const char* last) {
  while (first != last && is_blank(*first)) ++first;
  while (first != last && is_blank(last[-1])) --last;
  return {first, static_cast<std::size_t>(last - first)};
}

}  // namespace

LineEnd find_line_end(const char* p, const char* end) {
  p = http::find_not_in<http::kValueChars>(p, end);
  if (p == end) return {p, false, {}};
  if (*p != '\r') return {p, false, describe(*p)};
  if (p + 1 == end) return {p, false, {}};
  if (p[1] != '\n') return {p, false, "CR without LF"};
  return {p, true, {}};
}

std::string_view parse_field_line(std::string_view line, Field& field) {
  const char* first = line.data();
  const char* last = first + line.size();
  if (is_blank(*first)) return "folded field line";
  const char* colon = http::find_not_in<http::kTokenChars>(first, last);
  if (colon == last) return "field line without colon";
  if (*colon != ':') return is_blank(*colon) ? "blank in or behind a field name" : "bad character in a field name";
  if (colon == first) return "empty field name";
  const std::string_view name{first, static_cast<std::size_t>(colon - first)};
  if (name.size() > http::kFieldNameMax) return "field name too long";
  const std::string_view value = trim(colon + 1, last);
  field = {name.data(),
           value.data(),
           static_cast<std::uint32_t>(value.size()),
           static_cast<std::uint16_t>(name.size()),
           http::field_id(name),
           false,
           false};
  return {};
}

ParseState FieldSection::fail(DecodeError error, std::string_view detail) {
  fault_ = {error, detail};
  return ParseState::fault;
}

ParseState FieldSection::stop(const char* line, const char* scan) {
  progress_.line_start = static_cast<std::uint32_t>(line - begin_);
  progress_.scanned = static_cast<std::uint32_t>(scan - begin_);
  return ParseState::incomplete;
}

// One line, with all checks, in the order that makes the outcome independent of where the input was cut.
FieldSection::LineState FieldSection::read_line(const char* line, const char* scan, Field& field) {
  const LineEnd line_end = find_line_end(scan, end_);
  const char* fields_start = begin_ + progress_.fields_start;
  const std::uint64_t limit = std::min(limits_.header_bytes, kHeadBytesMax);
  const auto too_large = [&] {
    fail(DecodeError::headers_too_large, "header fields too large");
    return LineState::fault;
  };
  position_ = line_end.at;
  if (static_cast<std::uint64_t>(line_end.at - fields_start) > limit) return too_large();
  if (!line_end.wrong.empty()) {
    fail(DecodeError::bad_request, line_end.wrong);
    return LineState::fault;
  }
  if (!line_end.complete) return LineState::incomplete;
  position_ = line_end.at + 2;
  if (line_end.at == line) return LineState::blank;
  if (static_cast<std::uint64_t>(position_ - fields_start) > limit) return too_large();
  if (++progress_.lines > limits_.headers) {
    fail(DecodeError::headers_too_large, "too many header fields");
    return LineState::fault;
  }
  const std::string_view wrong = parse_field_line({line, static_cast<std::size_t>(line_end.at - line)}, field);
  if (wrong.empty()) return LineState::field;
  fail(DecodeError::bad_request, wrong);
  return LineState::fault;
}

ParseState FieldSection::parse(FieldList& out) {
  const std::uint64_t bytes_limit = std::min(limits_.header_bytes, kHeadBytesMax);
  const char* fields_start = begin_ + progress_.fields_start;
  const char* line = begin_ + progress_.line_start;
  while (true) {
    // The common case: a well-formed line, read in one go. Whatever is not goes the long way.
    const char* colon = http::find_not_in<http::kTokenChars>(line, end_);
    if (colon != end_ && *colon == ':' && colon != line && colon - line <= std::ptrdiff_t{http::kFieldNameMax}) {
      const char* value = colon + 1;
      while (value != end_ && is_blank(*value)) ++value;
      const char* cr = http::find_not_in<http::kValueChars>(value, end_);
      if (end_ - cr >= 2 && cr[0] == '\r' && cr[1] == '\n' &&
          static_cast<std::uint64_t>(cr + 2 - fields_start) <= bytes_limit && progress_.lines < limits_.headers) {
        const char* last = cr;
        while (last != value && is_blank(last[-1])) --last;
        const std::string_view name{line, static_cast<std::size_t>(colon - line)};
        out.add(name, {value, static_cast<std::size_t>(last - value)}, http::field_id(name));
        ++progress_.lines;
        line = cr + 2;
        continue;
      }
    }
    Field field;
    switch (read_line(line, line, field)) {
      case LineState::incomplete:
        return stop(line, position_);
      case LineState::fault:
        return ParseState::fault;
      case LineState::blank:
        return ParseState::complete;
      case LineState::field:
        out.add(field.name(), field.value(), field.id);
        line = position_;
        break;
    }
  }
}

ParseState FieldSection::resume() {
  const char* line = begin_ + progress_.line_start;
  const char* scan = begin_ + progress_.scanned;
  while (true) {
    Field field;
    switch (read_line(line, scan, field)) {
      case LineState::incomplete:
        return stop(line, position_);
      case LineState::fault:
        return ParseState::fault;
      case LineState::blank:
        return ParseState::complete;
      case LineState::field:
        line = scan = position_;
        break;
    }
  }
}

namespace {

void read_connection(std::string_view value, Framing& framing) {
  const bool good = http::for_each_element(value, [&framing](std::string_view option) {
    if (!http::is_token(option)) return false;
    framing.close |= http::equals_ignoring_case(option, "close");
    framing.keep_alive |= http::equals_ignoring_case(option, "keep-alive");
    framing.upgrade |= http::equals_ignoring_case(option, "upgrade");
    return true;
  });
  if (!good) framing.wrong = "bad Connection";
}

}  // namespace

Framing read_framing(const FieldList& fields, http::Version version) {
  Framing framing;
  constexpr std::uint64_t kOfInterest = FieldList::bit(FieldId::content_length) |
                                        FieldList::bit(FieldId::transfer_encoding) |
                                        FieldList::bit(FieldId::connection);
  if ((fields.present() & kOfInterest) == 0) return framing;
  bool has_coding = false;
  for (const Field& field : fields) {
    if (field.id == FieldId::content_length) {
      if (framing.has_length) framing.wrong = "several Content-Length";
      framing.has_length = true;
      framing.body = BodyKind::length;
      if (!http::parse_content_length(field.value(), framing.content_length)) framing.wrong = "bad Content-Length";
    } else if (field.id == FieldId::transfer_encoding) {
      if (has_coding) framing.wrong = "several Transfer-Encoding";
      has_coding = true;
      if (!http::equals_ignoring_case(field.value(), "chunked")) framing.wrong = "Transfer-Encoding other than chunked";
    } else if (field.id == FieldId::connection) {
      read_connection(field.value(), framing);
    }
    if (!framing.wrong.empty()) return framing;
  }
  if (!has_coding) return framing;
  framing.body = BodyKind::chunked;
  if (framing.has_length)
    framing.wrong = "Content-Length and Transfer-Encoding";
  else if (version == http::Version::http_1_0)
    framing.wrong = "Transfer-Encoding in HTTP/1.0";
  return framing;
}

}  // namespace weir::http1
