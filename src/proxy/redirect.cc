#include "proxy/redirect.h"

#include <fmt/format.h>

#include "http/authority.h"
#include "http/path.h"

namespace weir::proxy {

namespace {

std::string_view without_trailing_slash(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

// The path with the route's prefix replaced. Works on the normal form, in which the route matched.
std::string replace_prefix(const Redirect& redirect, const Route& route, std::string_view normal_path) {
  const std::string_view configured = route.match.path_prefix ? std::string_view(*route.match.path_prefix) : "";
  std::string scratch(configured.size(), '\0');
  const std::string_view matched = without_trailing_slash(http::normalise_path(configured, scratch).path);
  std::string_view rest = normal_path;
  rest.remove_prefix(std::min(matched.size(), rest.size()));
  std::string path(without_trailing_slash(redirect.path_prefix));
  path += rest;
  return path.empty() ? "/" : path;
}

}  // namespace

std::string redirect_location(const Redirect& redirect, const Route& route, const http::RequestHead& request,
                              std::string_view scheme) {
  std::string scratch(request.path.size(), '\0');
  const http::NormalPath normal = http::normalise_path(request.path, scratch);
  const http::HostPort from = request.authority.empty() ? http::HostPort{} : http::split_authority(request.authority);
  const std::string_view host = redirect.host.empty() ? from.host : std::string_view(redirect.host);
  const std::string_view to_scheme = redirect.scheme.empty() ? scheme : std::string_view(redirect.scheme);
  // The old port means nothing to another scheme.
  std::optional<std::uint16_t> port = redirect.port;
  if (!port && to_scheme == scheme) port = from.port;
  const bool usual = (to_scheme == "http" && port == 80) || (to_scheme == "https" && port == 443);

  std::string location;
  const std::string_view path = request.path == "*" ? std::string_view("/") : request.path;
  if (!host.empty()) {
    location = fmt::format("{}://{}", to_scheme, host);
    if (port && !usual) location += fmt::format(":{}", *port);
  }
  if (redirect.has_path) {
    location += redirect.path;
  } else if (redirect.has_path_prefix) {
    location += replace_prefix(redirect, route, normal.path);
  } else {
    // Without a host in front of it, "//" would begin one (RFC 3986 4.2).
    if (location.empty() && path.starts_with("//")) location = "/.";
    location += path.substr(0, path.find('?'));
  }
  const std::size_t query = request.path.find('?');
  if (query != std::string_view::npos && !(redirect.has_path && redirect.path.find('?') != std::string::npos)) {
    location += request.path.substr(query);
  }
  return location;
}

}  // namespace weir::proxy
