#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/head.h"
#include "http/http1/decoder.h"
#include "http/limits.h"

// The parts of a head that requests, responses and trailer sections share. Used by the decoders only.
//
// A head is read in one pass if all of it is there. If not, the lines that are there are checked, and `HeadProgress`
// says where to go on: each byte is looked at once more when the head is complete, however slowly it drips in. What is
// an error depends on the bytes alone and not on how they were cut: a line's faults are looked for in the order of its
// bytes.
namespace weir::http1 {

struct Fault {
  DecodeError error = DecodeError::none;
  std::string_view detail;

  explicit operator bool() const { return error != DecodeError::none; }
};

enum class ParseState : std::uint8_t { incomplete, complete, fault };

// The end of a line that may not be there yet.
struct LineEnd {
  const char* at = nullptr;  // of its CR, of the byte that is wrong, or where to go on looking
  bool complete = false;
  std::string_view wrong;  // not empty: what is wrong with the byte at `at`
};
// Looks from `p` for CR LF. Any other control character but HTAB is wrong.
LineEnd find_line_end(const char* p, const char* end);

// Heads are refused above this even without a configured limit, so that offsets fit.
inline constexpr std::uint64_t kHeadBytesMax = 256 * 1024 * 1024;

// Reads lines of fields up to and including the empty line. Offsets count from `begin`, the first byte of the head.
class FieldSection {
 public:
  FieldSection(const char* begin, const char* end, HeadProgress& progress, const http::HeadLimits& limits)
      : begin_(begin), end_(end), progress_(progress), limits_(limits) {}

  // From progress.line_start, which begins a line; adds the fields to `out`.
  ParseState parse(http::FieldList& out);
  // Goes on in an unfinished line; only checks.
  ParseState resume();

  const Fault& fault() const { return fault_; }
  // After ParseState::complete: behind the empty line.
  const char* position() const { return position_; }

 private:
  enum class LineState : std::uint8_t { incomplete, field, blank, fault };
  LineState read_line(const char* line, const char* scan, http::Field& field);
  ParseState stop(const char* line, const char* scan);
  ParseState fail(DecodeError error, std::string_view detail);

  const char* begin_;
  const char* end_;
  HeadProgress& progress_;
  const http::HeadLimits& limits_;
  const char* position_ = nullptr;
  Fault fault_;
};

// "name: value" without its line end, all of it. What is wrong with it, or empty.
std::string_view parse_field_line(std::string_view line, http::Field& field);

// What the fields say about framing and connection, the same for both kinds of message.
struct Framing {
  BodyKind body = BodyKind::none;  // none, length or chunked
  std::uint64_t content_length = 0;
  bool has_length = false;
  bool close = false;  // tokens of Connection
  bool keep_alive = false;
  bool upgrade = false;
  std::string_view wrong;  // not empty: why it is not to be trusted
};
Framing read_framing(const http::FieldList& fields, http::Version version);

}  // namespace weir::http1
