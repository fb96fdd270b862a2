#pragma once

#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "http/head.h"
#include "http/http2/hpack.h"
#include "http/limits.h"

// What an HTTP/2 field block means as a message (RFC 9113 8), and back. Pure but for the HPACK state passed in.
namespace weir::http2 {

enum class BlockError : std::uint8_t {
  none,
  compression,   // the connection can't go on
  malformed,     // a stream error (RFC 9113 8.1.1): nothing of it may be passed on
  too_large,     // header_bytes or headers: 431
  uri_too_long,  // 414
};
std::string_view to_string(BlockError error);

struct BlockResult {
  BlockError error = BlockError::none;
  std::string_view detail = {};  // static text, for the log: "capital in a field name"
};

// Decodes a request's block into `head`, which must be clear and whose fields and texts all lie in the head's arena or
// are static text afterwards. Whatever the error (but `compression`), the whole block is decoded, so that the
// connection can go on; `head` then holds what was found good before it, for a log. With `end_stream` the body is
// BodyKind::none, else ::length if there is a content-length, else ::stream_end. `extended_connect`: RFC 8441 was
// offered; a :protocol of "websocket" then sets upgrade_websocket (method CONNECT), any other is malformed. Crumbs of
// Cookie are joined (8.2.3). :authority and Host must agree; Host is added from :authority, as the first field, where
// it is missing, so that both codecs give the same head. Pseudo-header fields count for no limit but uri_bytes; a field
// counts as the line that it would be in HTTP/1.
BlockResult decode_request(HpackDecoder& decoder, std::string_view block, bool end_stream, bool extended_connect,
                           const http::HeadLimits& limits, http::RequestHead& head);
// The same for a response; a 1xx but 101 is a head of its own. 101 is malformed (8.6). `answers_head`: the request was
// a HEAD.
BlockResult decode_response(HpackDecoder& decoder, std::string_view block, bool end_stream, bool answers_head,
                            const http::HeadLimits& limits, http::ResponseHead& head);
// Trailers: no pseudo fields, nothing connection-specific. What must not come behind a body is left out.
BlockResult decode_trailers(HpackDecoder& decoder, std::string_view block, const http::HeadLimits& limits,
                            http::FieldList& trailers);
// A block that belongs to no stream any more: only the table is kept right. `arena` is for what has to be decoded.
BlockResult discard_block(HpackDecoder& decoder, std::string_view block, Arena& arena);

// Encode into `out`, in one piece if it is sure to fit into one slice. Connection-specific fields (RFC 9113 8.2.2),
// Host and removed fields are left out; names come out in lower case (where that needs memory, in the arena of the
// fields). authorization and short cookies are never indexed, nor is what came so. :authority is what Host says, if
// there is one. A request with upgrade_websocket becomes an extended CONNECT. `scheme` is "http" or "https".
void encode_request(HpackEncoder& encoder, Buffer& out, const http::RequestHead& head, std::string_view scheme);
// A 101 (to an upgrade by RFC 8441) is said as 200.
void encode_response(HpackEncoder& encoder, Buffer& out, const http::ResponseHead& head);
void encode_trailers(HpackEncoder& encoder, Buffer& out, const http::FieldList& trailers);

}  // namespace weir::http2
