#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/names.h"

namespace weir::config {

namespace {

constexpr std::size_t kQuotedBytes = 60;

// Text for an error message: short, on one line.
std::string quote(std::string_view text) {
  std::string result = "'";
  const std::size_t size = std::min(text.size(), kQuotedBytes);
  for (std::size_t i = 0; i < size; ++i) result += static_cast<unsigned char>(text[i]) < 0x20U ? ' ' : text[i];
  // Never half a character.
  if (size < text.size()) {
    std::size_t end = size;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    result.resize(end + 1);
    result += "...";
  }
  return result + "'";
}

}  // namespace

Reader::Scope::Scope(Reader& reader, std::string_view part) : reader_(reader), length_(reader.pointer_.size()) {
  reader.pointer_ += '/';
  reader.pointer_ += part;
}

Reader::Scope::Scope(Reader& reader, std::size_t index) : reader_(reader), length_(reader.pointer_.size()) {
  fmt::format_to(std::back_inserter(reader.pointer_), "/{}", index);
}

bool Reader::is_null(const YamlNode& value) const {
  if (value.kind != NodeKind::kScalar || !value.is_plain) return false;
  static constexpr std::array<std::string_view, 5> kNulls{"", "~", "null", "Null", "NULL"};
  return std::ranges::find(kNulls, tree_.text(value)) != kNulls.end();
}

std::string_view Reader::describe(NodeId id) const {
  const YamlNode& value = node(id);
  if (value.kind == NodeKind::kSequence) return "a list";
  if (value.kind == NodeKind::kMapping) return "a mapping";
  return is_null(value) ? "nothing" : "text";
}

std::optional<std::string_view> Reader::scalar(NodeId id, std::string_view what) {
  const YamlNode& value = node(id);
  if (value.kind != NodeKind::kScalar || is_null(value)) {
    error(id, fmt::format("expected {}, not {}", what, describe(id)));
    return std::nullopt;
  }
  const std::string_view text = tree_.text(value);
  if (text.find('$') == std::string_view::npos) return text;
  auto expanded = expand(text, environment_);
  if (!expanded) {
    error(id, std::move(expanded.error()));
    return std::nullopt;
  }
  if (text.find("${") != std::string_view::npos) unexpanded_.by_pointer.insert_or_assign(pointer_, std::string(text));
  return expanded_.emplace_back(std::move(*expanded));
}

std::string_view Reader::unexpanded() const {
  const auto found = unexpanded_.by_pointer.find(pointer_);
  return found == unexpanded_.by_pointer.end() ? std::string_view() : std::string_view(found->second);
}

void Reader::note_unexpanded(std::string pointer, std::string text) {
  unexpanded_.by_pointer.insert_or_assign(std::move(pointer), std::move(text));
}

void Reader::forget_unexpanded() {
  unexpanded_.by_pointer.erase(pointer_);
}

bool Reader::expect_mapping(NodeId id) {
  if (node(id).kind == NodeKind::kMapping) return true;
  error(id, fmt::format("expected a mapping, not {}", describe(id)));
  return false;
}

bool Reader::expect_list(NodeId id) {
  if (node(id).kind == NodeKind::kSequence) return true;
  error(id, fmt::format("expected a list, not {}", describe(id)));
  return false;
}

void Reader::expected(NodeId id, std::string_view what, std::string_view text, std::string hint) {
  error(id, fmt::format("expected {}, not {}", what, quote(text)), std::move(hint));
}

void Reader::error(NodeId at, std::string message, std::string hint) {
  if (node(at).is_missing) return;
  diagnostics_.add(node(at).offset, std::move(message), std::move(hint));
}

std::string_view Reader::unknown_key(NodeId key, std::span<const std::string_view> known) {
  const std::string_view text = key_text(key);
  if (text == "<<") {
    error(key, "merge keys ('<<') are not supported");
    return {};
  }
  error(key, fmt::format("unknown key {}", quote(text)), did_you_mean(text, known));
  return nearest(text, known);
}

void Reader::double_key(NodeId key) {
  error(key, fmt::format("key {} is there twice", quote(key_text(key))));
}

void Reader::missing_key(NodeId mapping, std::string_view key) {
  if (node(mapping).is_cut) return;
  error(first_key(mapping), fmt::format("missing key '{}'", key));
}

std::size_t Reader::find_entry(NodeId mapping, std::string_view key) const {
  const YamlNode& parent = node(mapping);
  if (parent.kind != NodeKind::kMapping) return parent.count;
  std::size_t i = 0;
  while (i < parent.count && key_text(tree_.child(parent, i)) != key) i += 2;
  return i;
}

NodeId Reader::find_key(NodeId mapping, std::string_view key) const {
  const std::size_t entry = find_entry(mapping, key);
  return entry < node(mapping).count ? tree_.child(node(mapping), entry) : kNoNode;
}

NodeId Reader::find_value(NodeId mapping, std::string_view key) const {
  const std::size_t entry = find_entry(mapping, key);
  return entry < node(mapping).count ? tree_.child(node(mapping), entry + 1) : kNoNode;
}

NodeId Reader::first_key(NodeId mapping) const {
  const YamlNode& parent = node(mapping);
  return parent.kind == NodeKind::kMapping && parent.count > 0 ? tree_.child(parent, 0) : mapping;
}

}  // namespace weir::config
