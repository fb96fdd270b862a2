#include "config/proxy_arguments.h"

#include <fmt/format.h>

#include <unordered_set>

#include "config/address.h"
#include "config/json.h"
#include "config/units.h"

namespace weir::config {

namespace {

using Sentences = std::vector<std::string>;

std::expected<Endpoint, AddressError> parse_target(std::string_view text) {
  const bool is_url = text.find("://") != std::string_view::npos || text.starts_with("unix:");
  return is_url ? parse_backend_url(text, {}) : parse_endpoint(text, {});
}

void add_backends(const ProxyArguments& arguments, ClusterSpec& cluster, Sentences& errors) {
  if (arguments.to.empty()) errors.emplace_back("at least one --to is needed, such as --to http://127.0.0.1:8001");
  std::unordered_set<std::string> names;
  for (const std::string& target : arguments.to) {
    auto address = parse_target(target);
    if (!address) {
      errors.push_back(fmt::format("--to {}: {}", target, address.error()));
      continue;
    }
    BackendSpec backend;
    backend.name = to_string(*address);
    backend.address = std::move(*address);
    if (!names.insert(backend.name).second) errors.push_back(fmt::format("--to {}: is there twice", target));
    cluster.backends.push_back(std::move(backend));
  }
}

std::optional<Endpoint> parse_listen(std::string_view option, std::string_view text, Sentences& errors) {
  auto address = parse_listen_address(text, {});
  if (address) return std::move(*address);
  errors.push_back(fmt::format("{} {}: {}", option, text, address.error()));
  return std::nullopt;
}

}  // namespace

std::expected<Spec, Sentences> from_proxy_arguments(const ProxyArguments& arguments) {
  Sentences errors;
  Spec spec;
  spec.admin.reset();
  ListenerSpec& listener = spec.listeners.emplace_back();
  listener.name = "listener-1";
  if (auto address = parse_listen("--listen", arguments.listen, errors)) listener.address = std::move(*address);
  ClusterSpec& cluster = spec.clusters.emplace_back();
  cluster.name = "cluster-1";
  add_backends(arguments, cluster, errors);
  if (arguments.balance) {
    const auto balance = parse_balance(*arguments.balance);
    if (!balance) errors.push_back(fmt::format("--balance {}: {}", *arguments.balance, balance.error()));
    cluster.balance = balance.value_or(cluster.balance);
  }
  if (arguments.workers && *arguments.workers != "auto") {
    const auto count = parse_number(*arguments.workers, kMaxWorkers).value_or(0);
    if (count == 0) {
      errors.push_back(
          fmt::format("--workers {}: expected auto or a whole number from 1 to {}", *arguments.workers, kMaxWorkers));
    }
    spec.workers = static_cast<std::uint32_t>(count);
  }
  if (arguments.admin && *arguments.admin != "none") {
    if (auto address = parse_listen("--admin", *arguments.admin, errors)) {
      if (*address == listener.address && address->port != 0) {
        errors.push_back(fmt::format("--admin {}: is the address of --listen", *arguments.admin));
      }
      spec.admin.emplace().address = std::move(*address);
    }
  }
  spec.routes.emplace_back().name = "route-1";
  spec.routes.back().action = ToCluster{cluster.name};
  if (!errors.empty()) return std::unexpected(std::move(errors));
  return spec;
}

}  // namespace weir::config
