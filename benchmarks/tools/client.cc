#include "client.h"

#include <algorithm>
#include <charconv>

namespace weir::lab {
namespace {

constexpr std::size_t kHeadBytesMax = 256 * 1024;
constexpr std::uint64_t kWindowBytes = 0x7fff'ffff;
constexpr std::uint64_t kGiveBackBytes = 1U << 28;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// The value of the head's only content-length; false if there is none, or the body is framed in another way.
bool content_length(std::string_view head, std::uint64_t& value) {
  bool found = false;
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head = head.substr(std::min(end + 2, head.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    if (same_name(line.substr(0, colon), "transfer-encoding")) return false;
    if (!same_name(line.substr(0, colon), "content-length")) continue;
    const std::size_t start = line.find_first_not_of(' ', colon + 1);
    if (start == std::string_view::npos) return false;
    found = std::from_chars(line.data() + start, line.data() + line.size(), value).ec == std::errc();
  }
  return found;
}

void put_number(std::string& out, std::uint8_t first, unsigned prefix_bits, std::uint64_t value) {
  const std::uint64_t most = (1U << prefix_bits) - 1;
  if (value < most) {
    out += static_cast<char>(first | value);
    return;
  }
  out += static_cast<char>(first | most);
  value -= most;
  for (; value >= 128; value >>= 7) out += static_cast<char>(value % 128 + 128);
  out += static_cast<char>(value);
}

void put_string(std::string& out, std::string_view text) {
  put_number(out, 0, 7, text.size());
  out += text;
}

std::uint32_t number(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void put_number32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

}  // namespace

Http1Wire::Http1Wire(const Request& request) : request_(request) {
  rendered_ = "GET " + request.path + " HTTP/1.1\r\nHost: " + request.host + "\r\n";
  for (const auto& [name, value] : request.fields) rendered_ += name + ": " + value + "\r\n";
  rendered_ += "\r\n";
}

std::uint32_t Http1Wire::begin() {
  output_ += rendered_;
  busy_ = true;
  return ++count_;
}

bool Http1Wire::take_head(std::string_view head, Done& result) {
  if (head.size() < 13 || !head.starts_with("HTTP/1.")) return false;
  if (!content_length(head, body_left_)) return false;
  kind_ = Done::Kind::ok;
  if (head.substr(9, 3) != "200") {
    kind_ = Done::Kind::status;
  } else if (request_.body_bytes >= 0 && body_left_ != static_cast<std::uint64_t>(request_.body_bytes)) {
    kind_ = Done::Kind::body;
  }
  result.kind = kind_;
  in_body_ = true;
  return true;
}

bool Http1Wire::feed(std::string_view bytes, std::vector<Done>& done) {
  while (!bytes.empty() || in_body_) {
    if (!busy_) return false;  // bytes that nobody asked for
    Done result{count_, kind_};
    if (!in_body_) {
      const std::size_t before = head_.size();
      head_ += bytes.substr(0, kHeadBytesMax);
      const std::size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
      if (end == std::string::npos) return head_.size() < kHeadBytesMax;
      bytes.remove_prefix(end + 4 - before);
      const bool understood = take_head(std::string_view(head_).substr(0, end), result);
      head_.clear();
      if (!understood) {
        busy_ = false;
        done.push_back({count_, Done::Kind::framing});
        return false;
      }
    }
    const std::uint64_t taken = std::min<std::uint64_t>(body_left_, bytes.size());
    body_left_ -= taken;
    bytes.remove_prefix(taken);
    if (body_left_ != 0) return true;
    in_body_ = false;
    busy_ = false;
    done.push_back(result);
  }
  return true;
}

Http2Wire::Http2Wire(const Request& request, std::uint32_t streams_max, bool tls)
    : request_(request), streams_max_(streams_max), tls_(tls) {}

void Http2Wire::frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  const auto size = static_cast<std::uint32_t>(payload.size());
  for (const std::uint32_t byte : {size >> 16, size >> 8, size}) output_ += static_cast<char>(byte);
  output_ += static_cast<char>(type);
  output_ += static_cast<char>(flags);
  put_number32(output_, stream);
  output_ += payload;
}

void Http2Wire::open() {
  output_ += "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  std::string settings;
  for (const auto& [id, value] : {std::pair<int, std::uint32_t>{2, 0}, {4, kWindowBytes}}) {  // no push; windows
    settings += '\0';
    settings += static_cast<char>(id);
    put_number32(settings, value);
  }
  frame(4, 0, 0, settings);
  std::string increment;
  put_number32(increment, static_cast<std::uint32_t>(kWindowBytes - 65535));
  frame(8, 0, 0, increment);
}

std::uint32_t Http2Wire::room() const {
  if (!ready_ || going_ || open_.size() >= streams_max_ || next_stream_ > 0x7fff'0000) return 0;
  return streams_max_ - static_cast<std::uint32_t>(open_.size());
}

std::string Http2Wire::block() {
  std::string block;
  block += '\x82';                  // :method GET
  block += tls_ ? '\x87' : '\x86';  // :scheme
  const std::size_t count = request_.fields.size() + 2;
  if (indexed_) {  // the last one inserted has number 62
    for (std::size_t i = 0; i < count; ++i) put_number(block, 0x80, 7, 62 + count - 1 - i);
    return block;
  }
  const std::uint8_t first = may_index_ ? 0x40 : 0;
  const unsigned bits = may_index_ ? 6 : 4;
  put_number(block, first, bits, 4);  // :path
  put_string(block, request_.path);
  put_number(block, first, bits, 1);  // :authority
  put_string(block, request_.host);
  for (const auto& [name, value] : request_.fields) {
    put_number(block, first, bits, 0);
    std::string small = name;
    std::ranges::transform(small, small.begin(), lower);
    put_string(block, small);
    put_string(block, value);
  }
  indexed_ = may_index_;
  return block;
}

std::uint32_t Http2Wire::begin() {
  const std::uint32_t stream = next_stream_;
  next_stream_ += 2;
  frame(1, 0x5, stream, block());  // HEADERS with END_STREAM and END_HEADERS
  open_.push_back({stream, 0, false, false});
  return stream;
}

bool Http2Wire::feed(std::string_view bytes, std::vector<Done>& done) {
  input_ += bytes;
  std::size_t at = 0;
  bool fine = true;
  while (fine && input_.size() - at >= 9) {
    const std::string_view rest = std::string_view(input_).substr(at);
    const std::uint32_t size = number(rest.substr(0, 3));
    if (rest.size() < 9 + size) break;
    fine = take_frame(static_cast<std::uint8_t>(rest[3]), static_cast<std::uint8_t>(rest[4]),
                      number(rest.substr(5, 4)) & 0x7fff'ffff, rest.substr(9, size), done);
    at += 9 + size;
  }
  input_.erase(0, at);
  return fine;
}

bool Http2Wire::take_settings(std::string_view payload) {
  for (; payload.size() >= 6; payload.remove_prefix(6)) {
    const std::uint32_t id = number(payload.substr(0, 2));
    const std::uint32_t value = number(payload.substr(2, 4));
    if (id == 1 && value < 4096 && !indexed_) may_index_ = false;
    if (id == 3) streams_max_ = std::min(streams_max_, value);
  }
  frame(4, 1, 0, {});
  ready_ = true;
  return true;
}

void Http2Wire::take_head(Open& open, std::uint8_t flags, std::string_view payload) {
  if (open.has_head) return;  // trailers
  open.has_head = true;
  if ((flags & 0x8) != 0 && !payload.empty()) payload.remove_prefix(1);                      // length of the padding
  if ((flags & 0x20) != 0) payload.remove_prefix(std::min<std::size_t>(5, payload.size()));  // priority
  while (!payload.empty() && (static_cast<unsigned char>(payload[0]) & 0xe0) == 0x20) {  // size of the table changes
    std::size_t used = 1;
    if ((payload[0] & 0x1f) == 0x1f) {
      while (used < payload.size() && (static_cast<unsigned char>(payload[used]) & 0x80) != 0) ++used;
      ++used;
    }
    payload.remove_prefix(std::min(used, payload.size()));
  }
  open.is_200 = !payload.empty() && static_cast<unsigned char>(payload[0]) == 0x88;  // as every encoder writes it
}

void Http2Wire::finish(std::uint32_t stream, Done::Kind kind, std::vector<Done>& done) {
  std::erase_if(open_, [stream](const Open& one) { return one.stream == stream; });
  done.push_back({stream, kind});
}

bool Http2Wire::take_frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload,
                           std::vector<Done>& done) {
  const auto open = std::ranges::find(open_, stream, &Open::stream);
  if (type == 4 && (flags & 1) == 0) return take_settings(payload);
  if (type == 6 && (flags & 1) == 0) frame(6, 1, 0, payload);
  if (type == 7) going_ = true;
  if (type == 3 && open != open_.end()) finish(stream, Done::Kind::framing, done);
  if (type == 0) {
    unacknowledged_ += payload.size();
    if (unacknowledged_ >= kGiveBackBytes) {
      std::string increment;
      put_number32(increment, static_cast<std::uint32_t>(unacknowledged_));
      frame(8, 0, 0, increment);
      unacknowledged_ = 0;
    }
  }
  if ((type != 0 && type != 1) || open == open_.end()) return !going_ || !open_.empty();
  if (type == 1) {
    take_head(*open, flags, payload);
  } else {
    const bool padded = (flags & 0x8) != 0 && !payload.empty();
    const std::size_t padding = padded ? 1U + static_cast<unsigned char>(payload[0]) : 0;
    open->body_bytes += static_cast<std::int64_t>(payload.size() - std::min(padding, payload.size()));
  }
  if ((flags & 1) == 0) return true;
  Done::Kind kind = Done::Kind::ok;
  if (!open->is_200) {
    kind = Done::Kind::status;
  } else if (request_.body_bytes >= 0 && open->body_bytes != request_.body_bytes) {
    kind = Done::Kind::body;
  }
  finish(stream, kind, done);
  return !going_ || !open_.empty();
}

}  // namespace weir::lab
