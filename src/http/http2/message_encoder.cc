#include <algorithm>

#include "http/http2/hpack_static.h"
#include "http/http2/message.h"
#include "http/scan.h"

namespace weir::http2 {

using http::Field;
using http::FieldId;
using http::FieldList;
using http::Method;

namespace {

// A cookie so short can be guessed one character after the other by whoever sees sizes (RFC 7541 7.1.3).
constexpr std::size_t kShortCookieBytes = 20;

constexpr http::CharClass kNoCapitals =
    http::CharClass{}.with_range(0, 0x7f).with_high().without("ABCDEFGHIJKLMNOPQRSTUVWXYZ");

// To one reserved piece, or, if the block might not fit into one, field by field.
class BlockWriter {
 public:
  BlockWriter(HpackEncoder& encoder, Buffer& out, std::size_t size_max) : encoder_(encoder), out_(out) {
    size_max += HpackEncoder::kBlockStartMax;
    if (size_max > kSliceCapacity) {
      encoder_.begin_block(out);
      return;
    }
    start_ = out.reserve(size_max).data();
    at_ = encoder_.begin_block(start_);
  }
  BlockWriter(const BlockWriter&) = delete;
  BlockWriter& operator=(const BlockWriter&) = delete;
  ~BlockWriter() {
    if (at_ != nullptr) out_.commit(static_cast<std::size_t>(at_ - start_));
  }

  void add(std::string_view name, std::string_view value, FieldId id, std::uint8_t name_index, Indexing indexing) {
    if (at_ == nullptr) return encoder_.add(out_, name, value, id, name_index, indexing);
    at_ = encoder_.add(at_, name, value, id, name_index, indexing);
  }
  void add_static(std::uint8_t index) {
    if (at_ != nullptr) {
      at_ = HpackEncoder::add_static(at_, index);
    } else {
      char byte = 0;
      HpackEncoder::add_static(&byte, index);
      out_.append({&byte, 1});
    }
  }

 private:
  HpackEncoder& encoder_;
  Buffer& out_;
  char* start_ = nullptr;
  char* at_ = nullptr;
};

std::size_t size_max(const FieldList& fields) {
  std::size_t size = 0;
  for (const Field& field : fields) size += HpackEncoder::field_max(field.name_size, field.value_size);
  return size;
}

// RFC 9113 8.2.2, and Host, which is :authority here.
bool is_sent(const Field& field) {
  switch (field.id) {
    case FieldId::connection:
    case FieldId::host:
    case FieldId::http2_settings:
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return false;
    case FieldId::te:
      return !field.removed && http::equals_ignoring_case(field.value(), "trailers");
    default:
      return !field.removed;
  }
}

Indexing indexing_of(const Field& field) {
  if (field.never_indexed) return Indexing::never;
  switch (field.id) {
    case FieldId::authorization:
    case FieldId::proxy_authorization:
      return Indexing::never;
    case FieldId::cookie:
      return field.value_size < kShortCookieBytes ? Indexing::never : Indexing::allowed;
    default:
      return Indexing::allowed;
  }
}

std::string_view in_lower_case(std::string_view name, Arena& arena) {
  const char* end = name.data() + name.size();
  if (http::find_not_in<kNoCapitals>(name.data(), end) == end) return name;
  char* lower = arena.allocate(name.size());
  std::transform(name.begin(), name.end(), lower,
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return {lower, name.size()};
}

void write_field(BlockWriter& writer, const Field& field, Arena& arena) {
  const std::string_view name =
      field.id == FieldId::other ? in_lower_case(field.name(), arena) : http::field_name(field.id);
  writer.add(name, field.value(), field.id, 0, indexing_of(field));
}

void write_method(BlockWriter& writer, Method method, std::string_view text) {
  if (method == Method::get) return writer.add_static(kMethodGet);
  if (method == Method::post) return writer.add_static(kMethodPost);
  writer.add(":method", text, FieldId::other, kMethodGet, Indexing::allowed);
}

void write_status(BlockWriter& writer, unsigned status) {
  const char text[3] = {static_cast<char>('0' + status / 100 % 10), static_cast<char>('0' + status / 10 % 10),
                        static_cast<char>('0' + status % 10)};
  const std::string_view digits(text, sizeof text);
  if (status == 200) return writer.add_static(kStatus200);
  writer.add(":status", digits, FieldId::other, kStatus200, Indexing::allowed);
}

}  // namespace

void encode_request(HpackEncoder& encoder, Buffer& out, const http::RequestHead& head, std::string_view scheme) {
  constexpr std::size_t kPseudoNames = 64;
  const bool websocket = head.upgrade_websocket;
  const Field* host = head.fields.find(FieldId::host);
  const std::string_view authority = host != nullptr ? host->value() : head.authority;
  BlockWriter writer(encoder, out,
                     kPseudoNames + HpackEncoder::field_max(0, head.method_text.size()) +
                         HpackEncoder::field_max(0, head.path.size()) +
                         2 * HpackEncoder::field_max(0, authority.size()) + size_max(head.fields));
  if (websocket) {
    write_method(writer, Method::connect, to_string(Method::connect));
    writer.add(":protocol", "websocket", FieldId::other, 0, Indexing::allowed);
  } else {
    write_method(writer, head.method, head.method_text);
  }
  if (websocket || head.method != Method::connect) {
    writer.add_static(scheme == "https" ? kSchemeHttps : kSchemeHttp);
    const Indexing indexing = head.path_never_indexed ? Indexing::never : Indexing::without;
    writer.add(":path", head.path, FieldId::other, kPathRoot, indexing);
  }
  if (!authority.empty()) {
    const bool never = host != nullptr && host->never_indexed;
    writer.add(":authority", authority, FieldId::other, kAuthority, never ? Indexing::never : Indexing::allowed);
  }
  for (const Field& field : head.fields) {
    if (!is_sent(field)) continue;
    // What a GET says of its body has no place where a tunnel's DATA follow (RFC 9113 8.1.1).
    if (websocket && (field.id == FieldId::sec_websocket_key || field.id == FieldId::content_length)) continue;
    write_field(writer, field, head.fields.arena());
  }
}

void encode_response(HpackEncoder& encoder, Buffer& out, const http::ResponseHead& head) {
  const bool websocket = head.status == 101;
  BlockWriter writer(encoder, out, HpackEncoder::field_max(0, 3) + size_max(head.fields));
  write_status(writer, websocket ? 200 : head.status);
  for (const Field& field : head.fields) {
    if (!is_sent(field)) continue;
    if (websocket && http::equals_ignoring_case(field.name(), "sec-websocket-accept")) continue;
    write_field(writer, field, head.fields.arena());
  }
}

void encode_trailers(HpackEncoder& encoder, Buffer& out, const FieldList& trailers) {
  BlockWriter writer(encoder, out, size_max(trailers));
  for (const Field& field : trailers) {
    if (is_sent(field)) write_field(writer, field, trailers.arena());
  }
}

}  // namespace weir::http2
