#include <cstring>

#include "http/authority.h"
#include "http/http2/hpack_static.h"
#include "http/http2/message.h"
#include "http/message_rules.h"
#include "http/scan.h"

namespace weir::http2 {

using http::BodyKind;
using http::Field;
using http::FieldId;
using http::FieldList;
using http::Method;

namespace {

enum class Pseudo : std::uint8_t { authority, method, path, scheme, status, protocol, unknown };

// `index`: of the static table, or 0.
Pseudo pseudo_of(std::uint8_t index, std::string_view name) {
  if (index == 0) index = static_name_index(name);
  if (index == 0 || index > kPseudoMax) return name == ":protocol" ? Pseudo::protocol : Pseudo::unknown;
  if (index >= kStatus200) return Pseudo::status;
  if (index >= kSchemeHttp) return Pseudo::scheme;
  if (index >= kPathRoot) return Pseudo::path;
  return index >= kMethodGet ? Pseudo::method : Pseudo::authority;
}

// Why a field that is not a pseudo-header field is not well-formed (RFC 9113 8.2.1).
std::string_view describe(const HpackField& field) {
  if (field.name.empty()) return "empty field name";
  const char* end = field.name.data() + field.name.size();
  const char* wrong = http::find_not_in<http::kTokenChars>(field.name.data(), end);
  if (wrong != end) return *wrong == ':' ? "colon in a field name" : "bad character in a field name";
  for (const char c : field.name) {
    if (c >= 'A' && c <= 'Z') return "capital in a field name";
  }
  end = field.value.data() + field.value.size();
  if (http::find_not_in<http::kValueChars>(field.value.data(), end) != end) return "control character in a field value";
  return "blank at an end of a field value";
}

// RFC 9113 8.2.2.
bool is_connection_specific(FieldId id) {
  switch (id) {
    case FieldId::connection:
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return true;
    default:
      return false;
  }
}

// Two bytes of a block can have a name of four thousand copied within HPACK's table. That goes on for so long only.
class CopiedNames {
 public:
  bool too_many(const HpackField& field) {
    if (field.name_copied) bytes_ += field.name.size();
    return bytes_ > kBytesMax;
  }

 private:
  static constexpr std::size_t kBytesMax = 256 * 1024;
  std::size_t bytes_ = 0;
};

// What the kinds of block share. The first fault counts; from then on only the table is kept right.
class BlockReader {
 public:
  BlockReader(HpackDecoder& decoder, const http::HeadLimits& limits, FieldList& fields)
      : decoder_(decoder), limits_(limits), fields_(fields) {}

  // Calls on_pseudo(field, kind) and on_field(field), for well-formed fields only; what they find wrong is for fail().
  template <typename OnPseudo, typename OnField>
  void read(std::string_view block, OnPseudo&& on_pseudo, OnField&& on_field) {
    decoder_.begin_block(block, fields_.arena());
    HpackField field;
    while (true) {
      const HpackDecoder::Status status = decoder_.next(field);
      if (status == HpackDecoder::Status::end) return;
      if (status == HpackDecoder::Status::error || copied_names_.too_many(field)) {
        result_ = {BlockError::compression, "broken field block"};
        return;
      }
      if (failed()) continue;
      if (field.clean) {
        on_field(field);
      } else if (field.name.starts_with(':')) {
        field.name_kept = true;  // nobody keeps it
        on_pseudo(field, pseudo_of(field.name_index, field.name));
      } else {
        fail(describe(field));
      }
    }
  }

  bool failed() const { return result_.error != BlockError::none; }
  const BlockResult& result() const { return result_; }
  void fail(std::string_view detail) { fail(BlockError::malformed, detail); }
  void fail(BlockError error, std::string_view detail) {
    if (!failed()) result_ = {error, detail};
  }

  // Whether the limits allow one more line of that size.
  bool count_line(std::size_t name_size, std::size_t value_size) {
    if (++lines_ > limits_.headers) {
      fail(BlockError::too_large, "too many header fields");
      return false;
    }
    return count_bytes(name_size + value_size + 4);  // ": " and the line end
  }
  bool count_bytes(std::size_t size) {
    bytes_ += size;
    if (bytes_ <= limits_.header_bytes) return true;
    fail(BlockError::too_large, "header fields too large");
    return false;
  }

  void add(HpackField& field) {
    if (!count_line(field.name.size(), field.value.size())) return;
    if (field.name.size() > http::kFieldNameMax) return fail("field name too long");
    decoder_.keep(field);
    fields_.add(field.name, field.value, field.id, field.never_indexed);
  }

