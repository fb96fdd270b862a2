#include "config/codecs.h"

#include <fmt/ranges.h>

#include <unordered_set>

#include "config/address.h"
#include "config/names.h"

namespace weir::config {

namespace {

constexpr std::string_view kDuration = "a duration such as 250ms, 5s or 1m";
constexpr std::string_view kSize = "a size such as 64KiB or 1MiB";

std::string or_none(std::string_view what, NoneAllowed none) {
  return none == NoneAllowed::kYes ? fmt::format("{}, or none", what) : std::string(what);
}

// Splits "host:port" or "[v6]:port" of a Host field; false if it is none.
bool is_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) {
    const std::string_view inner = host.substr(1, host.size() - 2);
    return inner.find(':') != std::string_view::npos && is_ip_address(inner);
  }
  return host.find(':') == std::string_view::npos && (is_host_name(host) || is_ip_address(host));
}

}  // namespace

void BoolValue::read(Reader& reader, NodeId id, bool& out) {
  const auto text = reader.scalar(id, "true or false");
  if (!text) return;
  if (*text == "true" || *text == "false") {
    out = *text == "true";
  } else {
    reader.expected(id, "true or false", *text);
  }
}

void NameValue::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a name");
  if (!text) return;
  if (std::string problem = problem_of_name(*text); !problem.empty()) return reader.error(id, std::move(problem));
  out = *text;
}

void PathValue::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a path");
  if (!text) return;
  if (text->empty() || !is_printable(*text)) return reader.expected(id, "a path", *text);
  out = *text == "-" ? std::string(*text) : resolve_path(*text, reader.base_dir());
}

void FileValue::read(Reader& reader, NodeId id, FileSpec& out) {
  const auto text = reader.scalar(id, "a path");
  if (!text) return;
  if (text->empty() || !is_printable(*text)) return reader.expected(id, "a path", *text);
  out.path = resolve_path(*text, reader.base_dir());
  if (!reader.files()) return;
  auto content = reader.files()(out.path);
  if (!content) return reader.error(id, fmt::format("can't read '{}': {}", out.path, content.error()));
  out.text = std::move(*content);
}

void TokenValue::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a token");
  if (!text) return;
  const std::string_view raw = reader.unexpanded();
  // A default or a part of the secret beside the name would show it.
  if (!raw.starts_with("${") || raw.find('}') != raw.size() - 1 || raw.find(":-") != std::string_view::npos) {
    reader.forget_unexpanded();
  }
  const bool is_visible = std::ranges::all_of(*text, [](char c) { return c > 0x20 && c < 0x7F; });
  if (text->empty() || !is_visible) return reader.error(id, "a token is of visible ASCII characters without spaces");
  out = *text;
}

void AnyText::read(Reader& reader, NodeId id, std::string& out) {
  if (const auto text = reader.scalar(id, "text")) out = *text;
}

void HostPattern::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a host such as example.com or *.example.com");
  if (!text) return;
  std::string_view host = *text;
  if (host == "*") return reader.error(id, "'*' is no host", "leave 'host' out to match every host");
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && !host.ends_with(']') && is_host(host.substr(0, colon))) {
    return reader.error(id, "a host is matched without its port", fmt::format("write '{}'", host.substr(0, colon)));
  }
  if (host.starts_with("*.")) host.remove_prefix(2);
  const bool is_wildcard = host.size() != text->size();
  if (is_wildcard ? !is_host_name(host) : !is_host(host)) {
    return reader.expected(id, "a host such as example.com or *.example.com", *text);
  }
  out = to_lower(*text);
}

void UrlHost::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a host name or IP address");
  if (!text) return;
  if (!is_host(*text)) return reader.expected(id, "a host name or IP address", *text);
  out = to_lower(*text);
}

void HostAndPort::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a host such as app.internal or app.internal:8080");
  if (!text) return;
  const std::size_t colon = text->ends_with(']') ? std::string_view::npos : text->rfind(':');
  const bool has_port = colon != std::string_view::npos;
  if (!is_host(text->substr(0, colon)) || (has_port && !parse_number(text->substr(colon + 1), 65535))) {
    return reader.expected(id, "a host such as app.internal or app.internal:8080", *text);
  }
  out = *text;
}

