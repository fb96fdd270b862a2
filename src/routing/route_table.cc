#include "routing/route_table.h"

#include <algorithm>
#include <array>
#include <bit>

#include "http/authority.h"
#include "http/path.h"

namespace weir::routing {
namespace {

constexpr std::uint32_t kExactHost = 0;
constexpr std::uint32_t kWildcardHost = 1;
constexpr std::uint32_t kDepthBits = 32;

std::uint32_t exact_scope(std::uint32_t group) {
  return 2 * group;
}
std::uint32_t prefix_scope(std::uint32_t group) {
  return 2 * group + 1;
}
std::uint32_t depth_bit(std::uint32_t depth) {
  return std::uint32_t{1} << std::min(depth, kDepthBits - 1);
}

// Where the segment that begins at `begin`, with its slash, ends.
std::size_t segment_end(std::string_view path, std::size_t begin) {
  return std::min(path.find('/', begin + 1), path.size());
}

std::string normal_host(std::string_view host) {
  std::string scratch(host.size(), '\0');
  return std::string(http::normalise_host(host, scratch));
}

std::string normal_path(std::string_view path) {
  std::string scratch(path.size(), '\0');
  return std::string(http::normalise_path(path, scratch).path);
}

// Whether `prefix`, without its last slash, is some whole segments at the start of `path`.
bool has_prefix(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

// Hashes labels from the right, so that each suffix's hash is met on the way to the whole's. Calls `found(suffix,
// hash)` for each suffix behind a dot, shortest first, and returns the whole's hash.
template <typename Found>
std::uint64_t hash_host(std::string_view host, Found found) {
  std::uint64_t hash = kHashStart;
  std::size_t end = host.size();
  for (;;) {
    const std::size_t dot = end == 0 ? std::string_view::npos : host.rfind('.', end - 1);
    const std::size_t begin = dot == std::string_view::npos ? 0 : dot + 1;
    hash = hash_append(hash, host.substr(begin, end - begin));
    if (dot == std::string_view::npos) return hash;
    if (dot > 0) found(host.substr(begin), hash);
    end = dot;
  }
}

}  // namespace

// The hash of each beginning of a path that ends before a slash or with the path: what a prefix may be. The first few
// are kept, those of deeper ones computed when asked for.
class RouteTable::PathHashes {
 public:
  PathHashes(std::string_view path, std::uint32_t depth_max, bool whole) : path_(path) {
    std::uint64_t hash = kHashStart;
    std::size_t end = 0;
    if (path.empty() || path.front() == '/') kept_[count_++] = {hash, 0, 0};
    while (end < path.size() && (whole || depth_ < depth_max)) {
      const std::size_t begin = end;
      end = segment_end(path, begin);
      hash = hash_append(hash, path.substr(begin, end - begin));
      ++depth_;
      if (count_ < kept_.size()) kept_[count_++] = {hash, static_cast<std::uint32_t>(end), depth_};
    }
    whole_ = hash;
  }

  // Of the whole path, if it was asked for, and the number of its segments.
  std::uint64_t whole() const { return whole_; }
  std::uint32_t depth() const { return depth_; }

  // Calls `visit(beginning, hash, depth)` for each beginning, shortest first, as deep as `depth_max`.
  template <typename Visit>
  void each(std::uint32_t depth_max, Visit visit) const {
    for (std::size_t i = 0; i < count_; ++i) {
      if (kept_[i].depth > depth_max) return;
      visit(path_.substr(0, kept_[i].end), kept_[i].hash, kept_[i].depth);
    }
    if (count_ < kept_.size()) return;
    auto [hash, last_end, depth] = kept_[count_ - 1];
    std::size_t end = last_end;
    while (end < path_.size() && depth < depth_max) {
      const std::size_t begin = end;
      end = segment_end(path_, begin);
      hash = hash_append(hash, path_.substr(begin, end - begin));
      visit(path_.substr(0, end), hash, ++depth);
    }
  }

 private:
  struct Beginning {
    std::uint64_t hash;
    std::uint32_t end;
    std::uint32_t depth;
  };

