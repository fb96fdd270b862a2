#include "config/json_writer.h"

#include <fmt/format.h>

namespace weir::config {

void JsonWriter::begin_value() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = true;
}

void JsonWriter::open(char bracket) {
  begin_value();
  text_ += bracket;
  needs_comma_ = false;
}

void JsonWriter::close(char bracket) {
  text_ += bracket;
  needs_comma_ = true;
}

void JsonWriter::string(std::string_view text) {
  begin_value();
  text_ += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += c;
    } else if (byte < 0x20U || byte == 0x7FU) {
      fmt::format_to(std::back_inserter(text_), "\\u{:04x}", byte);
    } else {
      text_ += c;
    }
  }
  text_ += '"';
}

void JsonWriter::number(std::uint64_t value) {
  begin_value();
  fmt::format_to(std::back_inserter(text_), "{}", value);
}

void JsonWriter::boolean(bool value) {
  begin_value();
  text_ += value ? "true" : "false";
}

}  // namespace weir::config