void HostName::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a host name");
  if (!text) return;
  if (!is_host_name(*text) && !is_ip_address(*text)) return reader.expected(id, "a host name", *text);
  out = to_lower(*text);
}

void UrlPath::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a path that begins with '/'");
  if (!text) return;
  if (text->find_first_of("?#") != std::string_view::npos)
    return reader.error(id, "a path has no query and no fragment");
  if (!is_absolute_path(*text)) {
    const std::string_view what =
        text->starts_with('/') ? "a path of URL characters (others as %XX)" : "a path that begins with '/'";
    return reader.expected(id, what, *text);
  }
  out = *text;
}

void MethodValue::read(Reader& reader, NodeId id, std::string& out) {
  const auto text = reader.scalar(id, "a method such as GET");
  if (!text) return;
  if (!is_token(*text)) return reader.expected(id, "a method such as GET", *text);
  out = *text;
}

void ListenAddress::read(Reader& reader, NodeId id, Endpoint& out) {
  const auto text = reader.scalar(id, "an address such as 0.0.0.0:8080, [::]:8080 or unix:/path");
  if (!text) return;
  auto address = parse_listen_address(*text, reader.base_dir());
  if (!address) return reader.error(id, std::move(address.error()));
  out = std::move(*address);
}

void CidrValue::read(Reader& reader, NodeId id, Cidr& out) {
  const auto text = reader.scalar(id, "a network such as 10.0.0.0/8");
  if (!text) return;
  auto cidr = parse_cidr(*text);
  if (!cidr) return reader.error(id, std::move(cidr.error()));
  out = *cidr;
}

void PercentageOrNone::read(Reader& reader, NodeId id, std::uint32_t& out) {
  const auto text = reader.scalar(id, "a share such as 20%, or none");
  if (!text) return;
  const auto value = *text == "none" ? std::optional(kNoBudget) : parse_percentage(*text);
  if (!value) return reader.expected(id, "a share from 0% to 100%, or none", *text);
  out = *value;
}

void PercentageOrNone::write(JsonWriter& writer, std::uint32_t value) {
  writer.string(value == kNoBudget ? "none" : format_percentage(value));
}

void StatusRanges::read(Reader& reader, NodeId id, std::vector<StatusRange>& out) {
  constexpr std::string_view kWhat = "status codes such as 200-299 or 200-299,404";
  const auto text = reader.scalar(id, kWhat);
  if (!text) return;
  auto ranges = parse_status_ranges(*text);
  if (!ranges) return reader.expected(id, kWhat, *text);
  out = std::move(*ranges);
}

void ByteRate::read(Reader& reader, NodeId id, std::uint64_t& out) {
  constexpr std::string_view kWhat = "a rate such as 240B/s or 1KiB/s, or none";
  const auto text = reader.scalar(id, kWhat);
  if (!text) return;
  const auto rate = *text == "none" ? std::optional(kNoLimit) : parse_byte_rate(*text);
  if (!rate) return reader.expected(id, kWhat, *text);
  out = *rate;
}

void ByteRate::write(JsonWriter& writer, std::uint64_t value) {
  writer.string(value == kNoLimit ? "none" : format_size(value) + "/s");
}

void RateOrNone::read(Reader& reader, NodeId id, std::uint64_t& out) {
  constexpr std::string_view kWhat = "a rate such as 20/s, or none";
  const auto text = reader.scalar(id, kWhat);
  if (!text) return;
  const auto rate = *text == "none" ? std::optional(kNoLimit) : parse_rate(*text);
  if (!rate) return reader.expected(id, kWhat, *text);
  out = *rate;
}

void RateOrNone::write(JsonWriter& writer, std::uint64_t value) {
  writer.string(value == kNoLimit ? "none" : fmt::format("{}/s", value));
}

