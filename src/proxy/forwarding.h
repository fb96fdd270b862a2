#pragma once

#include <span>
#include <string_view>

#include "http/head.h"
#include "net/address.h"
#include "net/secure_layer.h"

// What a proxy changes in the heads that pass through it (RFC 9110 7.6, RFC 9112 9). Pure functions over heads.
namespace weir::proxy {

// Who sent a request, as far as it can be believed.
struct ClientIdentity {
  IpAddress peer;
  IpAddress client;      // the rightmost address that is no trusted proxy's; the peer if it is not trusted itself
  bool trusted = false;  // the peer is a trusted proxy
};
// Whether one of the proxies is at that address.
bool is_trusted(const IpAddress& address, std::span<const Cidr> trusted);
ClientIdentity identify_client(const http::RequestHead& head, const IpAddress& peer, std::span<const Cidr> trusted);

struct ForwardingFacts {
  const ClientIdentity* identity;
  std::string_view scheme;      // of the client's connection: "http" or "https"
  std::string_view request_id;  // in the arena; what goes to the backend and back
  bool via;
  const PeerCertificate* certificate = nullptr;  // of the client, verified; outlives the head
};

// Removes what Connection names and what an untrusted client may not say of itself, and says instead what is known of
// it: x-forwarded-* and the fields of a certificate. Comes before routes look at the fields, and before
// prepare_request(). New text is put into the head's arena.
void tell_of_client(http::RequestHead& head, const ForwardingFacts& facts);

// Removes the other hop-by-hop fields; sets x-request-id and host. Framing and upgrade are said again in HTTP/1.1
// terms.
void prepare_request(http::RequestHead& head, const ForwardingFacts& facts);

struct ResponseFacts {
  std::string_view request_id;
  std::string_view date;  // IMF-fixdate of now, for a response without one
  bool via;
};
// Removes hop-by-hop fields and sets date and x-request-id. Framing and connection fields are the client codec's part.
void prepare_response(http::ResponseHead& head, const ResponseFacts& facts);

// Says in HTTP/1.1's words where the body of an answer to `method` ends, when that was said in another way: in chunks,
// or, where HTTP/2 had said by END_STREAM that there is none, by a length of 0 (RFC 9112 6.3: the client would wait).
void frame_response(http::ResponseHead& head, http::Method method);

// Names that Weir sets or that frame messages are taken out of trailers.
void clean_trailers(http::FieldList& trailers);

// Usable as an x-request-id: 1 to 128 visible ASCII characters.
bool is_request_id(std::string_view text);

}  // namespace weir::proxy
