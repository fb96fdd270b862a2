#include "filters/header_filter.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "http/authority.h"

namespace weir::filters {
namespace {

using http::FieldId;

// They say how long a message is or belong to one connection: Weir sets them itself.
constexpr std::array kOwnFields = {
    FieldId::connection,        FieldId::content_length,   FieldId::expect, FieldId::http2_settings,
    FieldId::keep_alive,        FieldId::proxy_connection, FieldId::te,     FieldId::trailer,
    FieldId::transfer_encoding, FieldId::upgrade,
};

constexpr std::size_t kNameBytesMax = 256;

bool is_same(const http::Field& field, FieldId id, std::string_view name) {
  if (field.removed || field.id != id) return false;
  return id != FieldId::other || http::equals_ignoring_case(field.name(), name);
}

}  // namespace

std::optional<std::string> header_rule_error(Direction direction, HeaderChange change, std::string_view name,
                                             std::string_view value) {
  if (!http::is_token(name) || name.size() > kNameBytesMax) return "'" + std::string(name) + "' is not a header name";
  const FieldId id = http::field_id(name);
  if (std::find(kOwnFields.begin(), kOwnFields.end(), id) != kOwnFields.end()) {
    return "'" + std::string(name) + "' belongs to the connection and is set by Weir";
  }
  const bool host = direction == Direction::request && id == FieldId::host;
  if (host && change != HeaderChange::set) return "a request has exactly one host: it can only be set";
  if (change == HeaderChange::remove) return std::nullopt;
  if (!http::is_field_value(value)) {
    return "the value of '" + std::string(name) + "' has a control character, or a space at an end";
  }
  if (host && !http::is_authority(value)) return "'" + std::string(value) + "' is not a host";
  return std::nullopt;
}

HeaderFilter::HeaderFilter(Direction direction, const HeaderRules& rules) : direction_(direction) {
  for (const auto& name : rules.remove) remove_.push_back({name, {}, http::field_id(name)});
  for (const auto& [name, value] : rules.set) set_.push_back({name, value, http::field_id(name)});
  for (const auto& [name, value] : rules.add) add_.push_back({name, value, http::field_id(name)});
  for (const Rule& rule : remove_) WEIR_CHECK(!header_rule_error(direction, HeaderChange::remove, rule.name, {}));
  for (const Rule& rule : set_) WEIR_CHECK(!header_rule_error(direction, HeaderChange::set, rule.name, rule.value));
  for (const Rule& rule : add_) WEIR_CHECK(!header_rule_error(direction, HeaderChange::add, rule.name, rule.value));
}

std::string_view HeaderFilter::name() const {
  return direction_ == Direction::request ? "request_headers" : "response_headers";
}

Steps HeaderFilter::steps() const {
  return steps_of(direction_ == Direction::request ? Step::request_head : Step::response_head);
}

void HeaderFilter::set(http::FieldList& fields, const Rule& rule) {
  const auto same = [&](const http::Field& field) { return is_same(field, rule.id, rule.name); };
  http::Field* first = std::find_if(fields.begin(), fields.end(), same);
  if (first == fields.end()) {
    fields.add(rule.name, rule.value, rule.id);
    return;
  }
  first->name_data = rule.name.data();
  first->name_size = static_cast<std::uint16_t>(rule.name.size());
  first->value_data = rule.value.data();
  first->value_size = static_cast<std::uint32_t>(rule.value.size());
  for (http::Field* field = first + 1; field != fields.end(); ++field) field->removed = field->removed || same(*field);
}

void HeaderFilter::apply(http::FieldList& fields) const {
  for (const Rule& rule : remove_) {
    for (http::Field& field : fields) field.removed = field.removed || is_same(field, rule.id, rule.name);
  }
  for (const Rule& rule : set_) set(fields, rule);
  for (const Rule& rule : add_) fields.add(rule.name, rule.value, rule.id);
}

Action HeaderFilter::on_request_head(http::RequestHead& head, FilterContext&) const {
  apply(head.fields);
  return Action::go_on();
}

Action HeaderFilter::on_response_head(http::ResponseHead& head, FilterContext&) const {
  apply(head.fields);
  return Action::go_on();
}

}  // namespace weir::filters
