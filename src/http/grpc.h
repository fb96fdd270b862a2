#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/time.h"
#include "http/head.h"

// What Weir knows of gRPC over HTTP/2: its timeouts, its statuses, and how they are said in fields. Pure functions.
// The rules are those of gRPC's own pages PROTOCOL-HTTP2.md and http-grpc-status-mapping.md.
namespace weir::grpc {

// The codes that have a meaning. A peer may send others; they count as unknown.
enum class Status : std::uint8_t {
  ok = 0,
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

// The code as it is sent and as metrics say it: "14".
std::string_view to_string(Status status);

// Whether a content-type is that of gRPC: application/grpc, alone or with a suffix (+proto) or parameters. grpc-web,
// whose trailers are part of its body, is not.
bool is_grpc(std::string_view content_type);
bool is_grpc(const http::FieldList& fields);

// A grpc-timeout: one to eight digits and one of H M S m u n. Nothing if it is anything else.
std::optional<Duration> parse_timeout(std::string_view text);
// As many characters as format_timeout() writes at most.
inline constexpr std::size_t kTimeoutSize = 9;
// The finest unit that eight digits can say it in, rounded down but never to nothing: at least 1n. Gives the text,
// which lies in `room`.
std::string_view format_timeout(Duration timeout, std::span<char, kTimeoutSize> room);

// A grpc-status of a peer; unknown if it is no number of a known code.
Status parse_status(std::string_view text);
// The status that trailers, or the head of an answer without a body, carry; nothing if there is none.
std::optional<Status> status_in(const http::FieldList& fields);
// What a client makes of an answer without a grpc-status.
Status status_of_http(std::uint16_t http_status);

// A grpc-message: what is not visible ASCII, and '%', as %XX. The text lies in `arena` if it had to be changed.
std::string_view encode_message(std::string_view text, Arena& arena);

}  // namespace weir::grpc
