#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "config/spec.h"

namespace weir::config {

// What `weir proxy` is told on its command line, as written there.
struct ProxyArguments {
  std::string listen = "127.0.0.1:8080";
  std::vector<std::string> to;  // URLs or host:port; at least one
  std::optional<std::string> balance;
  std::optional<std::string> workers;
  std::optional<std::string> admin;  // absent: no admin port
};

// The configuration that those arguments stand for: one listener, one cluster, one route. The errors are sentences that
// name the argument; all come at once. Relative unix paths stay relative to the working directory.
std::expected<Spec, std::vector<std::string>> from_proxy_arguments(const ProxyArguments& arguments);

}  // namespace weir::config
