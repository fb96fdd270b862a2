#include "http/authority.h"

#include "base/assert.h"
#include "http/scan.h"

namespace weir::http {
namespace {

constexpr CharClass kHostChars = kUnreservedChars.with("!$&'()*+;=");
constexpr CharClass kLowerHostChars = kHostChars.without("ABCDEFGHIJKLMNOPQRSTUVWXYZ").with("[]:");

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// -1 if it is none.
int parse_port(std::string_view text) {
  if (text.size() > 5) return -1;
  int port = 0;
  for (const char c : text) {
    if (!is_digit(c)) return -1;
    port = port * 10 + (c - '0');
  }
  return port <= 65535 ? port : -1;
}

bool is_ipv4(std::string_view text) {
  int parts = 0;
  while (true) {
    const std::string_view part = text.substr(0, text.find('.'));
    if (part.empty() || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return false;
    const int value = parse_port(part);
    if (value < 0 || value > 255) return false;
    ++parts;
    if (part.size() == text.size()) return parts == 4;
    text.remove_prefix(part.size() + 1);
  }
}

}  // namespace

bool is_ipv6(std::string_view text) {
  int groups = 0;
  bool gap = false;
  if (text.starts_with("::")) {
    gap = true;
    text.remove_prefix(2);
    if (text.empty()) return true;
  }
  while (true) {
    const std::string_view group = text.substr(0, text.find(':'));
    if (group.size() == text.size() && group.find('.') != std::string_view::npos) {
      if (!is_ipv4(group)) return false;
      groups += 2;
      break;
    }
    if (group.empty() || group.size() > 4) return false;
    for (const char c : group) {
      if (!is_hex(c)) return false;
    }
    if (++groups > 8) return false;
    text.remove_prefix(group.size());
    if (text.empty()) break;
    text.remove_prefix(1);
    if (text.starts_with(':')) {
      if (gap) return false;
      gap = true;
      text.remove_prefix(1);
      if (text.empty()) break;
    }
  }
  return gap ? groups <= 7 : groups == 8;
}

bool is_authority(std::string_view text) {
  if (text.empty()) return false;
  const char* end = text.data() + text.size();
  const char* host_end = nullptr;
  if (text.front() == '[') {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || !is_ipv6(text.substr(1, close - 1))) return false;
    host_end = text.data() + close + 1;
  } else {
    host_end = find_not_in<kHostChars>(text.data(), end);
    if (host_end == text.data()) return false;
  }
  if (host_end == end) return true;
  return *host_end == ':' && parse_port({host_end + 1, end}) >= 0;
}

HostPort split_authority(std::string_view authority) {
  const std::size_t from = authority.starts_with('[') ? authority.find(']') : 0;
  const std::size_t colon = authority.find(':', from);
  if (colon == std::string_view::npos) return {authority, std::nullopt};
  const std::string_view port = authority.substr(colon + 1);
  const int number = parse_port(port);
  if (port.empty() || number < 0) return {authority.substr(0, colon), std::nullopt};
  return {authority.substr(0, colon), static_cast<std::uint16_t>(number)};
}

std::string_view normalise_host(std::string_view authority, std::span<char> scratch) {
  std::string_view host = split_authority(authority).host;
  if (host.size() > 1 && host.ends_with('.')) host.remove_suffix(1);
  const char* end = host.data() + host.size();
  if (find_not_in<kLowerHostChars>(host.data(), end) == end) return host;
  WEIR_ASSERT(scratch.size() >= host.size());
  for (std::size_t i = 0; i < host.size(); ++i) {
    const char c = host[i];
    scratch[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return {scratch.data(), host.size()};
}

}  // namespace weir::http
