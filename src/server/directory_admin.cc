// What the admin API sees and changes of the directory.
#include <fmt/format.h>

#include <algorithm>

#include "config/address.h"
#include "config/json.h"
#include "config/names.h"
#include "server/directory.h"

namespace weir::server {
namespace {

using admin::ChangeError;

std::unexpected<ChangeError> refuse(ChangeError::Kind kind, std::string message) {
  return std::unexpected(ChangeError{kind, std::move(message)});
}

std::unexpected<ChangeError> no_cluster(const std::string& name) {
  return refuse(ChangeError::Kind::not_found, fmt::format("there is no cluster {}", name));
}

std::unexpected<ChangeError> no_backend(const std::string& cluster, const std::string& name) {
  return refuse(ChangeError::Kind::not_found, fmt::format("cluster {} has no backend {}", cluster, name));
}

admin::Change<config::BackendSpec> spec_of(const admin::NewBackend& wanted) {
  const auto address = config::parse_backend_url(wanted.url, {});
  if (!address) return refuse(ChangeError::Kind::invalid, fmt::format("url: {}", address.error()));
  config::BackendSpec spec;
  spec.address = *address;
  if (spec.address.kind == config::Endpoint::Kind::kUnix && !config::to_socket_address(spec.address)) {
    return refuse(ChangeError::Kind::invalid, "url: the path is too long for a unix socket");
  }
  spec.name = wanted.name.value_or(config::to_string(spec.address));
  if (const std::string problem = config::problem_of_name(spec.name); !problem.empty()) {
    return refuse(ChangeError::Kind::invalid, fmt::format("name: {}", problem));
  }
  spec.weight = wanted.weight;
  if (wanted.max_connections) spec.max_connections = *wanted.max_connections;
  return spec;
}

}  // namespace

std::vector<admin::ClusterView> ClusterDirectory::views() const {
  std::vector<admin::ClusterView> result;
  result.reserve(clusters_.size());
  for (const auto& cluster : clusters_) {
    admin::ClusterView view{
        .name = cluster->name, .balance = std::string(config::to_string(cluster->balance)), .backends = {}};
    for (const auto& entry : cluster->backends) {
      if (entry->addresses().empty()) view.backends.push_back(entry->view(nullptr));
      for (const auto& address : entry->addresses()) view.backends.push_back(entry->view(address.get()));
    }
    result.push_back(std::move(view));
  }
  return result;
}

BackendEntry* ClusterDirectory::find_entry(const Cluster& cluster, const std::string& name) {
  const auto found = std::find_if(cluster.backends.begin(), cluster.backends.end(),
                                  [&](const auto& entry) { return entry->spec().name == name; });
  return found == cluster.backends.end() ? nullptr : found->get();
}

bool ClusterDirectory::name_taken(const Cluster& cluster, const std::string& name) {
  return std::any_of(cluster.backends.begin(), cluster.backends.end(), [&](const auto& entry) {
    return entry->spec().name == name ||
           std::any_of(entry->addresses().begin(), entry->addresses().end(),
                       [&](const auto& address) { return address->backend()->name() == name; });
  });
}

admin::Change<admin::BackendView> ClusterDirectory::add_backend(const std::string& name,
                                                                const admin::NewBackend& wanted) {
  Cluster* cluster = find_cluster(name);
  if (cluster == nullptr) return no_cluster(name);
  const auto spec = spec_of(wanted);
  if (!spec) return std::unexpected(spec.error());
  if (spec->address.secure && cluster->speech.tls == nullptr) {
    return refuse(ChangeError::Kind::invalid,
                  fmt::format("url: cluster {} has neither 'tls' nor a backend over https in its configuration", name));
  }
  if (name_taken(*cluster, spec->name)) {
    return refuse(ChangeError::Kind::conflict, fmt::format("cluster {} has a backend {} already", name, spec->name));
  }
  cluster->backends.push_back(make_entry(*cluster, *spec));
  BackendEntry& entry = *cluster->backends.back();
  entry.check_with(cluster->health_check, Duration::zero());
  entry.speak(cluster->speech, Duration::zero());
  environment_.logger.info(environment_.loop.wall_now(), "backend added",
                           {{"cluster", name}, {"backend", spec->name}, {"url", entry.url()}, {"reason", "admin"}});
  on_entry_members(entry);
  return entry.view(entry.addresses().empty() ? nullptr : entry.addresses().front().get());
}

admin::Change<admin::BackendView> ClusterDirectory::patch_backend(const std::string& cluster_name,
                                                                  const std::string& backend,
                                                                  const admin::BackendPatch& patch) {
  Cluster* cluster = find_cluster(cluster_name);
  if (cluster == nullptr) return no_cluster(cluster_name);
  const auto log = [&](const admin::BackendView& view) {
    environment_.logger.info(environment_.loop.wall_now(), "backend changed",
                             {{"cluster", cluster_name},
                              {"backend", view.name},
                              {"weight", view.weight},
                              {"state", admin::to_string(view.state)},
                              {"reason", "admin"}});
    return view;
  };
  if (BackendEntry* entry = find_entry(*cluster, backend)) {
    entry->patch(patch);
    for (const auto& address : entry->addresses()) on_entry_health(*entry, *address);
    const auto& addresses = entry->addresses();
    return log(entry->view(addresses.size() == 1 ? addresses.front().get() : nullptr));
  }
  for (const auto& entry : cluster->backends) {
    for (const auto& address : entry->addresses()) {
      if (address->backend()->name() != backend) continue;
      address->weight = patch.weight.value_or(address->weight);
      address->state = patch.state.value_or(address->state);
      on_entry_health(*entry, *address);
      return log(entry->view(address.get()));
    }
  }
  return no_backend(cluster_name, backend);
}

admin::Change<void> ClusterDirectory::remove_backend(const std::string& cluster_name, const std::string& backend) {
  Cluster* cluster = find_cluster(cluster_name);
  if (cluster == nullptr) return no_cluster(cluster_name);
  BackendEntry* entry = find_entry(*cluster, backend);
  if (entry == nullptr) {
    if (!name_taken(*cluster, backend)) return no_backend(cluster_name, backend);
    return refuse(ChangeError::Kind::conflict,
                  fmt::format("{} is an address of a name: disable it, or remove the name", backend));
  }
  on_entry_members(*entry);
  std::erase_if(cluster->backends, [&](const auto& one) { return one.get() == entry; });
  environment_.logger.info(environment_.loop.wall_now(), "backend removed",
                           {{"cluster", cluster_name}, {"backend", backend}, {"reason", "admin"}});
  return {};
}

}  // namespace weir::server
