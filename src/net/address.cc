#include "net/address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace weir {
namespace {

constexpr std::size_t kUnixPathMax = sizeof(sockaddr_un::sun_path) - 1;

char* put_decimal(char* out, unsigned value) {
  return std::to_chars(out, out + 10, value).ptr;
}

std::size_t format_ipv4(const std::uint8_t* bytes, char* out) {
  char* end = out;
  for (int i = 0; i < 4; ++i) {
    if (i > 0) *end++ = '.';
    end = put_decimal(end, bytes[i]);
  }
  return static_cast<std::size_t>(end - out);
}

struct ZeroRun {
  int first = -1;
  int length = 1;  // RFC 5952, 4.2.2: a lone group of zeros is not shortened
};

ZeroRun longest_zero_run(const std::array<unsigned, 8>& groups) {
  ZeroRun best;
  for (int i = 0; i < 8;) {
    int end = i;
    while (end < 8 && groups[static_cast<std::size_t>(end)] == 0) ++end;
    if (end - i > best.length) best = {i, end - i};
    i = end + 1;
  }
  return best;
}

std::size_t format_ipv6(const std::array<std::uint8_t, 16>& bytes, char* out) {
  std::array<unsigned, 8> groups;
  for (std::size_t i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  const ZeroRun run = longest_zero_run(groups);
  char* end = out;
  for (int i = 0; i < 8;) {
    if (i == run.first) {
      *end++ = ':';
      *end++ = ':';
      i += run.length;
      continue;
    }
    if (i > 0 && end[-1] != ':') *end++ = ':';
    end = std::to_chars(end, end + 4, groups[static_cast<std::size_t>(i)], 16).ptr;
    ++i;
  }
  return static_cast<std::size_t>(end - out);
}

std::optional<unsigned> parse_number(std::string_view text, unsigned max) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

}  // namespace

std::size_t IpAddress::format(char* out) const {
  switch (family) {
    case Family::ipv4:
      return format_ipv4(bytes.data(), out);
    case Family::ipv6:
      return format_ipv6(bytes, out);
    case Family::none:
      break;
  }
  return 0;
}

std::string IpAddress::to_string() const {
  char text[kMaxText];
  return std::string(text, format(text));
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[kMaxText];
  if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != text.npos) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  IpAddress address;
  if (inet_pton(AF_INET, buffer, address.bytes.data()) == 1) {
    address.family = Family::ipv4;
    return address;
  }
  if (inet_pton(AF_INET6, buffer, address.bytes.data()) != 1) return std::nullopt;
  return from_ipv6(address.bytes);
}

bool IpAddress::is_loopback() const {
  if (family == Family::ipv4) return bytes[0] == 127;
  static constexpr std::array<std::uint8_t, 16> kLoopback6 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return family == Family::ipv6 && bytes == kLoopback6;
}

IpAddress IpAddress::from_ipv6(const std::array<std::uint8_t, 16>& bytes) {
  static constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  IpAddress address;
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    address.family = Family::ipv4;
    std::copy(bytes.begin() + 12, bytes.end(), address.bytes.begin());
  } else {
    address.family = Family::ipv6;
    address.bytes = bytes;
  }
  return address;
}

bool Cidr::contains(const IpAddress& address) const {
  if (address.family != network.family || address.family == IpAddress::Family::none) return false;
  const std::size_t whole = prefix_bits / 8;
  if (!std::equal(network.bytes.begin(), network.bytes.begin() + static_cast<std::ptrdiff_t>(whole),
                  address.bytes.begin())) {
    return false;
  }
  const unsigned rest = prefix_bits % 8;
  return rest == 0 || (network.bytes[whole] ^ address.bytes[whole]) >> (8 - rest) == 0;
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address_text = text.substr(0, slash);
  const std::optional<IpAddress> network = IpAddress::parse(address_text);
  if (!network) return std::nullopt;
  const bool ipv4 = network->family == IpAddress::Family::ipv4;
  if (ipv4 && address_text.find(':') != text.npos && slash != text.npos) return std::nullopt;  // which prefix is meant?
  const unsigned bits_max = ipv4 ? 32 : 128;
  Cidr cidr{*network, static_cast<std::uint8_t>(bits_max)};
  if (slash == text.npos) return cidr;
  const std::optional<unsigned> bits = parse_number(text.substr(slash + 1), bits_max);
  if (!bits) return std::nullopt;
  cidr.prefix_bits = static_cast<std::uint8_t>(*bits);
  for (unsigned bit = *bits; bit < bits_max; ++bit) {
    if ((network->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return std::nullopt;
  }
  return cidr;
}

std::string SocketAddress::to_string() const {
  if (is_unix()) return "unix:" + path;
  const std::string text = ip.to_string();
  const std::string host = ip.family == IpAddress::Family::ipv6 ? "[" + text + "]" : text;
  return host + ":" + std::to_string(port);
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  SocketAddress address;
  if (text.starts_with("unix:")) {
    text.remove_prefix(5);
    if (text.empty() || text.size() > kUnixPathMax || text.find('\0') != text.npos) return std::nullopt;
    address.path = text;
    return address;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool ipv6_text = host.find(':') != host.npos;
  const std::optional<IpAddress> ip = IpAddress::parse(host);
  const std::optional<unsigned> port = parse_number(text.substr(colon + 1), 65535);
  if (!ip || !port || bracketed != ipv6_text) return std::nullopt;
  address.ip = *ip;
  address.port = static_cast<std::uint16_t>(*port);
  return address;
}

}  // namespace weir
