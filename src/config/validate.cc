#include "config/validate.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "config/names.h"

namespace weir::config {

namespace {

// The node of a list's entry, kNoNode if there is no such list.
NodeId entry_of(const Reader& reader, NodeId list, std::size_t index) {
  if (list == kNoNode) return kNoNode;
  const YamlNode& node = reader.node(list);
  return node.kind == NodeKind::kSequence && index < node.count ? reader.tree().child(node, index) : kNoNode;
}

// Where a name that is there twice is reported: at the name, or at what it was made from.
NodeId place_of_name(const Reader& reader, NodeId entry, std::string_view fallback) {
  NodeId place = reader.find_value(entry, "name");
  if (place == kNoNode && !fallback.empty()) place = reader.find_value(entry, fallback);
  return place == kNoNode ? reader.first_key(entry) : place;
}

// A name that could not be read is no second one.
bool has_broken_name(const Reader& reader, NodeId entry, std::string_view name) {
  return name.empty() && reader.find_value(entry, "name") != kNoNode;
}

template <typename T>
void check_names(Reader& reader, NodeId list, std::vector<T>& entries, std::string_view what, bool numbered,
                 std::string_view fallback = {}) {
  std::unordered_set<std::string_view> seen;
  seen.reserve(entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const NodeId node = entry_of(reader, list, i);
    std::string& name = entries[i].name;
    if (has_broken_name(reader, node, name)) continue;
    if (name.empty() && numbered) name = fmt::format("{}-{}", what, i + 1);
    if (name.empty() || seen.insert(name).second) continue;
    reader.error(place_of_name(reader, node, fallback), fmt::format("{} '{}' is there twice", what, name),
                 fallback.empty() || reader.find_value(node, "name") != kNoNode ? "" : "give it a name");
  }
}

void check_addresses(Reader& reader, NodeId root, NodeId listeners, const Spec& spec) {
  std::unordered_map<std::string, std::string> users;
  if (spec.admin && spec.admin->address.port != 0) users.emplace(to_string(spec.admin->address), "the admin port");
  const NodeId admin = reader.find_value(root, "admin");
  const bool admin_is_written = admin != kNoNode;
  for (std::size_t i = 0; i < spec.listeners.size(); ++i) {
    const Endpoint& address = spec.listeners[i].address;
    const bool is_chosen_by_kernel = address.kind == Endpoint::Kind::kTcp && address.port == 0;
    if (address.host.empty() || is_chosen_by_kernel) continue;
    const auto [other, is_new] =
        users.emplace(to_string(address), fmt::format("listener '{}'", spec.listeners[i].name));
    if (is_new) continue;
    const NodeId place = reader.find_value(entry_of(reader, listeners, i), "address");
    const bool is_default_admin = !admin_is_written && other->second == "the admin port";
    reader.error(place, fmt::format("address {} is used by {} already", other->first, other->second),
                 is_default_admin ? "'admin: none' or another admin address frees it" : "");
  }
}

class ClusterNames {
 public:
  explicit ClusterNames(const Spec& spec) {
    for (const ClusterSpec& cluster : spec.clusters) {
      if (!cluster.name.empty() && known_.insert(cluster.name).second) list_.push_back(cluster.name);
    }
  }

  void check(Reader& reader, NodeId place, std::string_view name) {
    if (place == kNoNode || name.empty() || known_.contains(name)) return;
    // A hint looks at every cluster: thousands of errors over thousands of clusters do without.
    const bool has_hint = hints_left_ > 0;
    if (has_hint) --hints_left_;
    reader.error(place, fmt::format("unknown cluster '{}'", name),
                 has_hint ? did_you_mean(name, list_) : std::string());
  }

 private:
  int hints_left_ = 100;
  std::unordered_set<std::string_view> known_;
  std::vector<std::string_view> list_;
};

void check_clusters_of_routes(Reader& reader, NodeId routes, const Spec& spec) {
  ClusterNames clusters(spec);
  for (std::size_t i = 0; i < spec.routes.size(); ++i) {
    const NodeId route = entry_of(reader, routes, i);
    if (route == kNoNode) continue;
    const RouteAction& action = spec.routes[i].action;
    if (const auto* target = std::get_if<ToCluster>(&action)) {
      clusters.check(reader, reader.find_value(route, "cluster"), target->cluster);
    } else if (const auto* split = std::get_if<Split>(&action)) {
      const NodeId list = reader.find_value(route, "split");
      for (std::size_t j = 0; j < split->targets.size(); ++j) {
        const NodeId target_node = entry_of(reader, list, j);
        if (target_node == kNoNode) continue;
        clusters.check(reader, reader.find_value(target_node, "cluster"), split->targets[j].cluster);
      }
    }
  }
}

}  // namespace

void name_and_check(Reader& reader, NodeId root, Spec& spec) {
  const NodeId listeners = reader.find_value(root, "listeners");
  const NodeId clusters = reader.find_value(root, "clusters");
  const NodeId routes = reader.find_value(root, "routes");
  check_names(reader, listeners, spec.listeners, "listener", true);
  check_names(reader, clusters, spec.clusters, "cluster", true);
  check_names(reader, routes, spec.routes, "route", true);
  for (std::size_t i = 0; i < spec.clusters.size(); ++i) {
    const NodeId cluster = entry_of(reader, clusters, i);
    if (cluster == kNoNode) continue;
    check_names(reader, reader.find_value(cluster, "backends"), spec.clusters[i].backends, "backend", false, "url");
  }
  check_addresses(reader, root, listeners, spec);
  // Where a part of the file could not be read, the cluster may be in it.
  const bool clusters_are_known = clusters != kNoNode && reader.node(clusters).kind == NodeKind::kSequence;
  if (reader.tree().complete() && clusters_are_known) check_clusters_of_routes(reader, routes, spec);
}

}  // namespace weir::config
