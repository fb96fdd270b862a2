#include "proxy/forwarding.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "http/grpc.h"
#include "http/list.h"

namespace weir::proxy {

using http::Field;
using http::FieldId;
using http::FieldList;

namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls visit(member) for each member of a comma-separated list.
template <typename Visit>
void for_each_member(std::string_view list, Visit&& visit) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view member = trim(list.substr(0, comma));
    if (!member.empty()) visit(member);
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
}

bool is_hop_by_hop(FieldId id) {
  switch (id) {
    case FieldId::connection:
    case FieldId::keep_alive:
    case FieldId::proxy_connection:
    case FieldId::proxy_authenticate:
    case FieldId::proxy_authorization:
    case FieldId::te:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
    case FieldId::http2_settings:
      return true;
    default:
      return false;
  }
}

// What Connection must not take away: without these the message would mean something else.
bool is_essential(FieldId id) {
  return id == FieldId::host || id == FieldId::content_length || id == FieldId::transfer_encoding;
}

char fold(char c) {
  if (c == '_') return '-';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

bool folds_to(std::string_view name, std::string_view folded) {
  return name.size() == folded.size() &&
         std::equal(name.begin(), name.end(), folded.begin(), [](char a, char b) { return fold(a) == b; });
}

bool folds_to_prefix(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() && folds_to(name.substr(0, prefix.size()), prefix);
}

// A name under which a backend might believe something about the client, in any spelling with '-' or '_'.
bool names_client(std::string_view name) {
  switch (fold(name[0])) {
    case 'f':
      return folds_to(name, "forwarded");
    case 'c':
      return folds_to_prefix(name, "client-cert");
    case 'x':
      return folds_to_prefix(name, "x-forwarded-") || folds_to(name, "x-real-ip") ||
             folds_to_prefix(name, "x-client-cert");
    default:
      return false;
  }
}

bool is_request_id_name(std::string_view name) {
  return folds_to(name, "x-request-id");
}

void remove_named_by_connection(FieldList& fields) {
  for (const Field& connection : fields) {
    if (connection.id != FieldId::connection) continue;
    for_each_member(connection.value(), [&](std::string_view name) {
      const FieldId id = http::field_id(name);
      if (is_essential(id) || is_hop_by_hop(id)) return;
      fields.remove(name);
    });
  }
}

bool usually_has_a_body(http::Method method) {
  return method == http::Method::post || method == http::Method::put || method == http::Method::patch;
}

// Of what is for this hop only, that which Connection alone tells.
void remove_options(FieldList& fields) {
  if ((fields.present() & FieldList::bit(FieldId::connection)) != 0) remove_named_by_connection(fields);
}

// The rest of it.
void remove_hop_by_hop(FieldList& fields) {
  constexpr std::uint64_t kHopByHop = FieldList::bit(FieldId::connection) | FieldList::bit(FieldId::keep_alive) |
                                      FieldList::bit(FieldId::proxy_connection) |
                                      FieldList::bit(FieldId::proxy_authenticate) |
                                      FieldList::bit(FieldId::proxy_authorization) | FieldList::bit(FieldId::te) |
                                      FieldList::bit(FieldId::transfer_encoding) | FieldList::bit(FieldId::upgrade) |
                                      FieldList::bit(FieldId::http2_settings);
  if ((fields.present() & kHopByHop) == 0) return;
  for (Field& field : fields) {
    if (is_hop_by_hop(field.id)) field.removed = true;
  }
}

// All values of one name as one list, with `last` behind them.
std::string_view joined(FieldList& fields, FieldId id, std::string_view last) {
  std::size_t size = last.size();
  for (const Field& field : fields) {
    if (field.id == id && !field.removed && field.value_size > 0) size += field.value_size + 2;
  }
  char* text = fields.arena().allocate(size);
  char* at = text;
  for (const Field& field : fields) {
    if (field.id != id || field.removed || field.value_size == 0) continue;
    std::memcpy(at, field.value_data, field.value_size);
    at += field.value_size;
    std::memcpy(at, ", ", 2);
    at += 2;
  }
  std::memcpy(at, last.data(), last.size());
  return {text, size};
}

// RFC 9110 7.6.3: the version in which it was received.
std::string_view via_text(http::Version version) {
  switch (version) {
    case http::Version::http_1_0:
      return "1.0 weir";
    case http::Version::http_1_1:
      return "1.1 weir";
    case http::Version::http_2:
      break;
  }
  return "2.0 weir";
}

void set_forwarded(http::RequestHead& head, const ForwardingFacts& facts) {
  FieldList& fields = head.fields;
  std::array<char, IpAddress::kMaxText> text;
  const std::string_view peer(text.data(), facts.identity->peer.format(text.data()));
  if (facts.identity->trusted) {
    if (!peer.empty() || fields.has(FieldId::x_forwarded_for)) {
      const std::string_view all = peer.empty() ? joined(fields, FieldId::x_forwarded_for, "unknown")
                                                : joined(fields, FieldId::x_forwarded_for, peer);
      fields.remove(FieldId::x_forwarded_for);
      fields.add("x-forwarded-for", all, FieldId::x_forwarded_for);
    }
    if (!fields.has(FieldId::x_forwarded_proto)) {
      fields.add("x-forwarded-proto", facts.scheme, FieldId::x_forwarded_proto);
    }
    if (!fields.has(FieldId::x_forwarded_host) && !head.authority.empty()) {
      fields.add("x-forwarded-host", head.authority, FieldId::x_forwarded_host);
    }
    return;
  }
  const std::string_view sender = peer.empty() ? std::string_view("unknown") : fields.arena().copy(peer);
  fields.add("x-forwarded-for", sender, FieldId::x_forwarded_for);
  fields.add("x-forwarded-proto", facts.scheme, FieldId::x_forwarded_proto);
  if (!head.authority.empty()) fields.add("x-forwarded-host", head.authority, FieldId::x_forwarded_host);
}

// A client of HTTP/2 or gRPC that says it takes trailers means it from end to end.
bool wants_trailers(const http::RequestHead& head) {
  if ((head.fields.present() & FieldList::bit(FieldId::te)) == 0) return false;
  if (head.version != http::Version::http_2 && !grpc::is_grpc(head.fields)) return false;
  for (const Field& field : head.fields) {
    if (field.id == FieldId::te && http::list_has(field.value(), "trailers")) return true;
  }
  return false;
}

void add_certificate(FieldList& fields, const PeerCertificate& certificate) {
  fields.add("client-cert", certificate.encoded, FieldId::other);
  fields.add("x-client-cert-subject", certificate.subject, FieldId::other);
  if (!certificate.names.empty()) fields.add("x-client-cert-san", certificate.names, FieldId::other);
  fields.add("x-client-cert-fingerprint", certificate.fingerprint, FieldId::other);
}

}  // namespace

