#include "net/proxy_protocol.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace weir {

namespace {

constexpr std::string_view kLineBegin = "PROXY ";
constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t kFixedBytes = 16;  // of version 2: signature, command, family, length

enum Family : std::uint8_t { kUnspecified = 0x00, kTcp4 = 0x11, kTcp6 = 0x21, kUnixStream = 0x31 };
constexpr std::uint8_t kLocal = 0x20;
constexpr std::uint8_t kProxied = 0x21;

ProxyParsed broken(std::string_view detail) {
  ProxyParsed result;
  result.status = ProxyParsed::Status::broken;
  result.detail = detail;
  return result;
}

ProxyParsed done(std::size_t consumed, const ProxiedEnds& ends = {}) {
  ProxyParsed result;
  result.status = ProxyParsed::Status::done;
  result.consumed = consumed;
  result.ends = ends;
  return result;
}

bool begins_like(std::string_view input, std::string_view what) {
  const std::size_t size = std::min(input.size(), what.size());
  return input.substr(0, size) == what.substr(0, size);
}

// The word up to the next blank or the end; takes it and the blank away.
std::string_view take_word(std::string_view& text) {
  const std::size_t blank = text.find(' ');
  const std::string_view word = text.substr(0, blank);
  text.remove_prefix(blank == std::string_view::npos ? text.size() : blank + 1);
  return word;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint32_t value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  if (value > 0xFFFF) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

// An address of the family that the line names, whatever it unfolds to.
std::optional<IpAddress> parse_address(std::string_view text, bool is_v6) {
  if ((text.find(':') != std::string_view::npos) != is_v6) return std::nullopt;
  return IpAddress::parse(text);
}

// "PROXY TCP4 192.0.2.1 192.0.2.2 12345 80\r\n"
ProxyParsed parse_line(std::string_view input) {
  const std::size_t end = input.substr(0, kProxyLineBytesMax).find('\n');
  if (end == std::string_view::npos) {
    return input.size() >= kProxyLineBytesMax ? broken("the line is too long") : ProxyParsed{};
  }
  if (input[end - 1] != '\r') return broken("a line end without CR");
  std::string_view line = input.substr(kLineBegin.size(), end - 1 - kLineBegin.size());
  const std::string_view family = take_word(line);
  if (family == "UNKNOWN") return done(end + 1);
  if (family != "TCP4" && family != "TCP6") return broken("an unknown family");
  if (std::ranges::count(line, ' ') != 3) return broken("not two addresses and two ports");
  const auto source = parse_address(take_word(line), family == "TCP6");
  const auto destination = parse_address(take_word(line), family == "TCP6");
  const auto source_port = parse_port(take_word(line));
  const auto destination_port = parse_port(take_word(line));
  if (!source || !destination) return broken("a broken address");
  if (!source_port || !destination_port) return broken("a broken port");
  return done(end + 1, {true, *source, *destination, *source_port, *destination_port});
}

std::uint16_t read_u16(std::string_view bytes) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) << 8U | static_cast<unsigned char>(bytes[1]));
}

IpAddress read_ipv4(std::string_view bytes) {
  IpAddress address;
  address.family = IpAddress::Family::ipv4;
  std::memcpy(address.bytes.data(), bytes.data(), 4);
  return address;
}

IpAddress read_ipv6(std::string_view bytes) {
  std::array<std::uint8_t, 16> raw;
  std::memcpy(raw.data(), bytes.data(), raw.size());
  return IpAddress::from_ipv6(raw);
}

ProxyParsed parse_binary(std::string_view input) {
  // What can't be right is found before all of it has come.
  if (input.size() > 12 && (static_cast<unsigned char>(input[12]) >> 4U) != 2) return broken("an unknown version");
  if (input.size() < kFixedBytes) return {};
  const auto command = static_cast<std::uint8_t>(input[12]);
  const auto family = static_cast<std::uint8_t>(input[13]);
  if (command != kLocal && command != kProxied) return broken("an unknown command");
  const std::size_t length = read_u16(input.substr(14));
  const std::size_t size = kFixedBytes + length;
  if (size > kProxyHeaderBytesMax) return broken("the header is too long");
  const std::size_t addresses = family == kTcp4 ? 12 : family == kTcp6 ? 36 : family == kUnixStream ? 216 : 0;
  if (command == kProxied) {
    if (addresses == 0 && family != kUnspecified) return broken("an unknown family");
    if (length < addresses) return broken("no room for the addresses");
  }
  if (input.size() < size) return {};
  if (command == kLocal || family == kUnspecified) return done(size);
  const std::string_view block = input.substr(kFixedBytes);
  ProxiedEnds ends;
  ends.known = true;
  if (family == kTcp4) {
    ends = {true, read_ipv4(block), read_ipv4(block.substr(4)), read_u16(block.substr(8)), read_u16(block.substr(10))};
  } else if (family == kTcp6) {
    ends = {true, read_ipv6(block), read_ipv6(block.substr(16)), read_u16(block.substr(32)),
            read_u16(block.substr(34))};
  }
  return done(size, ends);
}