void read_duration(Reader& reader, NodeId id, NoneAllowed none, ZeroAllowed zero, Duration& out) {
  const auto text = reader.scalar(id, kDuration);
  if (!text) return;
  if (none == NoneAllowed::kYes && *text == "none") {
    out = kForever;
    return;
  }
  const auto duration = parse_duration(*text);
  if (!duration) return reader.expected(id, or_none(kDuration, none), *text);
  if (*duration == Duration::zero() && zero == ZeroAllowed::kNo) {
    return reader.error(id, "must be above 0", none == NoneAllowed::kYes ? "'none' switches it off" : "");
  }
  out = *duration;
}

void read_size(Reader& reader, NodeId id, ZeroAllowed zero, std::uint64_t& out) {
  const auto text = reader.scalar(id, kSize);
  if (!text) return;
  const auto size = *text == "none" ? std::optional(kNoLimit) : parse_size(*text);
  if (!size) return reader.expected(id, or_none(kSize, NoneAllowed::kYes), *text);
  if (*size == 0 && zero == ZeroAllowed::kNo) return reader.error(id, "must be above 0", "'none' switches it off");
  out = *size;
}

void read_count_or_none(Reader& reader, NodeId id, std::uint64_t& out) {
  const auto text = reader.scalar(id, "a whole number, or none");
  if (!text) return;
  const auto count = *text == "none" ? std::optional(kNoLimit) : parse_number(*text, 1'000'000'000);
  if (!count) return reader.expected(id, "a whole number up to 1000000000, or none", *text);
  if (*count == 0) return reader.error(id, "must be above 0", "'none' switches it off");
  out = *count;
}

void read_integer(Reader& reader, NodeId id, std::uint64_t lowest, std::uint64_t highest, std::uint64_t& out) {
  const std::string what = fmt::format("a whole number from {} to {}", lowest, highest);
  const auto text = reader.scalar(id, what);
  if (!text) return;
  const auto number = parse_number(*text, highest);
  if (!number || *number < lowest) return reader.expected(id, what, *text);
  out = *number;
}

void wrong_choice(Reader& reader, NodeId id, std::string_view text, std::span<const std::string_view> allowed) {
  reader.expected(id, fmt::format("{}{}", allowed.size() > 1 ? "one of " : "", fmt::join(allowed, ", ")), text,
                  did_you_mean(text, allowed));
}

void choice_not_built(Reader& reader, NodeId id, std::string_view text) {
  reader.error(id, fmt::format("'{}' is not supported yet", text));
}

namespace {

bool check_header_name(Reader& reader, NodeId id, std::string_view name, FieldUse use) {
  if (!is_token(name)) {
    reader.expected(id, "the name of a header field", name);
    return false;
  }
  if (use == FieldUse::kEdit && is_managed_field(to_lower(name))) {
    reader.error(id, fmt::format("header '{}' belongs to the connection and cannot be changed", name));
    return false;
  }
  return true;
}

}  // namespace

void read_header_name(Reader& reader, NodeId id, FieldUse use, std::string& out) {
  const auto text = reader.scalar(id, "the name of a header field");
  if (text && check_header_name(reader, id, *text, use)) out = to_lower(*text);
}

void read_header_fields(Reader& reader, NodeId id, FieldUse use, std::vector<HeaderField>& out) {
  if (!reader.expect_mapping(id)) return;
  const YamlNode& mapping = reader.node(id);
  std::unordered_set<std::string> seen;
  out.clear();
  out.reserve(mapping.count / 2);
  for (std::size_t i = 0; i < mapping.count; i += 2) {
    const NodeId key = reader.tree().child(mapping, i);
    const NodeId value = reader.tree().child(mapping, i + 1);
    if (!check_header_name(reader, key, reader.key_text(key), use)) continue;
    HeaderField header{to_lower(reader.key_text(key)), {}};
    if (!seen.insert(header.name).second) {
      reader.double_key(key);
      continue;
    }
    const Reader::Scope scope(reader, header.name);
    const auto text = reader.scalar(value, "the value of a header field");
    if (!text) continue;
    if (!is_field_value(*text)) {
      reader.error(value, "a header value has no control characters and no white space around it");
      continue;
    }
    header.value = *text;
    out.push_back(std::move(header));
  }
}

}  // namespace weir::config