bool is_trusted(const IpAddress& address, std::span<const Cidr> trusted) {
  // A peer on a unix socket has no address: who may connect there was decided by the file's permissions.
  if (address.family == IpAddress::Family::none) return !trusted.empty();
  return std::any_of(trusted.begin(), trusted.end(), [&](const Cidr& range) { return range.contains(address); });
}

ClientIdentity identify_client(const http::RequestHead& head, const IpAddress& peer, std::span<const Cidr> trusted) {
  ClientIdentity identity{peer, peer, false};
  if (trusted.empty() || !is_trusted(peer, trusted)) return identity;
  identity.trusted = true;
  // From the right: each proxy appended whom it heard it from. The first that is not ours is the client.
  for (const Field* field = head.fields.end(); field != head.fields.begin();) {
    --field;
    if (field->id != FieldId::x_forwarded_for) continue;
    std::string_view list = field->value();
    while (!list.empty()) {
      const std::size_t comma = list.rfind(',');
      const std::string_view member = trim(comma == std::string_view::npos ? list : list.substr(comma + 1));
      list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
      const std::optional<IpAddress> address = IpAddress::parse(member);
      if (!address) return identity;
      identity.client = *address;
      if (!is_trusted(*address, trusted)) return identity;
    }
  }
  return identity;
}

