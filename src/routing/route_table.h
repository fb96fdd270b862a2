#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/head.h"
#include "routing/key_table.h"

namespace weir::routing {

inline constexpr std::uint32_t kNoRoute = 0xffffffff;

// What a route asks of a request; everything that is set must hold. Host and paths may be in any spelling: the table
// brings them to the form in which requests are compared (http/authority.h, http/path.h).
struct RouteMatch {
  // "" any; "a.b" that one; "*.b" one or more labels before ".b", but not b itself.
  std::string host;
  std::optional<std::string> path;
  // Matches whole segments: "/a" matches /a and /a/b, not /ab. One slash at its end changes nothing. "/" is every path
  // that begins with a slash.
  std::optional<std::string> path_prefix;
  // Any of these; empty: any. Case-sensitive (RFC 9110 9.1); GET does not stand for HEAD.
  std::vector<std::string> methods;
  // Each name must have at least one line with exactly this value. Names ignore case.
  std::vector<std::pair<std::string, std::string>> headers;

  bool operator==(const RouteMatch&) const = default;
};

// What routing looks at. Not owning. An HTTP/1.0 request without Host has an empty host and matches any-host routes
// only.
struct RequestView {
  std::string_view host;  // of http::normalise_host()
  std::string_view path;  // of http::normalise_path(), without query
  std::string_view method;
  const http::FieldList& fields;
};

// Finds the first route that matches, in configured order, without trying them one by one. Keeps copies of what it
// needs. Immutable once built: any number of threads may look up.
class RouteTable {
 public:
  // Linear in the size of `routes`.
  static RouteTable build(std::span<const RouteMatch> routes);

  // The position of the first route that matches, or kNoRoute. Does not allocate. Costs a few hash look-ups for each
  // segment of the path that a configured prefix reaches, times the host patterns that match (exact, wildcards, any),
  // plus the routes that have host and path in common and differ in method or headers.
  std::uint32_t find(const RequestView& request) const;

  std::size_t size() const { return routes_.size(); }
  // Heap bytes held.
  std::size_t memory_bytes() const;

 private:
  // Routes with the same host and path, chained in configured order.
  struct List {
    std::uint32_t first = kNoRoute;
    std::uint32_t last = kNoRoute;
  };
  // The routes with one host pattern.
  struct Group {
    List any_path;                         // those without a path condition
    std::uint32_t first_route = kNoRoute;  // the smallest
    std::uint32_t depths = 0;              // bit d: there is a prefix of d segments; the last bit: of that many or more
    bool has_exact = false;
  };
  struct Text {
    std::uint32_t begin;
    std::uint32_t size;
  };
  struct Header {
    Text name;
    Text value;
    http::FieldId id;
  };
  struct Route {
    std::uint32_t methods_begin;
    std::uint32_t methods_count;
    std::uint32_t headers_begin;
    std::uint32_t headers_count;
    std::uint32_t next;  // of its list
  };
  class PathHashes;
  struct Search;

  void add(std::uint32_t index, const RouteMatch& match);
  void add_conditions(const RouteMatch& match);
  std::uint32_t group_for(std::string_view host);
  void add_path(std::uint32_t index, std::uint32_t group, bool exact, std::string_view key);
  void append(List& list, std::uint32_t index);
  Text keep(std::string_view text);
  std::string_view text(Text text) const { return {texts_.data() + text.begin, text.size}; }

  void search_group(std::uint32_t number, Search& search) const;
  void consider(const List& list, Search& search) const;
  bool conditions_hold(const Route& route, const RequestView& request) const;
  bool header_holds(const Header& header, const http::FieldList& fields) const;

  KeyTable hosts_;  // values: positions in groups_, less one; groups_[0] is "any"
  KeyTable paths_;  // values: positions in lists_
  std::vector<Group> groups_;
  std::vector<List> lists_;  // of one host and path
  std::vector<Route> routes_;
  std::vector<Text> methods_;
  std::vector<Header> headers_;
  std::string texts_;
  bool has_exact_hosts_ = false;
  bool has_wildcards_ = false;
  bool has_exact_paths_ = false;
  std::uint32_t depth_max_ = 0;  // of the prefixes, in segments
};

}  // namespace weir::routing