// IPv4 in IPv6 is written as IPv6 where the other end is.
std::array<std::uint8_t, 16> as_ipv6(const IpAddress& address) {
  if (address.family == IpAddress::Family::ipv6) return address.bytes;
  std::array<std::uint8_t, 16> mapped{};
  mapped[10] = mapped[11] = 0xFF;
  std::copy_n(address.bytes.begin(), 4, mapped.begin() + 12);
  return mapped;
}

enum class Said : std::uint8_t { nothing, ipv4, ipv6 };

Said family_of(const ProxiedEnds& ends) {
  using Family = IpAddress::Family;
  if (!ends.known || ends.source.family == Family::none || ends.destination.family == Family::none) {
    return Said::nothing;
  }
  return ends.source.family == Family::ipv4 && ends.destination.family == Family::ipv4 ? Said::ipv4 : Said::ipv6;
}

class Writer {
 public:
  explicit Writer(std::array<char, kProxyWrittenBytesMax>& room) : room_(room), at_(room.data()) {}

  void text(std::string_view text) { at_ = std::copy(text.begin(), text.end(), at_); }
  void byte(std::uint8_t value) { *at_++ = static_cast<char>(value); }
  void u16(std::uint16_t value) {
    byte(static_cast<std::uint8_t>(value >> 8U));
    byte(static_cast<std::uint8_t>(value));
  }
  void bytes(const std::uint8_t* data, std::size_t size) {
    std::memcpy(at_, data, size);
    at_ += size;
  }
  void number(std::uint16_t value) { at_ = std::to_chars(at_, room_.data() + room_.size(), value).ptr; }
  // In a line of IPv6 an address of IPv4 is said in its mapped form.
  void address(const IpAddress& address, Said family) {
    if (family == Said::ipv6 && address.family == IpAddress::Family::ipv4) text("::ffff:");
    at_ += address.format(at_);
  }
  std::string_view written() const { return {room_.data(), at_}; }

 private:
  std::array<char, kProxyWrittenBytesMax>& room_;
  char* at_;
};

void write_line(Writer& out, const ProxiedEnds& ends, Said family) {
  if (family == Said::nothing) return out.text("PROXY UNKNOWN\r\n");
  out.text(family == Said::ipv4 ? "PROXY TCP4 " : "PROXY TCP6 ");
  out.address(ends.source, family);
  out.text(" ");
  out.address(ends.destination, family);
  out.text(" ");
  out.number(ends.source_port);
  out.text(" ");
  out.number(ends.destination_port);
  out.text("\r\n");
}

void write_binary(Writer& out, const ProxiedEnds& ends, Said family) {
  out.text(kSignature);
  if (family == Said::nothing) {
    out.byte(kLocal);
    out.byte(kUnspecified);
    return out.u16(0);
  }
  out.byte(kProxied);
  out.byte(family == Said::ipv4 ? kTcp4 : kTcp6);
  out.u16(family == Said::ipv4 ? 12 : 36);
  for (const IpAddress& address : {ends.source, ends.destination}) {
    if (family == Said::ipv4) {
      out.bytes(address.bytes.data(), 4);
    } else {
      out.bytes(as_ipv6(address).data(), 16);
    }
  }
  out.u16(ends.source_port);
  out.u16(ends.destination_port);
}

}  // namespace

ProxyParsed parse_proxy_header(std::string_view input) {
  if (begins_like(input, kLineBegin)) return input.size() < kLineBegin.size() ? ProxyParsed{} : parse_line(input);
  if (begins_like(input, kSignature)) return input.size() < kSignature.size() ? ProxyParsed{} : parse_binary(input);
  return broken("not a PROXY header");
}

std::string_view write_proxy_header(ProxyVersion version, const ProxiedEnds& ends,
                                    std::array<char, kProxyWrittenBytesMax>& room) {
  Writer out(room);
  const Said family = family_of(ends);
  if (version == ProxyVersion::v1) {
    write_line(out, ends, family);
  } else {
    write_binary(out, ends, family);
  }
  return out.written();
}

}  // namespace weir