void tell_of_client(http::RequestHead& head, const ForwardingFacts& facts) {
  FieldList& fields = head.fields;
  // Before Weir's own are among them.
  remove_options(fields);
  for (Field& field : fields) {
    if (field.id == FieldId::x_request_id) {
      // Kept where it is if it is the one that goes on, so that a head that needs no change is copied in one piece.
      if (field.value().data() != facts.request_id.data()) field.removed = true;
      continue;
    }
    if (field.id != FieldId::other && field.id < FieldId::x_forwarded_for && field.id != FieldId::forwarded) continue;
    const std::string_view name = field.name();
    const bool exact = field.id != FieldId::other;
    if (names_client(name)) {
      // A trusted proxy is believed, but only in the spelling that Weir itself reads.
      const bool believed = facts.identity->trusted && (exact || name.find('_') == std::string_view::npos) &&
                            fold(name[0]) != 'c' && !folds_to_prefix(name, "x-client-cert");
      if (!believed) field.removed = true;
    } else if (!exact && is_request_id_name(name)) {
      field.removed = true;
    }
  }
  set_forwarded(head, facts);
  if (facts.certificate != nullptr) add_certificate(fields, *facts.certificate);
}

void prepare_request(http::RequestHead& head, const ForwardingFacts& facts) {
  FieldList& fields = head.fields;
  const bool takes_trailers = wants_trailers(head);
  remove_hop_by_hop(fields);
  // An absolute-form target's authority replaces Host (RFC 9112 3.2.2).
  if (head.version != http::Version::http_2 && !head.scheme.empty() && !head.authority.empty()) {
    fields.remove(FieldId::host);
    fields.add("host", head.authority, FieldId::host);
  }
  const Field* id = fields.find(FieldId::x_request_id);
  if (id == nullptr) fields.add("x-request-id", facts.request_id, FieldId::x_request_id);
  if (facts.via) fields.add("via", via_text(head.version), FieldId::via);
  if (head.body == http::BodyKind::chunked || head.body == http::BodyKind::stream_end) {
    fields.add("transfer-encoding", "chunked", FieldId::transfer_encoding);
  }
  // END_STREAM said so. In HTTP/1 some servers insist on it (RFC 9110 8.6).
  if (head.version == http::Version::http_2 && head.body == http::BodyKind::none && usually_has_a_body(head.method) &&
      !fields.has(FieldId::content_length)) {
    fields.add("content-length", "0", FieldId::content_length);
  }
  // HTTP/2 has this one of all TE (RFC 9113 8.2.2), and says it without Connection.
  if (takes_trailers) {
    fields.add("te", "trailers", FieldId::te);
    fields.add("connection", "te", FieldId::connection);
  }
  if (head.upgrade_websocket) {
    fields.add("connection", "upgrade", FieldId::connection);
    fields.add("upgrade", "websocket", FieldId::upgrade);
  }
}

void prepare_response(http::ResponseHead& head, const ResponseFacts& facts) {
  FieldList& fields = head.fields;
  const bool upgraded = head.status == 101;
  remove_options(fields);
  remove_hop_by_hop(fields);
  if (!fields.has(FieldId::date)) fields.add("date", facts.date, FieldId::date);
  fields.remove(FieldId::x_request_id);
  fields.add("x-request-id", facts.request_id, FieldId::x_request_id);
  if (facts.via) fields.add("via", via_text(head.version), FieldId::via);
  if (upgraded) fields.add("upgrade", "websocket", FieldId::upgrade);
}

void frame_response(http::ResponseHead& head, http::Method method) {
  using http::BodyKind;
  switch (head.body) {
    case BodyKind::chunked:
    case BodyKind::until_close:
    case BodyKind::stream_end:
      head.fields.add("transfer-encoding", "chunked", FieldId::transfer_encoding);
      return;
    case BodyKind::length:
      return;
    case BodyKind::none:
      break;
  }
  const bool never_has_one =
      head.status < 200 || head.status == 204 || head.status == 304 || method == http::Method::head;
  if (never_has_one || head.fields.has(FieldId::content_length)) return;
  head.fields.add("content-length", "0", FieldId::content_length);
}

void clean_trailers(FieldList& trailers) {
  for (Field& field : trailers) {
    if (is_hop_by_hop(field.id) || is_essential(field.id) || field.name_size == 0 || names_client(field.name()) ||
        is_request_id_name(field.name())) {
      field.removed = true;
    }
  }
}

bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace weir::proxy
