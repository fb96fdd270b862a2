#pragma once

#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "http/head.h"

// Sans-I/O HTTP/1: heads and body pieces out, bytes appended to a Buffer. Fields marked removed are left out. The
// caller has already decided what framing fields say: nothing is added or checked here but what a parameter asks for.
namespace weir::http1 {

// "METHOD path HTTP/1.1 CRLF fields CRLF".
void write_request_head(Buffer& out, const http::RequestHead& head);
// "HTTP/1.1 status reason CRLF fields CRLF"; a standard reason phrase if `head.reason` is empty.
void write_response_head(Buffer& out, const http::ResponseHead& head);

// A chunk with its size line. `data` is not empty.
void write_chunk(Buffer& out, std::string_view data);
// The last chunk, with trailers if there are any.
void write_last_chunk(Buffer& out, const http::FieldList* trailers);

std::string_view reason_phrase(std::uint16_t status);

}  // namespace weir::http1