  // Content-Length: at most one.
  void add_length(HpackField& field) {
    if (has_length_) return fail("several Content-Length");
    has_length_ = true;
    if (!http::parse_content_length(field.value, length_)) return fail("bad Content-Length");
    add(field);
  }
  bool has_length() const { return has_length_; }
  std::uint64_t length() const { return length_; }

  std::string_view keep_value(HpackField& field) {
    decoder_.keep(field);
    return field.value;
  }

 private:
  HpackDecoder& decoder_;
  const http::HeadLimits& limits_;
  FieldList& fields_;
  BlockResult result_;
  CopiedNames copied_names_;
  std::uint64_t lines_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t length_ = 0;
  bool has_length_ = false;
};

// Joins the crumbs of Cookie (RFC 9113 8.2.3) in the first of them.
class CookieJar {
 public:
  void add(BlockReader& reader, FieldList& fields, HpackField& crumb) {
    if (!present_) {
      reader.add(crumb);
      present_ = true;
      at_ = fields.size() - 1;
      return;
    }
    if (!reader.count_bytes(crumb.value.size() + 2) || crumb.value.empty()) return;
    Field& cookie = fields.begin()[at_];
    const std::size_t size = cookie.value_size + 2 + crumb.value.size();
    if (size > capacity_) {
      capacity_ = 2 * size;
      char* text = fields.arena().allocate(capacity_);
      if (cookie.value_size != 0) std::memcpy(text, cookie.value_data, cookie.value_size);
      text_ = text;
      cookie.value_data = text;
    }
    if (cookie.value_size != 0) {
      std::memcpy(text_ + cookie.value_size, "; ", 2);
      cookie.value_size += 2;
    }
    std::memcpy(text_ + cookie.value_size, crumb.value.data(), crumb.value.size());
    cookie.value_size += static_cast<std::uint32_t>(crumb.value.size());
    cookie.never_indexed |= crumb.never_indexed;
  }

 private:
  char* text_ = nullptr;
  std::size_t capacity_ = 0;
  std::uint32_t at_ = 0;
  bool present_ = false;
};

class RequestReader {
 public:
  RequestReader(HpackDecoder& decoder, const http::HeadLimits& limits, http::RequestHead& head, bool extended_connect)
      : reader_(decoder, limits, head.fields), limits_(limits), head_(head), extended_connect_(extended_connect) {}

  BlockResult read(std::string_view block, bool end_stream) {
    head_.version = http::Version::http_2;
    reader_.read(
        block, [this](HpackField& field, Pseudo kind) { on_pseudo(field, kind); },
        [this](HpackField& field) { on_field(field); });
    if (!reader_.failed()) begin_fields();
    if (!reader_.failed()) finish(end_stream);
    return reader_.result();
  }

 private:
  bool has(Pseudo kind) const { return (seen_ & (1u << static_cast<unsigned>(kind))) != 0; }

  void on_pseudo(HpackField& field, Pseudo kind) {
    if (in_fields_) return reader_.fail("pseudo-header field behind other fields");
    if (has(kind)) return reader_.fail("pseudo-header field twice");
    seen_ = static_cast<std::uint8_t>(seen_ | 1u << static_cast<unsigned>(kind));
    switch (kind) {
      case Pseudo::method:
        return on_method(field);
      case Pseudo::path:
        if (field.value.size() > limits_.uri_bytes) {
          return reader_.fail(BlockError::uri_too_long, "request target too long");
        }
        if (field.value.empty()) return reader_.fail("empty :path");
        if (!http::is_target(field.value)) return reader_.fail("bad character in :path");
        head_.target = head_.path = reader_.keep_value(field);
        head_.path_never_indexed = field.never_indexed;
        return;
      case Pseudo::scheme:
        if (http::equals_ignoring_case(field.value, "https")) {
          head_.scheme = "https";
        } else if (http::equals_ignoring_case(field.value, "http")) {
          head_.scheme = "http";
        } else {
          reader_.fail("bad :scheme");
        }
        return;
      case Pseudo::authority:
        if (!http::is_authority(field.value)) return reader_.fail("bad :authority");
        head_.authority = reader_.keep_value(field);
        never_indexed_authority_ = field.never_indexed;
        return;
      case Pseudo::protocol:
        if (!extended_connect_) return reader_.fail(":protocol was not offered");
        if (!http::equals_ignoring_case(field.value, "websocket")) reader_.fail("unknown :protocol");
        return;
      case Pseudo::status:
      case Pseudo::unknown:
        return reader_.fail("unknown pseudo-header field");
    }
  }

