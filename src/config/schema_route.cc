#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "config/codecs.h"
#include "config/names.h"
#include "config/schemas.h"
#include "filters/header_filter.h"

namespace weir::config {

namespace {

constexpr Choice<std::uint8_t> kSchemes[] = {{"http", 0}, {"https", 1}};

struct SchemeValue : TextLeaf {
  static void read(Reader& reader, NodeId id, std::string& out) {
    std::uint8_t choice = 2;
    OneOf<std::uint8_t, kSchemes>::read(reader, id, choice);
    if (choice < 2) out = kSchemes[choice].text;
  }
};

struct RedirectStatus : Leaf {
  static void read(Reader& reader, NodeId id, std::uint16_t& out) {
    constexpr std::string_view kWhat = "301, 302, 303, 307 or 308";
    const auto text = reader.scalar(id, kWhat);
    if (!text) return;
    const auto status = parse_number(*text, 308).value_or(0);
    const bool is_redirect = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (!is_redirect) return reader.expected(id, kWhat, *text);
    out = static_cast<std::uint16_t>(status);
  }
  static void write(JsonWriter& writer, std::uint16_t value) { writer.number(value); }
};

constexpr Field<MatchSpec> kMatchFields[] = {
    field<&MatchSpec::host, HostPattern>("host"),
    field<&MatchSpec::path, UrlPath>("path"),
    field<&MatchSpec::path_prefix, UrlPath>("path_prefix"),
    field<&MatchSpec::methods, NonEmptyList<MethodValue>>("methods"),
    field<&MatchSpec::headers, HeaderFields<FieldUse::kMatch>>("headers"),
    not_yet<MatchSpec>("query"),
    not_yet<MatchSpec>("path_regex"),
    not_yet<MatchSpec>("host_regex"),
    not_yet<MatchSpec>("header_regex"),
    not_yet<MatchSpec>("scheme"),
    not_yet<MatchSpec>("client_ip"),
    not_yet<MatchSpec>("any"),
    not_yet<MatchSpec>("all"),
    not_yet<MatchSpec>("not"),
};

constexpr Field<SplitTarget> kSplitTargetFields[] = {
    field<&SplitTarget::cluster, NameValue>("cluster", Presence::kRequired),
    field<&SplitTarget::weight, Integer<std::uint32_t, 0, kWeightMax>>("weight"),
};
constexpr Schema<SplitTarget> kSplitTargetSchema{kSplitTargetFields};

constexpr Field<Redirect> kRedirectFields[] = {
    field<&Redirect::status, RedirectStatus>("status"),
    field<&Redirect::scheme, SchemeValue>("scheme"),
    field<&Redirect::host, UrlHost>("host"),
    field<&Redirect::port, Integer<std::uint16_t, 1, 65535>>("port"),
    field<&Redirect::path, UrlPath>("path"),
    field<&Redirect::path_prefix, UrlPath>("path_prefix"),
};

void check_redirect(Reader& reader, NodeId id, Redirect&) {
  const NodeId prefix = reader.find_key(id, "path_prefix");
  if (prefix != kNoNode && reader.find_key(id, "path") != kNoNode) {
    reader.error(prefix, "'path_prefix' and 'path' exclude each other");
  }
  constexpr std::array<std::string_view, 5> kParts{"scheme", "host", "port", "path", "path_prefix"};
  const auto is_there = [&](std::string_view key) { return reader.find_key(id, key) != kNoNode; };
  if (!std::ranges::any_of(kParts, is_there) && !reader.node(id).is_cut) {
    reader.error(reader.first_key(id), "a redirect needs one of scheme, host, port, path and path_prefix");
  }
}
constexpr Schema<Redirect> kRedirectSchema{kRedirectFields, check_redirect};

constexpr Field<Respond> kRespondFields[] = {
    field<&Respond::status, Integer<std::uint16_t, 200, 599>>("status"),
    field<&Respond::body, AnyText>("body"),
    field<&Respond::headers, HeaderFields<FieldUse::kEdit>>("headers"),
};

void check_respond(Reader& reader, NodeId id, Respond& respond) {
  const bool has_no_body = respond.status == 204 || respond.status == 205 || respond.status == 304;
  if (!has_no_body || respond.body.empty()) return;
  reader.error(reader.find_value(id, "body"), fmt::format("a response with status {} has no body", respond.status));
}
constexpr Schema<Respond> kRespondSchema{kRespondFields, check_respond};

// The four ways to answer are four keys in the file and one variant in the spec.
template <typename Action, typename Codec>
constexpr Field<RouteSpec> action_field(std::string_view key) {
  return {key,
          [](Reader& reader, NodeId id, RouteSpec& route) { Codec::read(reader, id, route.action.emplace<Action>()); },
          [](JsonWriter& writer, std::string_view name, const RouteSpec& route) {
            const Action* action = std::get_if<Action>(&route.action);
            if (action != nullptr) writer.member(name, [&] { Codec::write(writer, *action); });
          },
          [](LeafList& list) { Codec::leaves(list); }};
}

struct ToClusterValue : Leaf {
  static void read(Reader& reader, NodeId id, ToCluster& out) { NameValue::read(reader, id, out.cluster); }
  static void write(JsonWriter& writer, const ToCluster& value) { writer.string(value.cluster); }
};

struct SplitValue {
  using Targets = ListOf<Section<SplitTarget, kSplitTargetSchema>>;
  static void read(Reader& reader, NodeId id, Split& out) {
    Targets::read(reader, id, out.targets);
    if (reader.node(id).kind != NodeKind::kSequence || reader.node(id).is_cut) return;
    if (std::ranges::all_of(out.targets, [](const SplitTarget& target) { return target.weight == 0; })) {
      reader.error(id, out.targets.empty() ? "expected at least one entry" : "the weights must not all be 0");
    }
  }
  static void write(JsonWriter& writer, const Split& value) { Targets::write(writer, value.targets); }
  static void leaves(LeafList& list) { Targets::leaves(list); }
};

constexpr Field<RouteTimeouts> kTimeoutFields[] = {
    field<&RouteTimeouts::request, Maybe<TimeoutOrNone>>("request"),
    field<&RouteTimeouts::stream_idle, Maybe<TimeoutOrNone>>("stream_idle"),
    field<&RouteTimeouts::total, Maybe<TimeoutOrNone>>("total"),
    misplaced<RouteTimeouts>("connect", "it is set in a cluster's timeouts"),
    misplaced<RouteTimeouts>("idle", "it is set in a cluster's timeouts"),
};
constexpr Schema<RouteTimeouts> kTimeoutsSchema{kTimeoutFields};

constexpr std::string_view kListenerLimit = "it is set in a listener's limits";
constexpr Field<RouteLimits> kLimitFields[] = {
    field<&RouteLimits::body_bytes, Maybe<BodySizeOrNone>>("body_bytes"),
    misplaced<RouteLimits>("header_bytes", kListenerLimit),
    misplaced<RouteLimits>("headers", kListenerLimit),
    misplaced<RouteLimits>("uri_bytes", kListenerLimit),
    misplaced<RouteLimits>("max_connections", kListenerLimit),
    misplaced<RouteLimits>("concurrent_streams", kListenerLimit),
    misplaced<RouteLimits>("handshake_timeout", kListenerLimit),
    misplaced<RouteLimits>("header_timeout", kListenerLimit),
    misplaced<RouteLimits>("body_timeout", kListenerLimit),
    misplaced<RouteLimits>("body_min_rate", kListenerLimit),
    misplaced<RouteLimits>("idle_timeout", kListenerLimit),
    misplaced<RouteLimits>("tunnel_idle_timeout", kListenerLimit),
};
constexpr Schema<RouteLimits> kLimitsSchema{kLimitFields};

constexpr Field<FilterSpec> kHeaderEditFields[] = {
    field<&FilterSpec::set, HeaderFields<FieldUse::kEdit>>("set"),
    field<&FilterSpec::add, HeaderFields<FieldUse::kEdit>>("add"),
    field<&FilterSpec::remove, ScalarList<HeaderName>>("remove"),
};

// What the filter itself would not take. Entries that were refused while reading are not looked at again.
void check_header_edit(Reader& reader, NodeId id, FilterSpec& filter) {
  const auto direction =
      filter.kind == FilterKind::kRequestHeaders ? filters::Direction::request : filters::Direction::response;
  const auto check = [&](std::string_view key, filters::HeaderChange change) {
    const NodeId list = reader.find_value(id, key);
    if (list == kNoNode || reader.node(list).kind == NodeKind::kScalar) return;
    const YamlNode& entries = reader.node(list);
    const auto& fields = change == filters::HeaderChange::add ? filter.add : filter.set;
    const std::size_t step = entries.kind == NodeKind::kMapping ? 2 : 1;
    for (std::size_t i = 0; i < entries.count; i += step) {
      const NodeId entry = reader.tree().child(entries, i);
      if (reader.node(entry).kind != NodeKind::kScalar) continue;
      const std::string name = to_lower(reader.key_text(entry));
      const auto field = std::ranges::find(fields, name, &HeaderField::name);
      const bool read = change == filters::HeaderChange::remove
                            ? std::ranges::find(filter.remove, name) != filter.remove.end()
                            : field != fields.end();
      if (!read) continue;
      const std::string_view value = change == filters::HeaderChange::remove ? std::string_view() : field->value;
      const auto error = filters::header_rule_error(direction, change, name, value);
      if (!error) continue;
      const bool by_name = filters::header_rule_error(direction, change, name, "fine").has_value();
      reader.error(by_name ? entry : reader.tree().child(entries, i + 1), *error);
    }
  };
  check("set", filters::HeaderChange::set);
  check("add", filters::HeaderChange::add);
  check("remove", filters::HeaderChange::remove);
}
constexpr Schema<FilterSpec> kHeaderEditSchema{kHeaderEditFields, check_header_edit};

template <FilterKind kKind>
constexpr Field<FilterSpec> header_filter(std::string_view key) {
  return {key,
          [](Reader& reader, NodeId id, FilterSpec& filter) {
            filter.kind = kKind;
            read_section(reader, id, kHeaderEditSchema, filter);
          },
          [](JsonWriter& writer, std::string_view name, const FilterSpec& filter) {
            if (filter.kind == kKind) writer.member(name, [&] { write_section(writer, kHeaderEditSchema, filter); });
          },
          [](LeafList& list) { list_leaves(list, kHeaderEditSchema); }};
}

constexpr Field<FilterSpec> kFilterFields[] = {
    not_yet<FilterSpec>("rate_limit"),
    header_filter<FilterKind::kRequestHeaders>("request_headers"),
    header_filter<FilterKind::kResponseHeaders>("response_headers"),
    not_yet<FilterSpec>("compress"),
};

void check_filter(Reader& reader, NodeId id, FilterSpec&) {
  const YamlNode& mapping = reader.node(id);
  if (mapping.count == 0 && !mapping.is_cut) reader.error(id, "a filter needs its name as its key");
  if (mapping.count > 2) {
    reader.error(reader.tree().child(mapping, 2), "a filter has one key", "begin another list entry with '- '");
  }
}
constexpr Schema<FilterSpec> kFilterSchema{kFilterFields, check_filter};

struct Filters {
  using List = ListOf<Section<FilterSpec, kFilterSchema>>;
  static void read(Reader& reader, NodeId id, std::vector<FilterSpec>& out) { List::read(reader, id, out); }
  static void write(JsonWriter& writer, const std::vector<FilterSpec>& value) { List::write(writer, value); }
  static bool present(const std::vector<FilterSpec>& value) { return !value.empty(); }
  static void leaves(LeafList& list) { List::leaves(list); }
};

// A section of which nothing is written where nothing of it differs from the default.
template <typename T, const Schema<T>& kSchema>
struct SparseSection : Section<T, kSchema> {
  static bool present(const T& value) { return value != T{}; }
};

constexpr std::string_view kFilterHint = "it is an entry of 'filters'";
constexpr Field<RouteSpec> kRouteFields[] = {
    field<&RouteSpec::name, NameValue>("name"),
    field<&RouteSpec::match, Section<MatchSpec, kMatchSchema>>("match"),
    action_field<ToCluster, ToClusterValue>("cluster"),
    action_field<Split, SplitValue>("split"),
    action_field<Redirect, Section<Redirect, kRedirectSchema>>("redirect"),
    action_field<Respond, Section<Respond, kRespondSchema>>("respond"),
    field<&RouteSpec::timeouts, SparseSection<RouteTimeouts, kTimeoutsSchema>>("timeouts"),
    field<&RouteSpec::limits, SparseSection<RouteLimits, kLimitsSchema>>("limits"),
    field<&RouteSpec::filters, Filters>("filters"),
    misplaced<RouteSpec>("request_headers", kFilterHint),
    misplaced<RouteSpec>("response_headers", kFilterHint),
    misplaced<RouteSpec>("rate_limit", kFilterHint),
    misplaced<RouteSpec>("compress", kFilterHint),
};

constexpr std::array<std::string_view, 4> kActions{"cluster", "split", "redirect", "respond"};

void check_route(Reader& reader, NodeId id, RouteSpec& route) {
  route.position = reader.position(reader.first_key(id));
  std::string_view first;
  bool is_misspelt = false;
  const YamlNode& mapping = reader.node(id);
  for (std::size_t i = 0; i < mapping.count; i += 2) {
    const NodeId key = reader.tree().child(mapping, i);
    const std::string_view text = reader.key_text(key);
    const bool is_known = std::ranges::find(kRouteFields, text, &Field<RouteSpec>::key) != std::end(kRouteFields);
    is_misspelt = is_misspelt || (!is_known && !nearest(text, kActions).empty());
    if (std::ranges::find(kActions, text) == kActions.end()) continue;
    if (first.empty()) {
      first = text;
    } else if (text != first) {
      reader.error(key, fmt::format("'{}' and '{}' exclude each other", text, first));
    }
  }
  if (first.empty() && !is_misspelt && !mapping.is_cut) {
    reader.error(reader.first_key(id), "a route needs one of cluster, split, redirect and respond");
  }
}

}  // namespace

constinit const Schema<MatchSpec> kMatchSchema{kMatchFields};
constinit const Schema<RouteSpec> kRouteSchema{kRouteFields, check_route};

}  // namespace weir::config
