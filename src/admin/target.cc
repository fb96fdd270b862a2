#include "admin/target.h"

#include <array>
#include <utility>

namespace weir::admin {
namespace {

constexpr std::array<std::pair<std::string_view, Endpoint>, 9> kFixed = {{
    {"/metrics", Endpoint::metrics},
    {"/livez", Endpoint::livez},
    {"/readyz", Endpoint::readyz},
    {"/", Endpoint::dashboard},
    {"/api/v1/config", Endpoint::config},
    {"/api/v1/routes", Endpoint::routes},
    {"/api/v1/clusters", Endpoint::clusters},
    {"/api/v1/reload", Endpoint::reload},
    {"/api/v1/explain", Endpoint::explain},
}};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

}  // namespace

std::optional<Target> parse_target(std::string_view path) {
  for (const auto& [fixed, endpoint] : kFixed) {
    if (path == fixed) return Target{endpoint, {}, {}};
  }
  constexpr std::string_view kClusters = "/api/v1/clusters/";
  if (!path.starts_with(kClusters)) return Target{};
  path.remove_prefix(kClusters.size());

  constexpr std::string_view kBackends = "/backends";
  const std::size_t slash = path.find('/');
  if (slash == 0 || slash == std::string_view::npos || !path.substr(slash).starts_with(kBackends)) return Target{};
  const std::string_view rest = path.substr(slash + kBackends.size());
  auto cluster = percent_decode(path.substr(0, slash));
  if (!cluster) return std::nullopt;
  if (rest.empty()) return Target{Endpoint::backends, std::move(*cluster), {}};
  if (rest.size() < 2 || rest.front() != '/' || rest.find('/', 1) != std::string_view::npos) return Target{};
  auto backend = percent_decode(rest.substr(1));
  if (!backend) return std::nullopt;
  return Target{Endpoint::backend, std::move(*cluster), std::move(*backend)};
}

std::string_view allowed_methods(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::reload:
    case Endpoint::backends:
      return "POST";
    case Endpoint::backend:
      return "PATCH, DELETE";
    default:
      return "GET, HEAD";
  }
}

bool allows(Endpoint endpoint, http::Method method) {
  switch (endpoint) {
    case Endpoint::reload:
    case Endpoint::backends:
      return method == http::Method::post;
    case Endpoint::backend:
      return method == http::Method::patch || method == http::Method::delete_;
    default:
      return method == http::Method::get;
  }
}

}  // namespace weir::admin