  void on_method(HpackField& field) {
    if (field.value.size() > http::kMethodBytesMax) return reader_.fail("method too long");
    if (!http::is_token(field.value)) return reader_.fail("bad :method");
    head_.method = http::parse_method(field.value);
    head_.method_text = head_.method != Method::other ? to_string(head_.method) : reader_.keep_value(field);
  }

  // The pseudo-header fields are over.
  void begin_fields() {
    if (in_fields_) return;
    in_fields_ = true;
    if (head_.authority.empty()) return;
    const std::string_view name = http::field_name(FieldId::host);
    if (!reader_.count_line(name.size(), head_.authority.size())) return;
    head_.fields.add(name, head_.authority, FieldId::host, never_indexed_authority_);
  }

  void on_field(HpackField& field) {
    begin_fields();
    switch (field.id) {
      case FieldId::other:
        return reader_.add(field);
      case FieldId::connection:
      case FieldId::keep_alive:
      case FieldId::proxy_connection:
      case FieldId::transfer_encoding:
      case FieldId::upgrade:
        return reader_.fail("connection-specific field");
      case FieldId::te:
        if (!http::equals_ignoring_case(field.value, "trailers")) return reader_.fail("TE other than trailers");
        return reader_.add(field);
      case FieldId::content_length:
        return reader_.add_length(field);
      case FieldId::cookie:
        return cookies_.add(reader_, head_.fields, field);
      case FieldId::expect:
        head_.expect_continue |= http::equals_ignoring_case(field.value, "100-continue");
        return reader_.add(field);
      case FieldId::host:
        return on_host(field);
      default:
        return reader_.add(field);
    }
  }

  void on_host(HpackField& field) {
    if (has_host_) return reader_.fail("several Host");
    has_host_ = true;
    if (has(Pseudo::authority)) {  // which stands in the fields already
      if (!http::equals_ignoring_case(field.value, head_.authority)) reader_.fail("Host differs from :authority");
      return;
    }
    if (!http::is_authority(field.value)) return reader_.fail("bad Host");
    reader_.add(field);
    if (!reader_.failed()) head_.authority = field.value;  // else it was not kept
  }

  // What the fields mean together (RFC 9113 8.3.1, 8.5; RFC 8441 4).
  void finish(bool end_stream) {
    if (!has(Pseudo::method)) return reader_.fail("no :method");
    const bool connect = head_.method == Method::connect;
    const bool extended = has(Pseudo::protocol);
    if (extended && !connect) return reader_.fail(":protocol without CONNECT");
    if (head_.authority.empty()) return reader_.fail("no :authority and no Host");
    if (connect && !extended) {
      finish_connect();
    } else {
      if (!has(Pseudo::scheme)) return reader_.fail("no :scheme");
      if (!has(Pseudo::path)) return reader_.fail("no :path");
      if (!head_.path.starts_with('/') && (head_.path != "*" || head_.method != Method::options)) {
        return reader_.fail("bad :path");
      }
    }
    head_.upgrade_websocket = extended;
    if (extended && reader_.has_length()) return reader_.fail("Content-Length in CONNECT");
    if (end_stream) {
      head_.body = BodyKind::none;
      if (reader_.length() != 0) reader_.fail("Content-Length differs from the body");
    } else if (reader_.has_length()) {
      head_.body = BodyKind::length;
      head_.content_length = reader_.length();
    } else {
      head_.body = BodyKind::stream_end;
    }
  }

  void finish_connect() {
    if (has(Pseudo::scheme) || has(Pseudo::path)) return reader_.fail(":scheme or :path in CONNECT");
    if (head_.authority.size() > limits_.uri_bytes) {
      return reader_.fail(BlockError::uri_too_long, "request target too long");
    }
    if (!has(Pseudo::authority) || !http::split_authority(head_.authority).port) {
      return reader_.fail("bad target of CONNECT");
    }
    head_.target = head_.path = head_.authority;
  }