  std::string_view path_;
  std::uint64_t whole_ = kHashStart;
  std::uint32_t depth_ = 0;
  std::size_t count_ = 0;
  std::array<Beginning, 12> kept_;
};

struct RouteTable::Search {
  const RequestView& request;
  PathHashes hashes;
  std::uint32_t best = kNoRoute;
};

RouteTable RouteTable::build(std::span<const RouteMatch> routes) {
  RouteTable table;
  table.hosts_.reserve(routes.size());
  table.paths_.reserve(routes.size());
  table.routes_.reserve(routes.size());
  table.groups_.emplace_back();
  for (std::uint32_t i = 0; i < routes.size(); ++i) table.add(i, routes[i]);
  table.groups_.shrink_to_fit();
  table.lists_.shrink_to_fit();
  table.methods_.shrink_to_fit();
  table.headers_.shrink_to_fit();
  table.texts_.shrink_to_fit();
  return table;
}

std::uint32_t RouteTable::group_for(std::string_view host) {
  if (host.empty()) return 0;
  const bool wildcard = host.starts_with("*.");
  (wildcard ? has_wildcards_ : has_exact_hosts_) = true;
  const std::string name = normal_host(wildcard ? host.substr(2) : host);
  const std::uint64_t hash = hash_host(name, [](std::string_view, std::uint64_t) {});
  const std::uint32_t group = hosts_.insert(wildcard ? kWildcardHost : kExactHost, hash, name) + 1;
  if (group == groups_.size()) groups_.emplace_back();
  return group;
}

RouteTable::Text RouteTable::keep(std::string_view text) {
  const Text kept{static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(text.size())};
  texts_.append(text);
  return kept;
}

void RouteTable::add_conditions(const RouteMatch& match) {
  Route route{static_cast<std::uint32_t>(methods_.size()), static_cast<std::uint32_t>(match.methods.size()),
              static_cast<std::uint32_t>(headers_.size()), static_cast<std::uint32_t>(match.headers.size()), kNoRoute};
  routes_.push_back(route);
  for (const auto& method : match.methods) methods_.push_back(keep(method));
  for (const auto& [name, value] : match.headers) headers_.push_back({keep(name), keep(value), http::field_id(name)});
}

void RouteTable::append(List& list, std::uint32_t index) {
  (list.first == kNoRoute ? list.first : routes_[list.last].next) = index;
  list.last = index;
}

void RouteTable::add(std::uint32_t index, const RouteMatch& match) {
  add_conditions(match);
  const std::string path = normal_path(match.path.value_or(""));
  std::string prefix = normal_path(match.path_prefix.value_or(""));
  if (prefix.ends_with('/')) prefix.pop_back();
  if (match.path && match.path_prefix && !has_prefix(path, prefix)) return;
  const std::uint32_t group = group_for(match.host);
  if (groups_[group].first_route == kNoRoute) groups_[group].first_route = index;
  if (match.path) {
    add_path(index, group, true, path);
  } else if (match.path_prefix) {
    add_path(index, group, false, prefix);
  } else {
    append(groups_[group].any_path, index);
  }
}

void RouteTable::add_path(std::uint32_t index, std::uint32_t group, bool exact, std::string_view key) {
  const PathHashes hashes(key, 0, true);
  if (exact) {
    groups_[group].has_exact = has_exact_paths_ = true;
  } else {
    groups_[group].depths |= depth_bit(hashes.depth());
    depth_max_ = std::max(depth_max_, hashes.depth());
  }
  const std::uint32_t list = paths_.insert(exact ? exact_scope(group) : prefix_scope(group), hashes.whole(), key);
  if (list == lists_.size()) lists_.emplace_back();
  append(lists_[list], index);
}

std::uint32_t RouteTable::find(const RequestView& request) const {
  Search search{request, PathHashes(request.path, depth_max_, has_exact_paths_)};
  if (!request.host.empty() && (has_exact_hosts_ || has_wildcards_)) {
    const auto found = [&](std::string_view suffix, std::uint64_t hash) {
      if (!has_wildcards_) return;
      const std::uint32_t host = hosts_.find(kWildcardHost, hash, suffix);
      if (host != kNoKey) search_group(host + 1, search);
    };
    const std::uint64_t hash = hash_host(request.host, found);
    const std::uint32_t host = hosts_.find(kExactHost, hash, request.host);
    if (host != kNoKey) search_group(host + 1, search);
  }
  search_group(0, search);
  return search.best;
}

void RouteTable::search_group(std::uint32_t number, Search& search) const {
  const Group& group = groups_[number];
  if (group.first_route >= search.best) return;
  consider(group.any_path, search);
  if (group.has_exact) {
    const std::uint32_t path = paths_.find(exact_scope(number), search.hashes.whole(), search.request.path);
    if (path != kNoKey) consider(lists_[path], search);
  }
  if (group.depths == 0) return;
  const auto depths = static_cast<std::uint32_t>(std::bit_width(group.depths));
  const std::uint32_t depth_max = depths == kDepthBits ? depth_max_ : depths - 1;
  search.hashes.each(depth_max, [&](std::string_view beginning, std::uint64_t hash, std::uint32_t depth) {
    if ((group.depths & depth_bit(depth)) == 0) return;
    const std::uint32_t path = paths_.find(prefix_scope(number), hash, beginning);
    if (path != kNoKey) consider(lists_[path], search);
  });
}

void RouteTable::consider(const List& list, Search& search) const {
  for (std::uint32_t index = list.first; index < search.best; index = routes_[index].next) {
    if (!conditions_hold(routes_[index], search.request)) continue;
    search.best = index;
    return;
  }
}

bool RouteTable::conditions_hold(const Route& route, const RequestView& request) const {
  if (route.methods_count != 0) {
    const Text* begin = methods_.data() + route.methods_begin;
    const auto same = [&](Text method) { return text(method) == request.method; };
    if (std::none_of(begin, begin + route.methods_count, same)) return false;
  }
  const Header* headers = headers_.data() + route.headers_begin;
  return std::all_of(headers, headers + route.headers_count,
                     [&](const Header& header) { return header_holds(header, request.fields); });
}

bool RouteTable::header_holds(const Header& header, const http::FieldList& fields) const {
  if (header.id != http::FieldId::other && (fields.present() & http::FieldList::bit(header.id)) == 0) return false;
  const std::string_view name = text(header.name);
  const std::string_view value = text(header.value);
  for (const http::Field& field : fields) {
    if (field.removed || field.id != header.id || field.value() != value) continue;
    if (header.id != http::FieldId::other || http::equals_ignoring_case(field.name(), name)) return true;
  }
  return false;
}

std::size_t RouteTable::memory_bytes() const {
  return hosts_.memory_bytes() + paths_.memory_bytes() + groups_.capacity() * sizeof(Group) +
         lists_.capacity() * sizeof(List) + routes_.capacity() * sizeof(Route) + methods_.capacity() * sizeof(Text) +
         headers_.capacity() * sizeof(Header) + texts_.capacity();
}

}  // namespace weir::routing
