#include "http/head.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace weir::http {
namespace {

constexpr std::uint32_t kFieldsAtFirst = 24;

bool points_into(std::string_view range, const char* p) {
  return std::greater_equal<>{}(p, range.data()) && std::less<>{}(p, range.data() + range.size());
}

const char* moved(std::string_view from, const char* to, const char* p) {
  return points_into(from, p) ? to + (p - from.data()) : p;
}

std::string_view moved(std::string_view from, const char* to, std::string_view text) {
  return {moved(from, to, text.data()), text.size()};
}

}  // namespace

void FieldList::add_copy(std::string_view name, std::string_view value, bool never_indexed) {
  const FieldId id = field_id(name);
  const std::string_view own_name = id == FieldId::other ? arena_->copy(name) : field_name(id);
  add(own_name, arena_->copy(value), id, never_indexed);
}

const Field* FieldList::find(FieldId id) const {
  if ((present_ & bit(id)) == 0) return nullptr;
  const Field* field = std::find_if(begin(), end(), [id](const Field& f) { return f.id == id && !f.removed; });
  return field == end() ? nullptr : field;
}

const Field* FieldList::find(std::string_view name) const {
  const FieldId id = field_id(name);
  if (id != FieldId::other) return find(id);
  for (const Field& field : *this) {
    if (field.id == FieldId::other && !field.removed && equals_ignoring_case(field.name(), name)) return &field;
  }
  return nullptr;
}

std::uint32_t FieldList::count(FieldId id) const {
  if ((present_ & bit(id)) == 0) return 0;
  const auto matches = [id](const Field& f) { return f.id == id && !f.removed; };
  return static_cast<std::uint32_t>(std::count_if(begin(), end(), matches));
}

void FieldList::remove(FieldId id) {
  if (id == FieldId::other || (present_ & bit(id)) == 0) return;
  for (Field& field : *this) {
    if (field.id == id) field.removed = true;
  }
}

void FieldList::remove(std::string_view name) {
  const FieldId id = field_id(name);
  if (id != FieldId::other) return remove(id);
  for (Field& field : *this) {
    if (field.id == FieldId::other && equals_ignoring_case(field.name(), name)) field.removed = true;
  }
}

void FieldList::rebase(std::string_view from, const char* to) {
  for (Field& field : *this) {
    field.name_data = moved(from, to, field.name_data);
    field.value_data = moved(from, to, field.value_data);
  }
}

void FieldList::grow() {
  const std::uint32_t capacity = capacity_ == 0 ? kFieldsAtFirst : capacity_ * 2;
  Field* fields = arena_->allocate_array<Field>(capacity);
  if (size_ != 0) std::memcpy(fields, fields_, size_ * sizeof(Field));
  fields_ = fields;
  capacity_ = capacity;
}

std::string_view to_string(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::delete_:
      return "DELETE";
    case Method::connect:
      return "CONNECT";
    case Method::options:
      return "OPTIONS";
    case Method::trace:
      return "TRACE";
    case Method::patch:
      return "PATCH";
    case Method::other:
      break;
  }
  return "OTHER";
}

Method parse_method(std::string_view text) {
  switch (text.size()) {
    case 3:
      if (text == "GET") return Method::get;
      if (text == "PUT") return Method::put;
      break;
    case 4:
      if (text == "POST") return Method::post;
      if (text == "HEAD") return Method::head;
      break;
    case 5:
      if (text == "PATCH") return Method::patch;
      if (text == "TRACE") return Method::trace;
      break;
    case 6:
      if (text == "DELETE") return Method::delete_;
      break;
    case 7:
      if (text == "OPTIONS") return Method::options;
      if (text == "CONNECT") return Method::connect;
      break;
    default:
      break;
  }
  return Method::other;
}

bool is_idempotent(Method method) {
  switch (method) {
    case Method::get:
    case Method::head:
    case Method::put:
    case Method::delete_:
    case Method::options:
    case Method::trace:
      return true;
    case Method::post:
    case Method::connect:
    case Method::patch:
    case Method::other:
      break;
  }
  return false;
}

std::string_view to_string(Version version) {
  switch (version) {
    case Version::http_1_0:
      return "HTTP/1.0";
    case Version::http_1_1:
      return "HTTP/1.1";
    case Version::http_2:
      break;
  }
  return "HTTP/2.0";
}

void RequestHead::adopt() {
  const std::string_view old = raw;
  raw = fields.arena().copy(old);
  for (std::string_view* part : {&method_text, &target, &path, &authority, &scheme})
    *part = moved(old, raw.data(), *part);
  fields.rebase(old, raw.data());
}

void RequestHead::clear() {
  *this = RequestHead(fields.arena());
}

void ResponseHead::adopt() {
  const std::string_view old = raw;
  raw = fields.arena().copy(old);
  reason = moved(old, raw.data(), reason);
  fields.rebase(old, raw.data());
}

void ResponseHead::clear() {
  *this = ResponseHead(fields.arena());
}

}  // namespace weir::http
