#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filters/filter.h"

namespace weir::filters {

// What `request_headers` and `response_headers` say. Applied in this order: remove, set, add. Names ignore case.
struct HeaderRules {
  std::vector<std::string> remove;                       // all lines of that name
  std::vector<std::pair<std::string, std::string>> set;  // one line in the place of the first, else at the end
  std::vector<std::pair<std::string, std::string>> add;  // one more line at the end

  bool operator==(const HeaderRules&) const = default;
};

enum class Direction : std::uint8_t { request, response };
enum class HeaderChange : std::uint8_t { remove, set, add };

// Why a rule must not be configured, as a sentence without a full stop, or nothing if it may. Refuses what is no field
// name or value (RFC 9110 5.1, 5.5), what frames a message or belongs to one hop (RFC 9110 7.6.1), and any change but
// `set` of a request's host. `value` is ignored for remove.
std::optional<std::string> header_rule_error(Direction direction, HeaderChange change, std::string_view name,
                                             std::string_view value);

// Changes the fields of each request's or each response's head. `set` of a request's host is for the
// backend: the authority stays what the client asked for.
// The heads' new fields point into this filter. Grows the list in its arena; no other allocation.
class HeaderFilter final : public Filter {
 public:
  // Rules for which header_rule_error() is empty.
  HeaderFilter(Direction direction, const HeaderRules& rules);

  std::string_view name() const override;
  Steps steps() const override;
  Action on_request_head(http::RequestHead& head, FilterContext& context) const override;
  Action on_response_head(http::ResponseHead& head, FilterContext& context) const override;

 private:
  struct Rule {
    std::string name;
    std::string value;
    http::FieldId id;
  };

  static void set(http::FieldList& fields, const Rule& rule);
  void apply(http::FieldList& fields) const;

  Direction direction_;
  std::vector<Rule> remove_;
  std::vector<Rule> set_;
  std::vector<Rule> add_;
};

}  // namespace weir::filters
