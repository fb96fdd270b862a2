#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec_values.h"

namespace weir::config {

// One error of a configuration file.
struct Diagnostic {
  std::string file;
  std::uint32_t line = 1;    // from 1
  std::uint32_t column = 1;  // from 1, in characters
  std::string message;
  std::string hint;         // follows the message after a comma; may be empty
  std::string source_line;  // the offending line; of a very long line the part around the error
  std::uint32_t caret = 0;  // where in source_line the error is, in characters from 0

  // `config.yaml:12:7: error: message, hint`, the offending line and a line with a caret; no line end after the last.
  std::string render() const;

  // The same without the two lines of source.
  std::string headline() const;
};

// Knows the lines of a text. Keeps a view: the text must outlive it. Lines end with LF, CR LF or CR. For one thread: it
// remembers the last position, so that a file of one long line does not cost its length per question.
class SourceText {
 public:
  explicit SourceText(std::string_view text);

  // Positions of byte offsets; an offset behind the end counts as the end.
  Position position(std::size_t offset) const;

  // The byte offset of a line and column (both from 1; clamped to what exists).
  std::size_t offset(std::size_t line, std::size_t column) const;

  // A line (from 1) without its end.
  std::string_view line(std::size_t number) const;

  std::size_t lines() const { return starts_.size(); }
  std::string_view text() const { return text_; }

 private:
  std::string_view text_;
  std::vector<std::uint32_t> starts_;  // byte offsets of line starts
  mutable std::size_t last_offset_ = 0;
  mutable Position last_position_{1, 1};
};

// Collects the errors of one file. At most kMaxErrors are kept; the rest is counted.
class Diagnostics {
 public:
  static constexpr std::size_t kMaxErrors = 1000;

  Diagnostics(const SourceText& source, std::string file) : source_(source), file_(std::move(file)) {}

  // Adds an error at a byte offset. The same error at the same place is kept once.
  void add(std::size_t offset, std::string message, std::string hint = {});

  // Errors in [begin, end) that are added from now on are dropped: what stands there could not be read as YAML.
  void ignore(std::size_t begin, std::size_t end) { ignored_.push_back({begin, end}); }

  bool empty() const { return entries_.empty(); }

  // All errors in the order of the file.
  std::vector<Diagnostic> take();

 private:
  struct Entry {
    std::size_t offset;
    std::string message;
    std::string hint;
  };
  struct Range {
    std::size_t begin;
    std::size_t end;
  };

  Diagnostic render(const Entry& entry) const;

  const SourceText& source_;
  std::string file_;
  std::vector<Entry> entries_;
  std::vector<Range> ignored_;
  std::size_t dropped_ = 0;
};

}  // namespace weir::config
