#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/spec.h"

namespace weir::config {

// Writes JSON and knows the JSON pointer of what it writes, so that a value that came from the environment is written
// as the file has it. The caller closes what it opens. (RapidJSON's writer adds offsets to null pointers, which stops
// every run under UndefinedBehaviorSanitizer.)
class JsonWriter {
 public:
  // Values of `unexpanded` (which must outlive the writer) below `pointer` are written in place of the real ones.
  explicit JsonWriter(const Unexpanded& unexpanded, std::string pointer = {})
      : unexpanded_(unexpanded.by_pointer), pointer_(std::move(pointer)) {}

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_list() { open('['); }
  void end_list() { close(']'); }
  void string(std::string_view text);
  void number(std::uint64_t value);
  void boolean(bool value);

  // Writes a member; `write` writes its value.
  template <typename Write>
  void member(std::string_view key, Write&& write) {
    string(key);
    text_ += ':';
    needs_comma_ = false;
    below(key, write);
  }

  // Writes an element of a list.
  template <typename Write>
  void element(std::size_t index, Write&& write) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, index).ptr;
    below({digits, static_cast<std::size_t>(end - digits)}, write);
  }

  const std::string& text() const { return text_; }

 private:
  // Begins a value, with a comma where one stands before it.
  void begin_value();
  void open(char bracket);
  void close(char bracket);

  template <typename Write>
  void below(std::string_view part, Write&& write) {
    if (unexpanded_.empty()) return write();
    const std::size_t length = pointer_.size();
    pointer_ += '/';
    pointer_ += part;
    const auto raw = unexpanded_.find(pointer_);
    if (raw != unexpanded_.end()) {
      string(raw->second);
    } else {
      write();
    }
    pointer_.resize(length);
  }

  const std::map<std::string, std::string, std::less<>>& unexpanded_;
  std::string pointer_;
  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace weir::config
