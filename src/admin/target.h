#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/head.h"

// What a path of the admin port means. Pure.
namespace weir::admin {

enum class Endpoint : std::uint8_t {
  unknown,
  metrics,
  livez,
  readyz,
  dashboard,
  config,
  routes,
  clusters,
  reload,
  explain,
  backends,  // of Target::cluster
  backend,   // Target::backend of Target::cluster
};

struct Target {
  Endpoint endpoint = Endpoint::unknown;
  std::string cluster, backend;  // percent-decoded
};

// `path` without query. Nothing if it has a broken percent-encoding.
std::optional<Target> parse_target(std::string_view path);

// As the Allow field lists them: "GET, HEAD"; HEAD goes with GET.
std::string_view allowed_methods(Endpoint endpoint);
bool allows(Endpoint endpoint, http::Method method);

}  // namespace weir::admin
