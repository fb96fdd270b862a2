#include "admin/guard.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "http/field.h"

namespace weir::admin {
namespace {

constexpr IpAddress kLoopback4{IpAddress::Family::ipv4, {127, 0, 0, 1}};
constexpr IpAddress kLoopback6{IpAddress::Family::ipv6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

bool is_wildcard(const IpAddress& address) {
  return address.family != IpAddress::Family::none &&
         std::ranges::all_of(address.bytes, [](auto byte) { return byte == 0; });
}

struct HostPort {
  std::string_view host;  // without brackets
  std::uint16_t port = 80;
};

std::optional<HostPort> split(std::string_view text) {
  HostPort parts;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    parts.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
  } else {
    const std::size_t colon = text.find(':');
    parts.host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
  }
  if (rest.empty()) return parts;
  const char* end = rest.data() + rest.size();
  const auto [stop, error] = std::from_chars(rest.data() + 1, end, parts.port);
  if (rest.front() != ':' || error != std::errc() || stop != end) return std::nullopt;
  return parts;
}

}  // namespace

bool names_admin_port(std::string_view host, const SocketAddress& bound, const SocketAddress& local) {
  const auto parts = split(host);
  if (!parts) return false;
  const bool localhost = http::equals_ignoring_case(parts->host, "localhost");
  if (bound.is_unix()) return localhost;
  if (parts->port != bound.port) return false;
  const bool loopback_leads_here = bound.ip.is_loopback() || is_wildcard(bound.ip);
  if (localhost) return loopback_leads_here;
  const auto ip = IpAddress::parse(parts->host);
  if (!ip) return false;
  if (*ip == bound.ip && !is_wildcard(bound.ip)) return true;
  if (loopback_leads_here && (*ip == kLoopback4 || *ip == kLoopback6)) return true;
  return is_wildcard(bound.ip) && *ip == local.ip;
}

bool same_secret(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const char other = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(other);
  }
  // Keeps the compiler from leaving the loop early.
  volatile unsigned result = difference;
  return result == 0 && !secret.empty();
}

std::optional<Reply> refuse_change(const Request& request, const GuardSettings& settings) {
  if (request.ambiguous) return error_reply(400, "a field that may come once came twice");
  if (!names_admin_port(request.host, settings.address, request.local)) {
    return error_reply(403, "Host is not the admin address");
  }
  if (request.origin) {
    constexpr std::string_view kScheme = "http://";
    const std::string_view origin = *request.origin;
    if (!origin.starts_with(kScheme) ||
        !names_admin_port(origin.substr(kScheme.size()), settings.address, request.local)) {
      return error_reply(403, "Origin is not the admin address");
    }
  }
  if (settings.token && request.authorization) {
    constexpr std::string_view kBearer = "bearer ";
    const std::string_view given = *request.authorization;
    if (given.size() > kBearer.size() && http::equals_ignoring_case(given.substr(0, kBearer.size()), kBearer) &&
        same_secret(given.substr(kBearer.size()), *settings.token)) {
      return std::nullopt;
    }
    Reply reply = error_reply(401, "wrong token");
    reply.challenge = true;
    return reply;
  }
  if (request.peer.family == IpAddress::Family::none || request.peer.is_loopback()) return std::nullopt;
  if (!settings.token) return error_reply(403, "changes are taken from this machine only, unless admin.token is set");
  Reply reply = error_reply(401, "a bearer token is needed");
  reply.challenge = true;
  return reply;
}

}  // namespace weir::admin
