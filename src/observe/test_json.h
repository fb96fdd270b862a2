#pragma once

// rapidjson 1.1 adds to a null pointer before its first allocation, which UndefinedBehaviorSanitizer would report.
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("undefined"))), apply_to = function)
#endif
#include <rapidjson/reader.h>
#ifdef __clang__
#pragma clang attribute pop
#endif

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::observe {

// For tests: the members of a JSON object without nesting, in their order, strings decoded and all else as written;
// nothing if `text` is not exactly that in valid UTF-8.
class FlatJson : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, FlatJson> {
 public:
  using Members = std::vector<std::pair<std::string, std::string>>;

  static std::optional<Members> parse(const std::string& text) {
    FlatJson handler;
    rapidjson::StringStream stream(text.c_str());
    constexpr unsigned kFlags = rapidjson::kParseValidateEncodingFlag | rapidjson::kParseNumbersAsStringsFlag;
    if (rapidjson::Reader().Parse<kFlags>(stream, handler).IsError()) return std::nullopt;
    return handler.members_;
  }

  bool StartObject() { return ++depth_ == 1; }
  bool EndObject(rapidjson::SizeType) { return true; }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    members_.emplace_back(std::string(text, size), "");
    return true;
  }
  bool String(const char* text, rapidjson::SizeType size, bool) { return set({text, size}); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) { return set({text, size}); }
  bool Bool(bool value) { return set(value ? "true" : "false"); }
  bool Default() { return false; }  // arrays and the like

 private:
  bool set(std::string value) {
    if (members_.empty()) return false;
    members_.back().second = std::move(value);
    return true;
  }

  int depth_ = 0;
  Members members_;
};

}  // namespace weir::observe