  BlockReader reader_;
  const http::HeadLimits& limits_;
  http::RequestHead& head_;
  CookieJar cookies_;
  std::uint8_t seen_ = 0;  // a bit for each Pseudo
  const bool extended_connect_;
  bool in_fields_ = false;
  bool has_host_ = false;
  bool never_indexed_authority_ = false;
};

// RFC 9110 15: three digits; what is above 599 means nothing to anybody. 0 if it is no status.
std::uint16_t parse_status(std::string_view text) {
  if (text.size() != 3) return 0;
  unsigned status = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + static_cast<unsigned>(c - '0');
  }
  return static_cast<std::uint16_t>(status >= 100 && status <= 599 ? status : 0);
}

void finish_response(BlockReader& reader, bool end_stream, bool answers_head, http::ResponseHead& head) {
  if (head.status == 0) return reader.fail("no :status");
  if (head.status == 101) return reader.fail("101 in HTTP/2");
  const bool interim = head.status < 200;
  if (interim && end_stream) return reader.fail("1xx that ends the stream");
  if (interim || head.status == 204) {
    // RFC 9110 8.6. A 204 that says it is empty is common and harmless; the field must not go on.
    if (reader.has_length() && (interim || reader.length() != 0)) {
      return reader.fail("Content-Length where there is no body");
    }
    head.fields.remove(FieldId::content_length);
  }
  if (interim || head.status == 204 || head.status == 304 || answers_head) {
    head.body = BodyKind::none;
  } else if (end_stream) {
    head.body = BodyKind::none;
    if (reader.length() != 0) reader.fail("Content-Length differs from the body");
  } else if (reader.has_length()) {
    head.body = BodyKind::length;
    head.content_length = reader.length();
  } else {
    head.body = BodyKind::stream_end;
  }
}

}  // namespace

std::string_view to_string(BlockError error) {
  switch (error) {
    case BlockError::none:
      return "none";
    case BlockError::compression:
      return "compression";
    case BlockError::malformed:
      return "malformed";
    case BlockError::too_large:
      return "too large";
    case BlockError::uri_too_long:
      return "URI too long";
  }
  return "";
}

BlockResult decode_request(HpackDecoder& decoder, std::string_view block, bool end_stream, bool extended_connect,
                           const http::HeadLimits& limits, http::RequestHead& head) {
  return RequestReader(decoder, limits, head, extended_connect).read(block, end_stream);
}

BlockResult decode_response(HpackDecoder& decoder, std::string_view block, bool end_stream, bool answers_head,
                            const http::HeadLimits& limits, http::ResponseHead& head) {
  BlockReader reader(decoder, limits, head.fields);
  head.version = http::Version::http_2;
  bool in_fields = false;
  reader.read(
      block,
      [&](const HpackField& field, Pseudo kind) {
        if (kind != Pseudo::status) return reader.fail("unknown pseudo-header field");
        if (in_fields) return reader.fail("pseudo-header field behind other fields");
        if (head.status != 0) return reader.fail("pseudo-header field twice");
        head.status = parse_status(field.value);
        if (head.status == 0) reader.fail("bad :status");
      },
      [&](HpackField& field) {
        in_fields = true;
        if (is_connection_specific(field.id)) return reader.fail("connection-specific field");
        if (field.id == FieldId::te) return reader.fail("TE in a response");
        if (field.id == FieldId::content_length) return reader.add_length(field);
        reader.add(field);
      });
  if (!reader.failed()) finish_response(reader, end_stream, answers_head, head);
  return reader.result();
}

BlockResult decode_trailers(HpackDecoder& decoder, std::string_view block, const http::HeadLimits& limits,
                            FieldList& trailers) {
  BlockReader reader(decoder, limits, trailers);
  reader.read(
      block, [&](const HpackField&, Pseudo) { reader.fail("pseudo-header field in trailers"); },
      [&](HpackField& field) {
        if (is_connection_specific(field.id)) return reader.fail("connection-specific field");
        const Field line{.name_data = field.name.data(),
                         .value_data = field.value.data(),
                         .value_size = static_cast<std::uint32_t>(field.value.size()),
                         .name_size = static_cast<std::uint16_t>(field.name.size()),
                         .id = field.id,
                         .removed = false,
                         .never_indexed = false};
        if (http::may_be_trailer(line)) {
          reader.add(field);
        } else {
          reader.count_line(field.name.size(), field.value.size());
        }
      });
  return reader.result();
}

BlockResult discard_block(HpackDecoder& decoder, std::string_view block, Arena& arena) {
  decoder.begin_block(block, arena);
  HpackField field;
  CopiedNames copied_names;
  HpackDecoder::Status status = HpackDecoder::Status::field;
  do status = decoder.next(field);
  while (status == HpackDecoder::Status::field && !copied_names.too_many(field));
  if (status == HpackDecoder::Status::end) return {};
  return {BlockError::compression, "broken field block"};
}

}  // namespace weir::http2
