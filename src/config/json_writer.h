#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "config/spec.h"

namespace weir::config {

// Writes JSON and knows the JSON pointer of what it writes, so that a value that came from the environment is written as
// the file has it.
class JsonWriter {
 public:
  // Values of `unexpanded` (which must outlive the writer) below `pointer` are written in place of the real ones.
  explicit JsonWriter(const Unexpanded& unexpanded, std::string pointer = {})
      : unexpanded_(unexpanded.by_pointer), pointer_(std::move(pointer)), writer_(buffer_) {}

  void begin_object() { writer_.StartObject(); }
  void end_object() { writer_.EndObject(); }
  void begin_list() { writer_.StartArray(); }
  void end_list() { writer_.EndArray(); }
  void string(std::string_view text) { writer_.String(text.data(), static_cast<rapidjson::SizeType>(text.size())); }
  void number(std::uint64_t value) { writer_.Uint64(value); }
  void boolean(bool value) { writer_.Bool(value); }

  // Writes a member; `write` writes its value.
  template <typename Write>
  void member(std::string_view key, Write&& write) {
    writer_.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    below(key, write);
  }

  // Writes an element of a list.
  template <typename Write>
  void element(std::size_t index, Write&& write) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, index).ptr;
    below({digits, static_cast<std::size_t>(end - digits)}, write);
  }

  std::string text() const { return {buffer_.GetString(), buffer_.GetSize()}; }

 private:
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
  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_;
};

}  // namespace weir::config
